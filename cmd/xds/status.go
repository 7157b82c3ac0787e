package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxwing-xds/waxwing/internal/api"
)

func (a *app) status() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the fleets and the connected proxies of a running server",
		Long: `Show the fleets and the connected proxies of a running server, and below the tables what
is wrong or not proven, and why. What each STATE of a proxy means, and what to do then, and what
"not proven" means is in docs/rollouts.md.`,
		Args: noArgs,
	}
	admin := a.adminFlag(cmd)
	output := a.outputFlag(cmd)
	ready := cmd.Flags().Bool("ready", false, "print nothing; exit with 1 unless there is a revision to serve")
	following := cmd.Flags().BoolP("follow", "f", false, "go on, and show what happens as it happens")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *following {
			return follow(cmd.Context(), a.stdout, admin())
		}
		if err := output.known(); err != nil {
			return err
		}
		if *ready {
			return readiness(cmd.Context(), admin())
		}
		status, err := admin().Status(cmd.Context())
		if err != nil {
			return err
		}
		return output.print(status, func(w io.Writer) error { return printStatus(w, status, time.Now()) })
	}
	return cmd
}

// printStatus prints the tables, and below them what is wrong, in full.
func printStatus(w io.Writer, s api.Status, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FLEET\tSERVING\tTRYING\tSTAGE\tMODULES\tPROXIES\tREJECTED")
	for _, f := range s.Fleets {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%d\n", f.Fleet, revision(f.Serving), revision(f.Candidate),
			stage(f.Rollout), modules(f.Modules), f.Proxies, len(f.Rejected))
	}
	fmt.Fprintln(t)
	fmt.Fprintln(t, "NODE\tFLEET\tSTATE\tSERVED\tWANTED\tSINCE\tCONNECTED\tLAST ACK\tLAST NACK\tENVOY")
	for _, p := range s.Proxies {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Node, orDash(p.Fleet), stateOf(p),
			revision(p.Served), revision(p.Wanted), ago(now, p.Since), ago(now, p.Connected),
			verdict(now, p.LastACK), verdict(now, p.LastNACK), orDash(p.Envoy))
	}
	if len(s.Proxies) == 0 {
		fmt.Fprintln(t, "(no proxy is connected)")
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("printing the status: %w", err)
	}
	return printProblems(w, s, now)
}

func printProblems(w io.Writer, s api.Status, now time.Time) error {
	lines := append(portProblems(s.Port, now), adminProblems(s.Admin, now)...)
	for _, f := range s.Fleets {
		lines = append(lines, fleetProblems(f)...)
	}
	for _, file := range slices.Sorted(maps.Keys(s.Problems)) {
		lines = append(lines, s.Problems[file])
	}
	for _, p := range s.Proxies {
		lines = append(lines, proxyProblems(p, now)...)
	}
	if len(lines) == 0 {
		return nil
	}
	if _, err := fmt.Fprintf(w, "\n%s\n", strings.Join(lines, "\n")); err != nil {
		return fmt.Errorf("printing the status: %w", err)
	}
	return nil
}

func fleetProblems(f api.Fleet) (lines []string) {
	if f.Problem != "" {
		lines = append(lines, fmt.Sprintf("fleet %s: what is on disk can't be served:\n  %s", f.Fleet, strings.ReplaceAll(f.Problem, "\n", "\n  ")))
	}
	if d := f.Degraded; d != nil {
		lines = append(lines, fmt.Sprintf("fleet %s: degraded %s", f.Fleet, degradedText(f, d)))
	}
	if f.Unsaved != "" {
		lines = append(lines, fmt.Sprintf("fleet %s: its state is not on disk since %s, and a restart would go back to an older one; it is tried again: %s",
			f.Fleet, f.UnsavedSince.Format(time.DateTime), f.Unsaved))
	}
	if d := f.Disk; d.State == api.DiskRejected || d.State == api.DiskAborted || d.State == api.DiskUndone {
		lines = append(lines, fmt.Sprintf("fleet %s: on disk is not what is served: %s", f.Fleet, onDisk(d)))
	}
	if f.Asked != nil {
		lines = append(lines, fmt.Sprintf("fleet %s: %s", f.Fleet, f.Asked.Reason))
	}
	if f.WaitsFor != nil {
		lines = append(lines, fmt.Sprintf("fleet %s: %s", f.Fleet, f.WaitsFor.Text))
	}
	for _, notice := range f.Notices {
		lines = append(lines, fmt.Sprintf("fleet %s: %s", f.Fleet, notice))
	}
	for _, why := range f.Unproven {
		lines = append(lines, fmt.Sprintf("fleet %s: not proven: %s", f.Fleet, why))
	}
	for _, r := range f.Rejected[max(0, len(f.Rejected)-3):] {
		lines = append(lines, fmt.Sprintf("fleet %s: revision %s was %s%s at %s: %s",
			f.Fleet, revision(r.Revision), cmp.Or(r.Kind, api.EventRejected), strings.TrimPrefix(byNode(r.Node), ","), r.At.Format(time.DateTime), r.Reason))
	}
	return lines
}

