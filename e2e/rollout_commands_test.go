package e2e

import (
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// xds runs `xds rollout …` and returns what it printed and its exit status.
func (w *world) xds(args ...string) (out string, status int) {
	cmd := exec.Command(xdsPath, append([]string{"rollout"}, args...)...)
	cmd.Env = append(cmd.Environ(), "XDS_ADMIN="+w.admin)
	text, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return err.Error(), -1
	}
	return string(text), cmd.ProcessState.ExitCode()
}

func (w *world) wants(status int, holds string, args ...string) {
	w.t.Helper()
	if out, got := w.xds(args...); got != status || !strings.Contains(out, holds) {
		w.t.Errorf("xds rollout %q: exit status %d, want %d and %q:\n%s", args, got, status, holds, out)
	}
}

// begun runs a command that waits. What it returns is to be called once.
func (w *world) begun(args ...string) (ends func(status int, holds string)) {
	done := make(chan func(int, string), 1)
	go func() {
		out, got := w.xds(args...)
		done <- func(status int, holds string) {
			w.t.Helper()
			if got != status || !strings.Contains(out, holds) {
				w.t.Errorf("xds rollout %q: exit status %d, want %d and %q:\n%s", args, got, status, holds, out)
			}
		}
	}()
	return func(status int, holds string) {
		w.t.Helper()
		(<-done)(status, holds)
	}
}

// What a pipeline does: save, and wait for how it ends; and what people do then.
func TestRolloutCommandLine(t *testing.T) {
	t.Parallel()
	w, proxies := stagedWorld(t, 2, func(w *world, o *fleetOptions) { w.NoPreflight, o.Rollout = true, approved })
	first := w.servingRevision(len(proxies))
	w.wants(1, "no rollout is in progress", "pause")

	save(t, w.module, gate(t, 2))
	ends := w.begun("status", "--wait")
	w.awaiting(proxies)
	w.wants(0, "stage", "promote", "--by", "bob", "--why", "it looks good")
	ends(0, "serving")
	second := w.servingRevision(len(proxies))

	w.wants(0, first[:8], "undo", "--wait", "--timeout", "20s", "--by", "carol", "--why", "a bad day")
	for _, p := range proxies {
		p.serves(first)
		p.runs("x-build", build(1))
	}
	// What was undone is on the disk still, and is not tried again by a new server.
	w.crashServer()
	w.wants(3, "undone by carol: a bad day", "status", "--wait")
	if n := w.count(api.EventStarted); n != 2 {
		t.Errorf("%d rollouts began, want 2", n)
	}
	ends = w.begun("retry", "--wait", "--by", "dave")
	w.awaiting(proxies)
	w.wants(0, "stage", "promote")
	ends(0, "serving")
	if again := w.servingRevision(len(proxies)); again != second {
		t.Errorf("%s is served, want %s", again, second)
	}
	w.remembers(second, []string{
		"started ", "promoted bob", "serving ", "undone carol", "retried dave", "started dave", "promoted", "serving ",
	})
}

// remembers checks the history of a revision, by who did what.
func (w *world) remembers(id string, want []string) {
	w.t.Helper()
	out, status := w.xds("history", "-o", "json")
	var entries []api.Entry
	if err := json.Unmarshal([]byte(out), &entries); err != nil || status != 0 {
		w.t.Fatalf("xds rollout history: exit status %d, %v", status, err)
	}
	kinds := []api.EventKind{api.EventStarted, api.EventPromoted, api.EventServing, api.EventUndone, api.EventRetried, api.EventAborted}
	var got []string
	for _, e := range entries {
		if e.Revision.ID == id && slices.Contains(kinds, e.Kind) {
			got = append(got, string(e.Kind)+" "+e.By)
		}
	}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		w.t.Errorf("the history is %q, want %q", got, want)
	}
	w.wants(0, "a bad day", "history")
}

// What does not end in serving ends --wait with 3, however it ends.
func TestRolloutCommandLineFails(t *testing.T) {
	t.Parallel()
	w, proxies := stagedWorld(t, 2, func(w *world, o *fleetOptions) { w.NoPreflight, o.Rollout = true, approved })
	good := w.servingRevision(len(proxies))

	save(t, w.module, []byte("no module"))
	w.wants(3, "not served: refused: ", "status", "--wait")

	save(t, w.module, fault{request: "unreachable"}.module(t))
	w.wants(3, "in its shadow listener", "status", "--wait")
	w.crashServer()
	w.wants(3, "in its shadow listener", "status", "--wait")
	for _, p := range proxies {
		p.serves(good)
	}
	w.wants(3, "in its shadow listener", "retry", "--wait")
	mustEqual(t, "times it was rejected", w.count(api.EventRejected), 2)

	save(t, w.module, gate(t, 2))
	ends := w.begun("status", "--wait")
	w.awaiting(proxies)
	w.wants(0, "aborted by erin: not today", "abort", "--wait", "--by", "erin", "--why", "not today")
	ends(3, "aborted by erin")
	for _, p := range proxies {
		p.serves(good)
		p.runs("x-build", build(1))
	}
}
