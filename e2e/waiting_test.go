package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/bootstrap"
)

const (
	labelled = `{stages: [{name: canary, proxies: 1, bake: 100ms, deadline: 8s, match: {labels: {track: canary}}}, {name: all, percent: 100, bake: 100ms}]}`
	quick    = `{stages: [{name: canary, proxies: 1, bake: 100ms}, {name: all, percent: 100, bake: 100ms}]}`
	slow     = `{stages: [{name: canary, proxies: 1, bake: 1h}, {name: all, percent: 100, bake: 100ms}]}`
)

// saying waits until `xds ARGS` says something.
func (w *world) saying(what string, args ...string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("xds %q says %q", args, what), func() error {
		cmd := exec.Command(xdsPath, args...)
		cmd.Env = append(cmd.Environ(), "XDS_ADMIN="+w.admin)
		out, err := cmd.CombinedOutput()
		if err == nil && !strings.Contains(string(out), what) {
			err = errors.New(string(out))
		}
		return err
	})
}

// toldLast waits until the last entry of a kind in the history says something.
func (w *world) toldLast(kind api.EventKind, what string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%q is told: %s", kind, what), func() error {
		last := ""
		for _, e := range w.history() {
			if e.Kind == kind {
				last = e.Reason
			}
		}
		if !strings.Contains(last, what) {
			return fmt.Errorf("the last is %q", last)
		}
		return nil
	})
}

// follow changes what a fleet file says, and saves it.
type follow struct {
	*world
	o fleetOptions
}

func (f *follow) save(change func(*fleetOptions)) {
	f.t.Helper()
	change(&f.o)
	save(f.t, f.fleet, f.fleetYAML(f.o))
}

func following(t *testing.T, n int, o fleetOptions) (*follow, []*proxy) {
	t.Helper()
	f := &follow{world: newWorld(t), o: o}
	f.NoPreflight = true // a check that is wrong is to reach a proxy
	write(t, f.fleet, f.fleetYAML(f.o))
	write(t, f.module, gate(t, 1))
	f.startServer()
	return f, f.proxies(n)
}

// A stage that no connected proxy matches says so at once, its deadline counts, a
// proxy that matches has it tried again, and a person can pass it.
func TestEmptyStageIsSaidAndCanBePassed(t *testing.T) {
	t.Parallel()
	w, proxies := following(t, 1, fleetOptions{Rollout: labelled, Checks: checks})
	good := w.servingRevision(1)
	stop := users(proxies)
	save(t, w.module, gate(t, 2))
	w.saying(`no connected proxy matches stage "canary" (label track=canary)`, "status")
	w.saying("in ", "rollout", "status")
	w.wants(1, "promote --skip-empty", "promote")
	w.wants(3, `not served: rejected: no connected proxy matches stage "canary"`, "status", "--wait")
	proxies[0].serves(good)

	canary := w.startProxy("edge-9", func(o *bootstrap.Options) { o.Labels = map[string]string{"track": "canary"} })
	second := w.servingRevision(2)
	w.toldLast(api.EventRetried, `edge-9 is connected, which can be of stage "canary"`)
	canary.runs("x-build", build(2))
	canary.Stop()
	w.eventually("the canary is gone", func() error { return w.connected(1) })

	w.save(func(o *fleetOptions) { o.Rollout = strings.Replace(labelled, "8s", "1h", 1) })
	save(t, w.module, gate(t, 3))
	w.saying("goes on without the stage", "rollout", "status")
	w.wants(0, "", "promote", "--skip-empty", "--wait", "--by", "ann", "--why", "no canary today")
	if third := w.servingRevision(1); third == second {
		t.Error("the revision before is served")
	}
	w.toldLast(api.EventSkipped, "passed by ann: no canary today")
	if wrong := stop(); len(wrong) > 0 {
		t.Errorf("%d wrong answers, the first: %s", len(wrong), wrong[0])
	}
}

func (w *world) connected(n int) error {
	s, err := w.status()
	if err == nil && len(s.Proxies) != n {
		err = fmt.Errorf("%d proxies are connected, not %d", len(s.Proxies), n)
	}
	return err
}

const (
	wrongCheck = `[{request: {headers: {token: "432323"}}, expect: {status: 200}}]`
	otherCheck = `[{request: {headers: {token: "32323"}}, expect: {status: 200}}]`
)

