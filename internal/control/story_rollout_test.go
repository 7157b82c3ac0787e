package control_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control/controltest"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

const staged = "rollout: {prove: 1s, watch: 1m, stages: [{name: canary, proxies: 1, bake: 10s}, {name: all, percent: 100, bake: 10s}]}"

// save saves the fleet file, with a listener at a port.
func save(w *controltest.World, port int, more ...string) {
	w.Save(map[string]string{"edge.yaml": controltest.YAML("edge", port, more...)})
}

// serves has the fleet serve revision 1 to some proxies.
func serves(t *testing.T, w *controltest.World, ids ...string) {
	t.Helper()
	save(w, 1, staged)
	w.Connect(ids...)
	w.Pass(time.Minute)
	if f := w.Fleet("edge"); f.Serving.Number != 1 || f.Candidate.ID != "" {
		t.Fatalf("it does not serve: %+v", f)
	}
	for _, id := range ids {
		if p := w.Node(id); p.State != api.ProxyServing {
			t.Fatalf("%s is %s", id, p.State)
		}
	}
}

func kinds(t *testing.T, w *controltest.World) []rollout.Kind {
	t.Helper()
	entries, err := w.History(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var out []rollout.Kind
	for _, e := range entries {
		out = append(out, e.Kind)
	}
	return out
}

// A file is saved and proxies come: all have it in their shadow listeners, where they are
// asked the checks, and open their real listeners when these hold. Then it is served.
func TestFirstRevision(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		if s := w.Status(); len(s.Fleets)+len(s.Proxies) > 0 {
			t.Errorf("there is nothing, and the status says %+v", s)
		}
		save(w, 1, staged)
		w.Connect("a", "b")
		if f := w.Fleet("edge"); f.Candidate.Number != 1 || f.Serving.ID != "" || f.Disk.State != api.DiskTried || f.File != "edge.yaml" {
			t.Errorf("on its way: %+v", f)
		}
		w.Pass(20 * time.Second)
		f := w.Fleet("edge")
		if f.Serving.Number != 1 || f.Disk.State != api.DiskServed || f.Proxies != 2 || len(f.Unproven) > 0 || f.Modules[0].Filter != "gate" {
			t.Errorf("served: %+v", f)
		}
		p := w.Node("a")
		if p.Served != f.Serving || p.Wanted != f.Serving || p.Fleet != "edge" || p.Modules[0].Filter != "gate" || !slices.Equal(p.Missing, []string{"metrics"}) {
			t.Errorf("a proxy: %+v", p)
		}
		if got := w.Store.Names("revisions/"); !slices.Equal(got, []string{"revisions/edge/" + f.Serving.ID + ".pb"}) {
			t.Errorf("on disk are %v", got)
		}
		for kind, n := range map[api.EventKind]int{api.EventNoticed: 1, api.EventConnected: 2, api.EventWarmed: 2, rollout.Flipped: 1, rollout.Serving: 1} {
			if got := w.Says(kind); len(got) != n {
				t.Errorf("%q was said %d times, want %d: %q", kind, len(got), n, got)
			}
		}
	})
}

// A change goes to the canary's shadow first; when its checks hold there for long enough its
// real listeners take it; when it has baked, the others follow. Each is told apart.
func TestRolloutByStages(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a", "b", "c")
		good := w.Fleet("edge").Serving.ID
		save(w, 2, staged)
		f := w.Fleet("edge")
		if f.Candidate.Number != 2 || f.Rollout == nil || f.Rollout.Stage != "canary" || f.Rollout.Members != 1 || f.Rollout.Phases[rollout.Proving] != 1 {
			t.Fatalf("the canary's stage: %+v", f.Rollout)
		}
		canary := ""
		for _, id := range []string{"a", "b", "c"} {
			if p := w.Node(id); p.Shadow == f.Candidate {
				canary = id
			} else if p.Served.ID != good || p.Shadow.ID != "" {
				t.Errorf("%s has %+v", id, p)
			}
		}
		w.Pass(5 * time.Second)
		if p := w.Node(canary); p.Served != f.Candidate || p.Shadow.ID != good {
			t.Errorf("the canary has %+v in use, and %+v in its shadow", p.Served, p.Shadow)
		}
		if h := w.Fleet("edge").WaitsFor; h == nil || h.Kind != rollout.WaitBaking {
			t.Errorf("it waits for %+v", h)
		}
		w.Pass(8 * time.Second)
		if r := w.Fleet("edge").Rollout; r == nil || r.Stage != "all" || r.Members != 3 {
			t.Errorf("the second stage: %+v", r)
		}
		w.Pass(time.Minute)
		if got := w.Fleet("edge"); got.Serving != f.Candidate || got.Previous.ID != good || got.Rollout != nil {
			t.Errorf("in the end: %+v", got)
		}
		if flips := w.Says(rollout.Flipped); !slices.Equal(flips, []string{"3 proxies", "1 proxy", "2 proxies"}) {
			t.Errorf("flipped are %q", flips)
		}
		if warm := w.Says(api.EventWarmed); len(warm) != 3+3 {
			t.Errorf("%d were warm before", len(warm))
		}
	})
}

