package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/user"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// rolloutFlags are those of every `xds rollout` command.
type rolloutFlags struct {
	admin   func() *api.Client
	fleet   *string
	output  output
	wait    *bool
	timeout *time.Duration
}

func (a *app) rollout() *cobra.Command {
	cmd := group("rollout", "See and steer how a new revision reaches the proxies", a.rolloutStatus(), a.rolloutHistory())
	for verb, short := range map[api.Verb]string{
		api.VerbPause:   "Go no further; evidence against the revision still counts",
		api.VerbResume:  "Go on",
		api.VerbPromote: "End the stage: approve it, or do not wait for the rest of its bake",
		api.VerbAbort:   "Give the revision up: every proxy goes back",
		api.VerbUndo:    "Go back to the revision before, or an older one, at once",
		api.VerbRetry:   "Try a rejected revision again",
	} {
		cmd.AddCommand(a.rolloutVerb(verb, short))
	}
	return cmd
}

func (a *app) rolloutFlags(cmd *cobra.Command) rolloutFlags {
	return rolloutFlags{
		admin:   a.adminFlag(cmd),
		fleet:   cmd.Flags().String("fleet", "", "which fleet; needed where there are several"),
		output:  a.outputFlag(cmd),
		wait:    cmd.Flags().Bool("wait", false, "until what is on disk is rolled out; for its exit status see xds rollout status --help"),
		timeout: cmd.Flags().Duration("timeout", 0, "how long --wait waits; 0: as long as it takes"),
	}
}

func (a *app) rolloutVerb(verb api.Verb, short string) *cobra.Command {
	cmd := &cobra.Command{Use: string(verb), Short: short, Long: short + ".\n\n" + waitOf(verb), Args: noArgs}
	flags := a.rolloutFlags(cmd)
	why := cmd.Flags().String("why", "", "a reason, for the history")
	by := cmd.Flags().String("by", "", "who does it, for the history; default: the user")
	id, answersMeant := "", false
	if verb == api.VerbRetry {
		cmd.Flags().BoolVar(&answersMeant, "answers-meant", false, "that it answers otherwise than before is meant, and no evidence against it; it is recorded")
		cmd.Flags().StringVar(&id, "revision", "", "the revision's ID; default: that of what is on disk")
	}
	skipEmpty, to := false, 0
	if verb == api.VerbUndo {
		cmd.Flags().IntVar(&to, "to", 0, "the number of the revision to go back to, as xds rollout history has it; default: the one before")
	}
	if verb == api.VerbPromote {
		cmd.Flags().BoolVar(&skipEmpty, "skip-empty", false, "pass the stage if no connected proxy can be of it; it is recorded")
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := flags.valid(); err != nil {
			return err // before anything is done
		}
		if cmd.Flags().Changed("to") && to < 1 {
			return usageError{fmt.Errorf("--to: there is no revision %d: they are counted from 1 (xds rollout history)", to)}
		}
		if *by == "" {
			*by = userName()
		}
		command := api.Command{Fleet: *flags.fleet, Verb: verb, By: *by, Why: *why, ID: id, SkipEmpty: skipEmpty, AnswersMeant: answersMeant, To: to}
		if err := flags.admin().Do(cmd.Context(), command); err != nil {
			return err
		}
		if verb == api.VerbAbort || verb == api.VerbUndo {
			*flags.wait = false // it is over at once, and meant to be
		}
		return a.showRollout(cmd.Context(), flags)
	}
	return cmd
}

// waitOf says what --wait is with a command to a rollout.
func waitOf(verb api.Verb) string {
	switch verb {
	case api.VerbAbort, api.VerbUndo:
		return `With --wait it returns at once, too: what is on disk is not going to be served, as was asked
for. The exit status is 0 when that was done. An xds rollout status --wait for what was given up
ends with 3.`
	case api.VerbPause:
		return `With --wait it returns when the rollout has ended that somebody has resumed; --timeout ends that
with 5.`
	case api.VerbResume, api.VerbPromote, api.VerbRetry:
	}
	return `With --wait it returns when the rollout has ended; its exit status is that of xds rollout status --wait.`
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "someone"
}

func (a *app) rolloutStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Show where a rollout is", Args: noArgs,
		Long: "Show where a rollout is, what it waits for, and what no check can show of the revision\n(not proven: see docs/rollouts.md)." + waitHelp,
	}
	flags := a.rolloutFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := flags.valid(); err != nil {
			return err
		}
		return a.showRollout(cmd.Context(), flags)
	}
	return cmd
}

// showRollout prints where the rollout is, with --wait once it has ended.
func (a *app) showRollout(ctx context.Context, flags rolloutFlags) error {
	f, outcome, err := a.outcome(ctx, flags)
	if err != nil {
		return err
	}
	if f.Fleet == "" { // it was never seen
		return outcome
	}
	err = flags.output.print(f, func(w io.Writer) error { return printRollout(w, f, time.Now()) })
	return errors.Join(err, outcome)
}

