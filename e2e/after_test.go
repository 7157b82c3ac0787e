package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

const noStages = "{stages: [{name: all, percent: 100, bake: 0s}]}"

// happened waits for an entry of a kind in the fleet's history.
func (w *world) happened(kind api.EventKind, number int) api.Entry {
	w.t.Helper()
	var found api.Entry
	w.eventually(fmt.Sprintf("revision %d is %s", number, kind), func() error {
		for _, e := range w.history() {
			if e.Kind == kind && e.Revision.Number == number {
				found = e
				return nil
			}
		}
		return fmt.Errorf("not yet")
	})
	return found
}

// asks sends requests, each on a connection of its own, until one is answered as
// wanted, and returns when the first and the last were sent.
func (p *proxy) asksUntil(status int, token string) (first, last time.Time, others int) {
	p.w.t.Helper()
	first = time.Now()
	p.w.eventually(fmt.Sprintf("%s answers %d", p.Node, status), func() error {
		last = time.Now()
		a, err := p.ask("token", token)
		if err == nil && a.Status == status {
			return nil
		}
		others++
		return fmt.Errorf("%d, %w", a.Status, err)
	})
	return first, last, others
}

// A module that only traps, without a check and without a request while its stages
// last, is found with the first requests, whatever its failure policy, and taken
// back; and so it is when the server was restarted in between.
func TestTrapsAfterTheLastStage(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"", "FAIL_OPEN", "FAIL_RELOAD"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			w := begun(t, fleetOptions{Rollout: noStages, Policy: policy, Hostile: "off"}, gate(t, 1))
			p := w.proxies(1)[0]
			save(t, w.module, assemble(t, "traps"))
			w.happened(api.EventServing, 2)
			if policy == "" {
				w.crashServer()
			}
			p.serves(w.servingRevision(1))
			p.isCountedAnew()
			first, back, wrong := p.asksUntil(403, "432323") // which no crashed filter answers, nor one that lets all pass
			degraded, undone := w.happened(api.EventDegraded, 2), w.happened(api.EventTakenBack, 2)
			t.Logf("degraded %s, taken back %s and answered rightly %s after the first request; %d requests met it: %s",
				degraded.At.Sub(first).Round(time.Millisecond), undone.At.Sub(first).Round(time.Millisecond), back.Sub(first).Round(time.Millisecond), wrong, undone.Reason)
			p.runs("x-build", build(1))
			if f, err := w.onlyFleet(); err != nil || len(f.Rejected) != 1 || f.Rejected[0].Number != 2 || f.Degraded != nil {
				t.Errorf("it is to be rejected, and the fleet well: %+v, %v", f, err)
			}
			if text, err := w.server.API.Metrics(t.Context()); err != nil || !strings.Contains(text, `waxwing_degraded{fleet="edge"} 0`) {
				t.Errorf("the metric: %v", err)
			}
		})
	}
}

// isCountedAnew waits for two flushes of the proxy's counters: what the rollout itself
// brought is in the first.
func (p *proxy) isCountedAnew() {
	p.w.t.Helper()
	var at time.Time
	for range 3 {
		p.w.eventually("it sends counters", func() error {
			s, err := p.w.status()
			if err != nil || len(s.Proxies) != 1 {
				return fmt.Errorf("%d proxies, %w", len(s.Proxies), err)
			}
			if !s.Proxies[0].Counted.After(at) {
				return fmt.Errorf("none since %s", at)
			}
			at = s.Proxies[0].Counted
			return nil
		})
	}
}

// A fleet's first revision has none before it. One that never answered a request
// rightly is rejected all the same.
func TestFirstRevisionThatOnlyTraps(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"FAIL_CLOSED", "FAIL_RELOAD"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			w := begun(t, fleetOptions{Rollout: noStages, Policy: policy, Hostile: "off"}, assemble(t, "traps"))
			p := w.startProxy("edge-0")
			p.serves(w.servingRevision(1))
			p.isCountedAnew()
			begin := time.Now()
			w.eventually("it is rejected", func() error {
				if a, err := p.ask("token", "32323"); err == nil && a.Status == http.StatusOK {
					t.Errorf("a request passed a filter that only traps: %+v", a)
				}
				f, err := w.onlyFleet()
				if err == nil && (len(f.Rejected) != 1 || f.Serving.ID != "") {
					err = fmt.Errorf("%+v", f)
				}
				return err
			})
			t.Logf("rejected %s after the first request: %s", time.Since(begin).Round(time.Millisecond), w.happened(api.EventTakenBack, 1).Reason)
			w.eventually("its listener is closed", func() error {
				a, err := p.ask("token", "32323")
				if err == nil {
					return fmt.Errorf("%+v", a)
				}
				return nil
			})
			save(t, w.module, gate(t, 1))
			p.runs("x-build", build(1))
		})
	}
}

