package control_test

import (
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control/controltest"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// failsAll has a proxy fail each check.
func failsAll(p *controltest.Proxy) {
	p.Fails = func(plan *xds.ProbePlan) []string { return []string{plan.Probes[0].Name} }
}

// A proxy is of the fleet whose match claims it, also where its first revision was rejected:
// when it is started anew, when it comes for the first time, and after a restart of the server.
func TestProxiesOfARejectedFirstRevision(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		save(w, 1, staged)
		w.Connect("a", "b")
		w.Now(failsAll, "a", "b")
		w.Pass(time.Minute)
		if f := w.Fleet("edge"); f.Serving.ID != "" || len(f.Rejected) != 1 || f.Proxies != 2 {
			t.Fatalf("it is not rejected: %+v", f)
		}
		are := func(when string, ids ...string) {
			t.Helper()
			w.Pass(10 * time.Second)
			if f := w.Fleet("edge"); f.Proxies != len(ids) {
				t.Errorf("%s: the fleet has %d proxies, want %d", when, f.Proxies, len(ids))
			}
			for _, id := range ids {
				if p := w.Node(id); p.Fleet != "edge" || p.Served.ID != "" {
					t.Errorf("%s: %s is %+v", when, id, p)
				}
			}
		}
		for _, when := range []string{"started anew", "and again"} {
			for _, id := range []string{"a", "b"} {
				w.Proxies.Disconnect(id)
				w.Proxies.Start(controltest.Node(id, nil))
				w.Now(failsAll, id)
			}
			are(when, "a", "b")
		}
		w.Proxies.Start(controltest.Node("c", nil))
		w.Now(failsAll, "c")
		are("a third", "a", "b", "c")
		w.Restart()
		are("after a restart", "a", "b", "c")

		// Its next revision is theirs; and what is retired has none of them.
		w.Now(func(p *controltest.Proxy) { p.Fails = nil }, "a", "b", "c")
		save(w, 2, staged)
		w.Pass(time.Minute)
		for _, id := range []string{"a", "b", "c"} {
			if p := w.Node(id); p.State != api.ProxyServing || p.Fleet != "edge" {
				t.Errorf("it is good now: %+v", p)
			}
		}
	})
}

// Such a fleet takes a proxy from no other, whatever its match has in criteria; and it lets go
// of those that it has when another serves something to them, and when it is retired.
func TestRejectedFirstRevisionClaimsNobodysProxy(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a")
		inner := controltest.YAML("inner", 9, staged, "match: {cluster: edge, labels: {tier: inner}}")
		b := controltest.Node("b", map[string]string{"tier": "inner"})
		w.Save(map[string]string{"inner.yaml": inner})
		w.Proxies.Start(b)
		w.Now(func(p *controltest.Proxy) {
			p.Fails = func(plan *xds.ProbePlan) []string {
				if plan.ID.Through == xds.ThroughShadow {
					return []string{plan.Probes[0].Name}
				}
				return nil
			}
		}, "b")
		w.Pass(time.Minute)
		if f := w.Fleet("inner"); len(f.Rejected) != 1 || f.Proxies != 0 {
			t.Fatalf("inner is to be rejected: %+v", f)
		}
		if p := w.Node("b"); p.Fleet != "edge" || p.State != api.ProxyServing {
			t.Errorf("edge serves something to it: %+v", p)
		}
		w.Save(map[string]string{"edge.yaml": controltest.YAML("edge", 1, staged, "match: {cluster: edge, id: a}")})
		w.Pass(time.Minute)
		if p := w.Node("b"); p.Fleet != "edge" || p.State != api.ProxyKept {
			t.Errorf("it is to keep what it runs: %+v", p)
		}
		w.Proxies.Disconnect("b")
		w.Proxies.Start(b)
		w.Pass(time.Minute)
		if p := w.Node("b"); p.Fleet != "edge" || p.State != api.ProxyKept || p.Kept == "" {
			t.Errorf("started anew, there is nothing better for it: %+v", p)
		}
		if err := w.Do(t.Context(), api.Command{Fleet: "inner", Verb: api.VerbRetire, By: "ann"}); err != nil {
			t.Fatal(err)
		}
		w.Pass(time.Second)
		if p := w.Node("b"); p.Fleet != "edge" || p.State != api.ProxyKept || w.Fleet("inner").Proxies != 0 {
			t.Errorf("inner is retired: %+v", p)
		}
		w.Save(map[string]string{"inner.yaml": controltest.Gone})
		if err := w.Do(t.Context(), api.Command{Fleet: "inner", Verb: api.VerbForget, By: "ann"}); err != nil {
			t.Error(err)
		}
	})
}