func proxyProblems(p api.Proxy, now time.Time) (lines []string) {
	if p.Trouble != "" {
		part := ""
		if p.Part.ID != "" {
			part = fmt.Sprintf(", and has what it can take of revision %s meanwhile", revision(p.Part))
		}
		lines = append(lines, fmt.Sprintf("%s has trouble of its own, since %s%s: %s; %s",
			p.Node, p.Since.Format(time.DateTime), part, p.Trouble, nextTry(now, p)))
	} else if p.LastNACK != nil {
		lines = append(lines, fmt.Sprintf("%s refused %s: %s", p.Node, p.LastNACK.Resource, p.LastNACK.Message))
	}
	if p.Clock != "" && !strings.Contains(p.Trouble, "its clock") {
		lines = append(lines, fmt.Sprintf("%s: %s", p.Node, p.Clock))
	}
	if p.Forbidden != "" {
		lines = append(lines, fmt.Sprintf("%s gets nothing: fleet %s matches it, but its certificate does not let it be of that (see `identity` in xds.yaml)", p.Node, p.Forbidden))
	}
	for _, why := range []string{p.Kept, p.Waits} {
		if why != "" {
			lines = append(lines, fmt.Sprintf("%s: %s", p.Node, why))
		}
	}
	if len(p.Missing) > 0 {
		lines = append(lines, fmt.Sprintf("%s has no stream for %s: what it can't show is not waited for (see `xds bootstrap`)",
			p.Node, strings.Join(p.Missing, " and ")))
	}
	if p.Twins != "" {
		lines = append(lines, p.Twins)
	}
	if p.Streams > 1 {
		lines = append(lines, fmt.Sprintf("the node id %s is shared by %d processes (or one has just come back): each is served, and a revision must hold on all of them", p.Node, p.Streams))
	}
	return lines
}

// degradedText is since when, by whom and why.
func degradedText(f api.Fleet, d *api.Degraded) string {
	return fmt.Sprintf("since %s, by %s: revision %s: %s: %s", d.Since.Format(time.DateTime), d.Node, revision(f.Serving), d.Evidence, d.Reason)
}

// nextTry is when a proxy in trouble is sent again what it could not take, or what else ends that.
func nextTry(now time.Time, p api.Proxy) string {
	if p.NextTry.IsZero() {
		return p.TroubleEnds
	}
	return "it is tried again in " + max(0, p.NextTry.Sub(now)).Round(time.Second).String()
}

// stage is "1/2 canary", and what holds it up.
func stage(r *api.Rollout) string {
	if r == nil {
		return "-"
	}
	text := fmt.Sprintf("%d/%d %s", r.Index, r.Stages, r.Stage)
	switch {
	case r.Paused:
		text += ", paused"
	case r.Awaiting:
		text += ", to be approved"
	}
	return text
}

// stateOf is a proxy's state, or in a rollout its phase.
func stateOf(p api.Proxy) string {
	if p.Phase != api.PhaseIdle {
		return string(p.Phase)
	}
	return string(p.State)
}

// revision is "7 (4f1c2a90)".
func revision(r api.Revision) string {
	switch {
	case r.ID == "":
		return "-"
	case r.Number == 0:
		return r.ID[:min(8, len(r.ID))]
	}
	return fmt.Sprintf("%d (%s)", r.Number, r.ID[:min(8, len(r.ID))])
}

func modules(list []api.Module) string {
	var out []string
	for _, m := range list {
		out = append(out, m.Filter+"="+m.Digest[:min(12, len(m.Digest))])
	}
	return orDash(strings.Join(out, " "))
}

func verdict(now time.Time, v *api.Verdict) string {
	if v == nil {
		return "-"
	}
	return v.Resource + " " + ago(now, v.At)
}

func ago(now, t time.Time) string { return now.Sub(t).Round(time.Second).String() }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
