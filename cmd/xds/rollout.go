package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/user"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// errNotServed is what --wait ends with where the rollout did not end in serving.
var errNotServed = errors.New("it is not served: it was refused, rejected or abandoned")

// rolloutFlags are those of every `xds rollout` command.
type rolloutFlags struct {
	admin  func() client
	fleet  *string
	output *string
	wait   *bool
}

func (a *app) rollout() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollout",
		Short: "See and steer how a new revision reaches the proxies",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("there is no command %q", cmd.CommandPath()+" "+args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.rolloutStatus(), a.rolloutHistory())
	for verb, short := range map[rollout.Verb]string{
		rollout.Pause:   "Go no further; evidence against the revision still counts",
		rollout.Resume:  "Go on",
		rollout.Promote: "End the stage: approve it, or do not wait for the rest of its bake",
		rollout.Abort:   "Give the revision up: every proxy goes back",
		rollout.Undo:    "Go back to the revision before, at once",
		rollout.Retry:   "Try a rejected revision again",
	} {
		cmd.AddCommand(a.rolloutVerb(verb, short))
	}
	return cmd
}

func (a *app) rolloutFlags(cmd *cobra.Command) rolloutFlags {
	return rolloutFlags{
		admin:  a.adminFlag(cmd),
		fleet:  cmd.Flags().String("fleet", "", "which fleet; needed where there are several"),
		output: cmd.Flags().StringP("output", "o", "table", "table or json"),
		wait:   cmd.Flags().Bool("wait", false, "until what is on disk is rolled out; exit with 1 unless it is served"),
	}
}

func (a *app) rolloutVerb(verb rollout.Verb, short string) *cobra.Command {
	cmd := &cobra.Command{Use: string(verb), Short: short, Args: noArgs}
	flags := a.rolloutFlags(cmd)
	why := cmd.Flags().String("why", "", "a reason, for the history")
	by := cmd.Flags().String("by", "", "who does it, for the history; default: the user")
	id := ""
	if verb == rollout.Retry {
		cmd.Flags().StringVar(&id, "revision", "", "the revision's ID; default: that of what is on disk")
	}
	skipEmpty := false
	if verb == rollout.Promote {
		cmd.Flags().BoolVar(&skipEmpty, "skip-empty", false, "pass the stage if no connected proxy can be of it; it is recorded")
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *by == "" {
			*by = userName()
		}
		command := control.Command{Fleet: *flags.fleet, Verb: verb, By: *by, Why: *why, ID: id, SkipEmpty: skipEmpty}
		if err := flags.admin().call(cmd.Context(), http.MethodPost, "/v1/commands", command, nil); err != nil {
			return err
		}
		if verb == rollout.Abort || verb == rollout.Undo {
			*flags.wait = false // it is over at once, and meant to be
		}
		return a.showRollout(cmd.Context(), flags)
	}
	return cmd
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "someone"
}

func (a *app) rolloutStatus() *cobra.Command {
	cmd := &cobra.Command{Use: "status", Short: "Show where a rollout is", Args: noArgs}
	flags := a.rolloutFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.showRollout(cmd.Context(), flags) }
	return cmd
}

// showRollout prints where the rollout is, with --wait once it has ended.
func (a *app) showRollout(ctx context.Context, flags rolloutFlags) error {
	if *flags.output != "table" && *flags.output != "json" {
		return usageError{fmt.Errorf("--output: %q is not one of table, json", *flags.output)}
	}
	f, outcome, err := flags.outcome(ctx)
	if err != nil {
		return err
	}
	if *flags.output == "json" {
		e := json.NewEncoder(a.stdout)
		e.SetIndent("", "  ")
		err = e.Encode(f)
	} else {
		err = printRollout(a.stdout, f, time.Now())
	}
	return errors.Join(err, outcome)
}