// Under FAIL_OPEN requests pass a filter that has crashed, as the file wants it: a
// first revision stays, and is degraded for as long as the proxy runs.
func TestFirstRevisionThatTrapsAndFailsOpen(t *testing.T) {
	t.Parallel()
	w := begun(t, fleetOptions{Rollout: noStages, Policy: "FAIL_OPEN", Hostile: "off"}, assemble(t, "traps"))
	p := w.startProxy("edge-0")
	p.serves(w.servingRevision(1))
	p.isCountedAnew()
	p.asksUntil(http.StatusOK, "32323")
	w.happened(api.EventStays, 1)
	for range 2 {
		p.asksUntil(http.StatusOK, "32323")
		p.isCountedAnew()
	}
	if f, err := w.onlyFleet(); err != nil || f.Serving.Number != 1 || f.Degraded == nil || f.Degraded.Evidence != rollout.CrashedVMs {
		t.Errorf("%+v, %v", f, err)
	}
}

// A filter that answers rightly for as long as its stages last, and lets all pass
// later, fails its checks, which are asked on: it is taken back.
func TestFilterThatWearsOut(t *testing.T) {
	t.Parallel()
	w := begun(t, fleetOptions{Rollout: noStages, Checks: checks, Hostile: "off"}, gate(t, 1))
	p := w.proxies(1)[0]
	save(t, w.module, assemble(t, "wears_out"))
	w.happened(api.EventServing, 2)
	for range 900 { // on two workers
		if a, err := p.ask("token", "432323"); err != nil || a.Status == http.StatusOK {
			break
		}
	}
	_, passes, _ := p.asksUntil(http.StatusOK, "432323")
	back := w.happened(api.EventTakenBack, 2)
	t.Logf("degraded %s and taken back %s after it let a request pass: %s",
		w.happened(api.EventDegraded, 2).At.Sub(passes).Round(time.Millisecond), back.At.Sub(passes).Round(time.Millisecond), back.Reason)
	p.runs("x-build", build(1))
	p.wants(403, forbidden, "token", "432323")
}

// The service behind a good filter fails for a while: the fleet is degraded, which
// the status and the metric say at once, and nothing is taken back for it; then it
// is well again.
func TestServiceThatFailsWhileItIsWatched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var fails atomic.Bool
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if fails.Load() {
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	w.begins(w.fleetYAML(fleetOptions{Rollout: noStages, Checks: checks}), gate(t, 1))
	p := w.proxies(1)[0]
	save(t, w.module, gate(t, 2))
	p.runs("x-build", build(2))
	w.happened(api.EventServing, 2)
	p.isCountedAnew()
	began := time.Now()
	fails.Store(true)
	metric := func(want int) {
		t.Helper()
		w.eventually("the metric says so", func() error {
			text, err := w.server.API.Metrics(t.Context())
			if err == nil && !strings.Contains(text, fmt.Sprintf("waxwing_degraded{fleet=%q} %d", "edge", want)) {
				err = fmt.Errorf("it does not: %d", want)
			}
			return err
		})
	}
	metric(1)
	t.Logf("degraded %s after the service began to fail: %s", time.Since(began).Round(time.Millisecond), w.happened(api.EventDegraded, 2).Reason)
	for range 2 { // the checks fail again and again, and it stays
		p.isCountedAnew()
	}
	if f, err := w.onlyFleet(); err != nil || f.Serving.Number != 2 || f.Degraded == nil {
		t.Errorf("the service's failure was held against the revision: %+v, %v", f, err)
	}
	fails.Store(false)
	metric(0)
	w.happened(api.EventRecovered, 2)
	p.wants(403, forbidden, "token", "432323")
}
