package e2e

import (
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// startService starts the service behind the proxies again, where it was.
func (w *world) startService() {
	w.t.Helper()
	if err := w.echo.Start(); err != nil {
		w.t.Fatal(err)
	}
}

// awaitsService waits until a rollout says that it waits for the service of n proxies.
func (w *world) awaitsService(n int) {
	w.t.Helper()
	w.fleetIs("the service is waited for", func(f api.Fleet) bool {
		return f.WaitsFor != nil && f.WaitsFor.Kind == api.WaitService && f.WaitsFor.Count == n
	})
}

// The service starts after the proxies do: the first revision waits for it, over a
// restart of the server, also with a proxy that comes
// meanwhile, and is served when it is there.
func TestLateService(t *testing.T) {
	t.Parallel()
	for _, shadow := range []bool{true, false} {
		t.Run(map[bool]string{true: "proven in the shadow", false: "told by the counters"}[shadow], func(t *testing.T) {
			worlds(t, func(t *testing.T, w *world) {
				w.echo.Stop()
				w.begins(w.fleetYAML(fleetOptions{Checks: checks, NoShadow: !shadow, Rollout: `{stages: [{name: all, percent: 100, deadline: 20s}]}`}), gate(t, 1))
				p := w.startProxy("edge-0")
				w.awaitsService(1)
				w.crashServer()
				other := w.startProxy("edge-1")
				w.awaitsService(2)
				w.noneRejected()
				w.startService()
				w.servingRevision(2)
				p.guards()
				other.guards()
				w.noneRejected()
			})
		})
	}
}

// What is saved while a first revision waits for its service waits for it, too: it is neither
// served, nor rejected for what was so before, and is served when the service is there.
func TestSaveWhileTheServiceIsLate(t *testing.T) {
	t.Parallel()
	for _, shadow := range []bool{true, false} {
		t.Run(map[bool]string{true: "proven in the shadow", false: "told by the counters"}[shadow], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.echo.Stop()
			w.begins(w.fleetYAML(fleetOptions{Checks: checks, NoShadow: !shadow, Rollout: `{stages: [{name: all, percent: 100, deadline: 20s}]}`}), gate(t, 1))
			p := w.startProxy("edge-0")
			stop := users([]*proxy{p}) // whose requests fail, which is no evidence
			w.awaitsService(1)
			save(t, w.module, gate(t, 2))
			w.fleetIs("the second revision waits for the service, or is done with", func(f api.Fleet) bool {
				return f.Candidate.Number == 2 && f.WaitsFor != nil && f.WaitsFor.Kind == api.WaitService || f.Serving.ID != "" || len(f.Rejected) > 0
			})
			stop()
			f, err := w.onlyFleet()
			if err != nil || f.Serving.ID != "" {
				t.Fatalf("it is served while each request fails: %+v, %v", f, err)
			}
			w.noneRejected()
			w.startService()
			w.fleetIs("it is served", func(f api.Fleet) bool { return f.Serving.Number == 2 })
			p.guards()
			w.noneRejected()
		})
	}
}

// A service that is down before a revision and after it is no fault of the revision's: that
// is served, and its history says what failed before.
func TestServiceIsDownBeforeAndAfter(t *testing.T) {
	t.Parallel()
	w, proxies := stagedWorld(t, 3)
	w.echo.Stop()
	save(t, w.module, gate(t, 2))
	w.fleetIs("it is served", func(f api.Fleet) bool { return f.Serving.Number == 2 })
	told := false
	for _, e := range w.history() {
		told = told || e.Kind == api.EventFailedBefore && e.Revision.Number == 2
	}
	if !told {
		t.Errorf("the history does not say what failed before: %+v", w.history())
	}
	w.startService()
	for _, p := range proxies {
		p.guards()
	}
}

// A service that fails while a stage bakes, and for the proxies with the revision before as
// well, rejects nothing: it is waited for.
func TestServiceFailsInABake(t *testing.T) {
	t.Parallel()
	w, proxies := stagedWorld(t, 3, func(_ *world, o *fleetOptions) {
		o.Rollout = "{stages: [{name: canary, proxies: 1, bake: 3s}, {name: all, percent: 100, bake: 0s}], prove: 200ms}"
	})
	save(t, w.module, gate(t, 2))
	w.fleetIs("it bakes", func(f api.Fleet) bool { return f.WaitsFor != nil && f.WaitsFor.Kind == api.WaitBaking })
	w.echo.Stop()
	w.awaitsService(1)
	w.startService()
	w.fleetIs("it is served", func(f api.Fleet) bool { return f.Serving.Number == 2 })
	for _, p := range proxies {
		p.guards()
	}
}

// What the filters answer by themselves is never put down to the service: a first revision
// whose filter traps is rejected, by a check that no service answers, or by counters.
func TestTrapIsNoLateService(t *testing.T) {
	t.Parallel()
	for name, asked := range map[string]string{
		"a check that denies": checks,
		"the counters":        `[{request: {headers: {token: "32323"}}, expect: {status: 200}}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.NoPreflight = true
			w.begins(w.fleetYAML(fleetOptions{Checks: asked, NoShadow: true, Policy: "FAIL_CLOSED"}), fault{request: "unreachable"}.module(t))
			p := w.startProxy("edge-0")
			r := w.rejection(0)
			if r.Surroundings {
				t.Errorf("the surroundings are blamed: %+v", r)
			}
			p.refuses()
		})
	}
}