// outcome asks for the fleet, with --wait once the rollout under way has ended, or
// that of a change which is being read; outcome is nil where it is served.
func (f rolloutFlags) outcome(ctx context.Context) (s control.FleetStatus, outcome, err error) {
	awaited := ""
	for {
		if s, err = f.find(ctx); err != nil || !*f.wait {
			return s, nil, err
		}
		awaited = cmp.Or(awaited, s.Candidate.ID)
		if s.Candidate.ID != awaited || !s.Pending && s.Rollout == nil {
			break
		}
		pause(ctx, 200*time.Millisecond)
	}
	if s.Serving.ID != cmp.Or(awaited, s.OnDisk) || awaited == "" && s.Problem != "" {
		return s, errNotServed, nil
	}
	return s, nil, nil
}

// find asks for the fleet.
func (f rolloutFlags) find(ctx context.Context) (control.FleetStatus, error) {
	status, err := f.admin().status(ctx)
	if err != nil {
		return control.FleetStatus{}, err
	}
	if *f.fleet == "" && len(status.Fleets) == 1 {
		return status.Fleets[0], nil
	}
	i := slices.IndexFunc(status.Fleets, func(s control.FleetStatus) bool { return s.Fleet == *f.fleet })
	if i < 0 {
		return control.FleetStatus{}, fmt.Errorf("there is no fleet %q among the %d there are (--fleet)", *f.fleet, len(status.Fleets))
	}
	return status.Fleets[i], nil
}

func printRollout(w io.Writer, f control.FleetStatus, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "fleet\t%s\nserving\t%s\nprevious\t%s\n", f.Fleet, revision(f.Serving), revision(f.Previous))
	if r := f.Rollout; r != nil {
		fmt.Fprintf(t, "candidate\t%s\nstage\t%d of %d: %s, for %s\n", revision(f.Candidate), r.Index, r.Stages, r.Stage, ago(now, r.StageAt))
		for _, phase := range rollout.Phases {
			if n := r.Phases[phase]; n > 0 {
				fmt.Fprintf(t, "%s\t%d of %d\n", phase, n, r.Members)
			}
		}
	}
	if h := f.WaitsFor; h != nil {
		fmt.Fprintf(t, "%s\t%s\n", waitsLabel(h.Kind), waitsText(h))
	}
	if n := len(f.Rejected); n > 0 {
		last := f.Rejected[n-1]
		fmt.Fprintf(t, "rejected\t%s by %s: %s\n", revision(last.Revision), orDash(last.Node), last.Reason)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("printing the rollout: %w", err)
	}
	return nil
}

// waitsLabel names a line about what is waited for.
func waitsLabel(kind rollout.Wait) string {
	if kind == rollout.WaitPaused {
		return "paused"
	}
	return "waiting"
}

// waitsText begins with the command where nothing but that ends it.
func waitsText(h *rollout.HoldUp) string {
	switch h.Kind {
	case rollout.WaitPaused:
		return "go on with `" + h.Do + "`: " + h.Text
	case rollout.WaitApproval:
		return "end the stage with `" + h.Do + "`: " + h.Text
	default:
		return h.Text
	}
}

func (a *app) rolloutHistory() *cobra.Command {
	cmd := &cobra.Command{Use: "history", Short: "Show what happened to a fleet: who, what, when, why", Args: noArgs}
	admin := a.adminFlag(cmd)
	fleet := cmd.Flags().String("fleet", "", "which fleet; needed where there are several")
	output := cmd.Flags().StringP("output", "o", "table", "table or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var entries []rollout.Entry
		if err := admin().call(cmd.Context(), http.MethodGet, "/v1/history?fleet="+url.QueryEscape(*fleet), nil, &entries); err != nil {
			return err
		}
		switch *output {
		case "json":
			e := json.NewEncoder(a.stdout)
			e.SetIndent("", "  ")
			return e.Encode(entries)
		case "table":
			return printHistory(a.stdout, entries)
		}
		return usageError{fmt.Errorf("--output: %q is not one of table, json", *output)}
	}
	return cmd
}

func printHistory(w io.Writer, entries []rollout.Entry) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHEN\tREVISION\tWHAT\tSTAGE\tNODE\tBY\tWHY")
	for _, e := range entries {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.At.Local().Format("2006-01-02 15:04:05.000"),
			revision(e.Revision), e.Kind, orDash(e.Stage), orDash(e.Node), orDash(e.By), orDash(e.Reason))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("printing the history: %w", err)
	}
	return nil
}