// valid is what is wrong with them.
func (f rolloutFlags) valid() error {
	if err := f.output.known(); err != nil {
		return err
	}
	if *f.timeout < 0 || *f.timeout > 0 && !*f.wait {
		return usageError{errors.New("--timeout: how long --wait waits, which is not given")}
	}
	return nil
}

// outcome asks for the fleet, with --wait when it is known what comes of what is on
// disk; outcome is nil where that is served.
func (a *app) outcome(ctx context.Context, f rolloutFlags) (s api.Fleet, outcome, err error) {
	if *f.wait {
		w := waiter{flags: f, ask: f.admin().Fleets, said: a.stderr, began: time.Now()}
		s, outcome = w.wait(ctx)
		return s, outcome, nil
	}
	status, err := f.admin().Fleets(ctx)
	if err != nil {
		return api.Fleet{}, nil, err
	}
	s, err = f.pick(status)
	return s, nil, err
}

// pick finds the fleet that is asked for, the only one where none is named.
func (f rolloutFlags) pick(status api.Status) (api.Fleet, error) {
	if *f.fleet == "" && len(status.Fleets) == 1 {
		return status.Fleets[0], nil
	}
	var names []string
	for _, s := range status.Fleets {
		if s.Fleet == *f.fleet {
			return s, nil
		}
		names = append(names, s.Fleet)
	}
	switch {
	case len(names) == 0:
		return api.Fleet{}, errors.New("there is no fleet yet")
	case *f.fleet == "":
		return api.Fleet{}, fmt.Errorf("there are %d fleets: say which (--fleet): %s", len(names), strings.Join(names, ", "))
	}
	return api.Fleet{}, fmt.Errorf("there is no fleet %q; there is %s (--fleet)", *f.fleet, strings.Join(names, ", "))
}

func printRollout(w io.Writer, f api.Fleet, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "fleet\t%s\nserving\t%s\nprevious\t%s\n", f.Fleet, revision(f.Serving), revision(f.Previous))
	if len(f.Kept) > 1 {
		fmt.Fprintf(t, "kept\t%s (xds rollout undo --to)\n", numbers(f.Kept))
	}
	if r := f.Rollout; r != nil {
		fmt.Fprintf(t, "candidate\t%s\nstage\t%d of %d: %s, for %s\n", revision(f.Candidate), r.Index, r.Stages, r.Stage, ago(now, r.StageAt))
		for _, phase := range api.Phases {
			if n := r.Phases[phase]; n > 0 {
				fmt.Fprintf(t, "%s\t%d of %d\n", phase, n, r.Members)
			}
		}
	}
	if d := f.Disk; d.State != api.DiskServed && d.State != api.DiskTried {
		fmt.Fprintf(t, "on disk\t%s\n", onDisk(d))
	}
	if h := f.WaitsFor; h != nil {
		fmt.Fprintf(t, "%s\t%s\n", waitsLabel(h.Kind), waitsText(h))
	}
	if d := f.Degraded; d != nil {
		fmt.Fprintf(t, "degraded\t%s\n", degradedText(f, d))
	}
	if f.Troubled != nil {
		fmt.Fprintf(t, "trouble\t%s\n", f.Troubled.Text)
	}
	if f.Asked != nil {
		fmt.Fprintf(t, "checks\t%s\n", f.Asked.Reason)
	}
	for _, why := range f.Unproven {
		fmt.Fprintf(t, "not proven\t%s\n", why)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("printing the rollout: %w", err)
	}
	return nil
}

func numbers(all []api.Revision) string {
	var out []string
	for _, r := range all {
		out = append(out, strconv.Itoa(r.Number))
	}
	return strings.Join(out, ", ")
}

// onDisk is what is on disk, where it is not what is served.
func onDisk(d api.Disk) string {
	switch {
	case d.State == api.DiskNothing && d.Why == "":
		return "nothing of the fleet"
	case d.Revision.ID == "":
		return fmt.Sprintf("%s: %s", d.State, d.Why)
	case strings.HasPrefix(d.Why, string(d.State)): // "undone by alice"
		return fmt.Sprintf("%s, %s", revision(d.Revision), d.Why)
	}
	return fmt.Sprintf("%s, %s: %s", revision(d.Revision), d.State, d.Why)
}

// waitsLabel names a line about what is waited for.
func waitsLabel(kind api.WaitKind) string {
	if kind == api.WaitPaused {
		return "paused"
	}
	return "waiting"
}

// waitsText begins with the command where nothing but that ends it.
func waitsText(h *api.Wait) string {
	switch {
	case !h.Kind.Person():
		return h.Text
	case h.Kind == api.WaitPaused:
		return "go on with `" + h.Do + "`: " + h.Text
	}
	return "end the stage with `" + h.Do + "`: " + h.Text
}