// A proxy refuses a candidate in its shadow: no real listener was given it, nobody is given
// it again, and why is in the status, the history and over a restart, until a person says
// that it is to be tried again.
func TestRefusedInTheShadow(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a", "b")
		good := w.Fleet("edge").Serving
		refuses := func(has snapshot.Pair) error {
			if has.Shadow.ID != "" && has.Live.ID == good.ID {
				return errors.New("Unable to create Wasm plugin gate")
			}
			return nil
		}
		w.Now(func(p *controltest.Proxy) { p.Takes = refuses }, "a", "b")
		save(w, 2, staged)
		w.Pass(time.Second)
		check := func() {
			t.Helper()
			f := w.Fleet("edge")
			if f.Serving != good || f.Candidate.ID != "" || len(f.Rejected) != 1 || !strings.Contains(f.Rejected[0].Reason, "Unable to create Wasm plugin gate") {
				t.Errorf("%+v", f)
			}
			if f.Disk.State != api.DiskRejected || !strings.Contains(f.Disk.Why, "Unable to create") {
				t.Errorf("on disk: %+v", f.Disk)
			}
		}
		check()
		for _, id := range []string{"a", "b"} {
			for _, given := range w.Proxy(id).Given {
				if !strings.HasPrefix(given, good.ID) && !strings.HasPrefix(given, "~") {
					t.Errorf("%s was given %s in its real listeners", id, given)
				}
			}
		}
		w.Restart()
		check()
		w.Now(func(p *controltest.Proxy) { p.Takes = nil }, "a", "b")
		if err := w.Do(t.Context(), api.Command{Verb: rollout.Retry, By: "ann"}); err != nil {
			t.Fatal(err)
		}
		w.Pass(time.Minute)
		if f := w.Fleet("edge"); f.Serving.Number != 2 && f.Serving.Number != 3 || len(f.Rejected) > 0 {
			t.Errorf("tried again: %+v", f)
		}
		if got := kinds(t, w); !slices.Contains(got, rollout.Retried) || !slices.Contains(got, rollout.Rejected) {
			t.Errorf("the history is %v", got)
		}
	})
}

// Checks that fail: in the shadow, in use while it bakes, and when all of the fleet has it.
// In each case everyone is back on what was good, and it is said which check it was.
func TestChecksThatFail(t *testing.T) {
	for name, through := range map[string]xds.Through{"in the shadow": xds.ThroughShadow, "while it bakes": xds.ThroughLive, "when it is served": xds.ThroughWatch} {
		t.Run(name, func(t *testing.T) {
			controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
				serves(t, w, "a", "b")
				good := w.Fleet("edge").Serving
				w.Now(func(p *controltest.Proxy) {
					p.Fails = func(plan *xds.ProbePlan) []string {
						if plan.ID.Of != good.ID && plan.ID.Through == through {
							return []string{plan.Probes[0].Name}
						}
						return nil
					}
				}, "a", "b")
				save(w, 2, staged)
				w.Pass(2 * time.Minute)
				f := w.Fleet("edge")
				if f.Serving != good || f.Candidate.ID != "" || len(f.Rejected) != 1 || !strings.Contains(f.Rejected[0].Reason, "gate #1") {
					t.Errorf("%+v, rejected %+v", f, f.Rejected)
				}
				for _, id := range []string{"a", "b"} {
					if p := w.Node(id); p.Served != good {
						t.Errorf("%s has %+v", id, p.Served)
					}
				}
				if !strings.Contains(w.Logged(), "level=ERROR") {
					t.Error("nobody is told")
				}
			})
		})
	}
}