// Checks, stages and shadows that change alone are taken, whatever the revision that
// they come with is at: rejected by them, on its way, or served.
func TestChangesOfOnlyWhatComesWithARevision(t *testing.T) {
	t.Parallel()
	w, proxies := following(t, 2, fleetOptions{Rollout: quick, Checks: checks})
	first := w.servingRevision(2)
	stop := users(proxies)

	// Served: asked of every proxy, and nothing is taken back.
	w.save(func(o *fleetOptions) { o.Checks = otherCheck })
	w.wants(0, "the changed checks hold on 2 proxies", "status", "--wait")
	w.save(func(o *fleetOptions) { o.Checks = wrongCheck })
	w.toldLast(api.EventAsked, "fail on edge-0: gate #1")
	w.saying("they fail on edge-1", "status")
	w.servingRevision(2)

	// Rejected by a wrong check: tried again when that is mended, and not for a comment.
	save(t, w.module, gate(t, 2))
	w.wants(3, "in its shadow listener", "status", "--wait")
	save(t, w.fleet, append(w.fleetYAML(w.o), "# a comment\n"...))
	w.wants(3, "in its shadow listener", "status", "--wait")
	mustEqual(t, "times it was tried again", w.count(api.EventRetried), 0)
	w.save(func(o *fleetOptions) { o.Checks = checks })
	w.wants(0, "serving", "status", "--wait")
	second := w.servingRevision(2)
	w.toldLast(api.EventRetried, "what it was rejected by is another now: check")

	// On its way: an hour's bake is a moment's now.
	w.save(func(o *fleetOptions) { o.Rollout = slow })
	save(t, w.module, gate(t, 3))
	w.saying("the next stage begins", "rollout", "status")
	w.save(func(o *fleetOptions) { o.Rollout = quick })
	w.wants(0, "serving", "status", "--wait")
	third := w.servingRevision(2)
	w.toldLast(api.EventReplanned, "on disk only stages changed: it goes on by that, in stage 1 of 2")

	// The shadow listeners go, and come again; no real one is touched.
	w.shadows(proxies, true)
	w.save(func(o *fleetOptions) { o.NoShadow = true })
	w.shadows(proxies, false)
	w.toldLast(api.EventReplanned, "only shadow changed")
	w.save(func(o *fleetOptions) { o.NoShadow = false })
	w.shadows(proxies, true)
	if id := w.servingRevision(2); id != third || first == second || second == third {
		t.Errorf("%s is served, after %s, %s and %s", id, first, second, third)
	}
	if wrong := stop(); len(wrong) > 0 {
		t.Errorf("%d wrong answers, the first: %s", len(wrong), wrong[0])
	}
	for _, p := range proxies {
		mustEqual(t, "listeners modified on "+p.Node, p.stat("listener_manager.listener_modified"), 0)
	}
}

// shadows waits until proxies have a shadow listener, or have none.
func (w *world) shadows(proxies []*proxy, want bool) {
	w.t.Helper()
	for _, p := range proxies {
		w.eventually(fmt.Sprintf("%s has a shadow listener: %v", p.Node, want), func() error {
			text, err := w.get("http://" + p.admin + "/listeners")
			if err == nil && strings.Contains(text, "waxwing.shadow/") != want {
				err = errors.New(text)
			}
			return err
		})
	}
}

// --wait waits for this save, over a restart of the server, and its exit status
// tells how it ended.
func TestWaitTellsHowASaveEnded(t *testing.T) {
	t.Parallel()
	w, proxies := following(t, 1, fleetOptions{Rollout: quick, Checks: checks})
	first := w.servingRevision(1)
	w.wants(0, first[:8], "status", "--wait")

	save(t, w.module, fault{request: "unreachable"}.module(t))
	w.wants(3, "in its shadow listener", "status", "--wait")
	w.save(func(o *fleetOptions) { o.Match = "{clutser: edge}" })
	if out, status := w.xds("status", "--wait"); status != 3 || !strings.Contains(out, "fleet.yaml:2:") || strings.Contains(out, "in its shadow") {
		t.Errorf("exit status %d, want 3 for the mistake in the file, and not the rejection before:\n%s", status, out)
	}

	w.save(func(o *fleetOptions) { o.Match, o.Rollout = "", slow })
	save(t, w.module, gate(t, 2))
	w.saying("bakes", "rollout", "status")
	w.wants(4, "bakes", "status", "--wait", "--timeout", "300ms")
	w.wants(0, "", "pause", "--by", "ann")
	w.wants(5, "paused in stage \"canary\" by ann", "status", "--wait", "--timeout", "500ms")
	w.wants(0, "", "resume")

	// Restarted in between.
	ends := w.begun("status", "--wait", "--timeout", "1m")
	w.saying("waits", "rollout", "status", "-o", "json")
	w.endServer(syscall.SIGKILL)
	w.wants(6, "no xds answers", "status", "--wait", "--timeout", "300ms")
	w.startServer()
	w.saying("bakes", "rollout", "status")
	w.save(func(o *fleetOptions) { o.Rollout = quick })
	ends(8, "a newer save")
	w.wants(0, "serving", "status", "--wait")
	w.servingRevision(1)

	proxies[0].Stop()
	w.eventually("it is gone", func() error { return w.connected(0) })
	w.wants(7, "no proxy of fleet edge is connected", "status", "--wait", "--timeout", "500ms")
}

// What was served before is gone back to by its number, also after a restart; and
// what is on disk meanwhile is said.
func TestUndoTo(t *testing.T) {
	t.Parallel()
	w, proxies := following(t, 1, fleetOptions{Rollout: quick, Checks: checks})
	for i := range 3 {
		if i > 0 {
			save(t, w.module, gate(t, i+1))
		}
		w.wants(0, fmt.Sprintf("%d (", i+1), "status", "--wait")
	}
	stop := users(proxies)
	w.wants(0, "3 (", "undo", "--to", "1", "--by", "ann", "--why", "older is better")
	proxies[0].runs("x-build", build(1))
	w.saying("on disk is not what is served: 3 (", "status")
	w.saying("undone by ann: older is better", "rollout", "status")
	w.crashServer()
	w.servingRevision(1)
	w.saying("undone by ann: older is better", "status")
	w.wants(1, "revision 1 is what is served", "undo", "--to", "1")
	w.wants(1, "there was no revision 4 yet", "undo", "--to", "4")
	w.wants(0, "2 (", "undo", "--to", "2")
	proxies[0].runs("x-build", build(2))
	w.wants(0, "1 (", "undo")
	proxies[0].runs("x-build", build(1))
	w.wants(0, "3 (", "undo", "--to", "3")
	proxies[0].runs("x-build", build(3))
	w.wants(0, "serving", "status", "--wait")
	if f, err := w.onlyFleet(); err != nil || f.Disk.State != api.DiskServed {
		t.Errorf("what is on disk is %+v, %v", f.Disk, err)
	}
	if wrong := stop(); len(wrong) > 0 {
		t.Errorf("%d wrong answers, the first: %s", len(wrong), wrong[0])
	}
}
