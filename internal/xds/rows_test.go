package xds

import (
	"math/rand/v2"
	"testing"
)

// A node id has one row, whichever of its streams opens first and ends last: there as long
// as one is open or it is to be asked something, connected as long as it has ADS.
func TestOneRowForEachNode(t *testing.T) {
	target := build(t, "echo", "module 1")
	for seed := range uint64(24) {
		h, r := serve(t, Limits{}), rand.New(rand.NewPCG(seed, 1))
		var ends []func()
		opens := []func(){
			func() {
				h.Probe("a", &ProbePlan{ID: PlanID{Of: "x"}})
				ends = append(ends, func() { h.Probe("a", nil) })
			},
			func() {
				m := h.metrics(evident("a"))
				h.flush(m) // it says who it is with the first
				h.expect(Counted, "a")
				ends = append(ends, func() { _ = m.End() })
			},
			func() { p := h.health("a"); h.expect(HealthOpened, "a"); ends = append(ends, p.Close) },
			func() {
				p := h.proxy("a", false, nil)
				h.start(p, "a", target)
				ends = append(ends, p.Close)
			},
		}
		r.Shuffle(len(opens), func(i, j int) { opens[i], opens[j] = opens[j], opens[i] })
		for _, open := range opens {
			open()
		}
		if all := h.Proxies(); len(all) != 1 || !all[0].Health || !all[0].Metrics {
			t.Fatalf("of its streams is known %+v", all)
		}
		if h.Node("a").GetId() != "a" || h.Node("b") != nil || h.Stats().Proxies != 1 || h.Connected() != 1 || !h.HealthOpen("a") {
			t.Errorf("its node is %v, that of another %v", h.Node("a"), h.Node("b"))
		}
		r.Shuffle(len(ends), func(i, j int) { ends[i], ends[j] = ends[j], ends[i] })
		for i, end := range ends {
			if h.Stats().Proxies != 1 {
				t.Errorf("seed %d: %d rows, and %d things are left of it", seed, h.Stats().Proxies, len(ends)-i)
			}
			end()
		}
		h.eventually(func() bool {
			return h.Stats().Proxies == 0 && h.Connected() == 0 && h.Node("a") == nil && !h.HealthOpen("a")
		})
	}
}

// A row of a proxy that has refused something stays when its last stream has ended, and is
// the same when it is back, by whichever stream.
func TestRowThatRemembersRefusals(t *testing.T) {
	h := serve(t, Limits{})
	h.refuseAll(0, 1, build(t, "echo", "module 1"))
	if s := h.Stats(); s.Proxies != 1 || h.Connected() != 0 || h.absent.Len() != 1 {
		t.Fatalf("%d rows, %d connected, %d absent", s.Proxies, h.Connected(), h.absent.Len())
	}
	p := h.health("p0")
	h.expect(HealthOpened, "p0")
	if n := h.absent.Len(); n != 0 {
		t.Errorf("it is here, and %d are absent", n)
	}
	p.Close()
	h.expect(HealthClosed, "p0")
	h.eventually(func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.absent.Len() == 1 })
	if n := h.Stats().Proxies; n != 1 {
		t.Errorf("%d rows", n)
	}
}