// Counters are evidence, too: requests that found their VM crashed take back what is served.
func TestCountersTakeItBack(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a")
		good := w.Fleet("edge").Serving
		save(w, 2, staged)
		w.Pass(40 * time.Second)
		bad := w.Fleet("edge").Serving
		if bad.Number != 2 {
			t.Fatalf("it is not served: %+v", bad)
		}
		w.Now(func(p *controltest.Proxy) {
			p.Counts = func() xds.Counters {
				c := xds.Counters{Requests: 100, Begun: 100, Routed: 100, Workers: 2, VMs: 8}
				if strings.HasPrefix(p.Given[len(p.Given)-1], bad.ID) {
					c.Crashes, c.Errors, c.Routed = 3, 3, 97
				}
				return c
			}
		}, "a")
		w.Pass(10 * time.Second)
		f := w.Fleet("edge")
		if f.Serving != good || len(f.Rejected) != 1 || f.Rejected[0].Node != "a" {
			t.Errorf("%+v, rejected %+v", f, f.Rejected)
		}
		if n := w.Node("a"); n.Counted.IsZero() && len(n.Missing) > 0 {
			t.Errorf("its metrics are missing: %+v", n)
		}
	})
}

// A statistic that the fleet file names is evidence, when it grows with a revision.
func TestNamedStatisticsAreEvidence(t *testing.T) {
	named := strings.Replace(staged, "{", "{evidence: [{stat: wasmcustom.odd, max_increase: 20}], ", 1) // a test's proxy reports ten times a second
	for odd, rejected := range map[uint64]int{4: 1, 2: 0} {
		controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
			save(w, 1, named)
			w.Connect("a", "b")
			first := ""
			w.Now(func(p *controltest.Proxy) {
				p.Counts = func() xds.Counters {
					c := xds.Counters{Requests: 100, Begun: 100, Routed: 100, Named: map[string]xds.Named{"wasmcustom.odd": {Value: 1}}}
					if given := p.Given[len(p.Given)-1]; first != "" && !strings.HasPrefix(given, first) {
						c.Named["wasmcustom.odd"] = xds.Named{Value: odd}
					}
					return c
				}
			}, "a", "b")
			w.Pass(time.Minute)
			first = w.Fleet("edge").Serving.ID
			save(w, 2, named)
			w.Pass(time.Minute)
			f := w.Fleet("edge")
			if len(f.Rejected) != rejected || rejected > 0 && !strings.Contains(f.Rejected[0].Reason, "wasmcustom.odd is 40") {
				t.Errorf("%d in a tenth of a second, after one: serves %d, rejected %+v", odd, f.Serving.Number, f.Rejected)
			}
		})
	}
}

// A proxy with trouble of its own is no evidence, is tried again by itself, and is told
// apart from one that refuses.
func TestTroubleOfAProxysOwn(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a", "b", "c")
		w.Now(func(p *controltest.Proxy) { p.Takes = func(snapshot.Pair) error { return controltest.ErrTrouble } }, "b")
		save(w, 2, staged)
		w.Pass(time.Minute)
		p := w.Node("b")
		if p.State != api.ProxyTrouble || !strings.Contains(p.Trouble, "Address already in use") {
			t.Errorf("in trouble: %+v", p)
		}
		w.Now(func(p *controltest.Proxy) { p.Takes = nil }, "b")
		w.Pass(3 * time.Minute)
		if f := w.Fleet("edge"); f.Serving.Number != 2 || len(f.Rejected) > 0 {
			t.Errorf("%+v", f)
		}
		if p := w.Node("b"); p.State != api.ProxyServing || !slices.Contains(w.Proxy("b").Told, "retry") {
			t.Errorf("out of trouble: %+v, told %v", p, w.Proxy("b").Told)
		}
	})
}

// A first revision that is rejected: the listeners that were opened for it deny, are closed,
// and nothing is served.
func TestFirstRevisionIsRejected(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		save(w, 1, staged)
		w.Connect("a", "b")
		if what := w.Fleet("edge").WaitsFor; what == nil {
			t.Error("it waits for nothing")
		}
		w.Now(func(p *controltest.Proxy) {
			p.Fails = func(plan *xds.ProbePlan) []string {
				if plan.ID.Through == xds.ThroughShadow {
					return nil
				}
				return []string{plan.Probes[0].Name}
			}
		}, "a", "b")
		w.Pass(time.Minute)
		f := w.Fleet("edge")
		if f.Serving.ID != "" || len(f.Rejected) != 1 {
			t.Fatalf("%+v", f)
		}
		if p := w.Node("a"); p.State != api.ProxyClosed || p.Served.ID != "" {
			t.Errorf("a proxy is %+v", p)
		}
		w.Save(map[string]string{"edge.yaml": "fleet: ["})
		if !strings.Contains(w.Logged(), "nothing: no revision has been good yet") {
			t.Error("it is not said that nothing runs")
		}
		w.Restart()
		w.Pass(time.Second)
		w.Now(func(p *controltest.Proxy) { p.Fails = nil }, "a", "b")
		save(w, 2, staged)
		w.Pass(time.Minute)
		if f := w.Fleet("edge"); f.Serving.ID == "" {
			t.Errorf("the next one is not served: %+v", f)
		}
	})
}
