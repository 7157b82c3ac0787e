package control_test

import (
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control/controltest"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// A proxy that no fleet's match claims any more is given what it ran when it is started anew, too,
// and after a restart of the server; and its row says so, with what a person can do.
func TestKeptProxyIsStartedAnew(t *testing.T) {
	for _, other := range []bool{false, true} { // its fleet has other content since
		controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
			edge := claimed(t, w, "a")
			content := 1
			if other {
				content = 2
			}
			w.Save(map[string]string{"edge.yaml": controltest.YAML("edge", content, staged, "match: {cluster: edge, id: own}")})
			w.Pass(2 * time.Minute)
			kept := func(when string) {
				t.Helper()
				w.Pass(10 * time.Second)
				p := w.Node("a")
				if p.State != api.ProxyKept || p.Fleet != "edge" || p.Served.ID != edge.ID || !strings.Contains(p.Kept, "no fleet's match claims it: it keeps revision 1") || !strings.Contains(p.Kept, "`match`") {
					t.Errorf("%s: %+v", when, p)
				}
				given := w.Proxy("a").Given
				if last := given[len(given)-1]; !strings.Contains(last, edge.ID) {
					t.Errorf("%s it has %s, and ran %s", when, last, edge.ID)
				}
			}
			kept("excluded")
			for _, when := range []string{"started anew", "and again", "after a restart of the server"} {
				if when == "after a restart of the server" {
					w.Restart()
				}
				w.Proxies.Disconnect("a")
				w.Pass(time.Second)
				w.Proxies.Start(controltest.Node("a", map[string]string{"tier": "inner"}))
				kept(when)
			}

			// Claimed again it is of a fleet, like any.
			w.Save(inner())
			w.Pass(2 * time.Minute)
			mustServe(t, w, "a", "inner", w.Fleet("inner").Serving)
			if p := w.Node("a"); p.Kept != "" {
				t.Errorf("%+v", p)
			}
		})
	}
}

// What a person has retired is said of what is on disk, also after a restart of the server: who
// waits for it would wait for good.
func TestRetiredByHandIsSaidOfTheDisk(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a")
		if err := w.Do(t.Context(), api.Command{Fleet: "edge", Verb: api.VerbRetire, By: "ann"}); err != nil {
			t.Fatal(err)
		}
		for _, when := range []string{"retired", "after a restart"} {
			if when == "after a restart" {
				w.Restart()
			}
			w.Pass(time.Second)
			if d := w.Fleet("edge").Disk; d.State != api.DiskRetired || !strings.Contains(d.Why, "retired since") || !strings.Contains(d.Why, "by ann") || !strings.Contains(d.Why, "save another content") {
				t.Errorf("%s: %+v", when, d)
			}
		}
		save(w, 2, staged)
		w.Pass(time.Minute)
		if d := w.Fleet("edge").Disk; d.State != api.DiskServed {
			t.Errorf("another content is taken up: %+v", d)
		}
	})
}

// A match that claims proxies which the rollout of another fleet has is not in force: that is
// said, with the command that ends it, and is not called served.
func TestClaimThatWaitsForAnotherFleet(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		edge := claimed(t, w, "a")
		w.Proxies.Disconnect("own")
		w.Proxies.Connect(controltest.Node("z", nil))
		w.Save(map[string]string{"inner.yaml": controltest.YAML("inner", 9, staged, "match: {cluster: edge, id: z}")})
		w.Pass(time.Minute)
		w.Now(func(p *controltest.Proxy) {
			p.Takes = func(has snapshot.Pair) error {
				if has.Live.ID != edge.ID || has.Shadow.ID != "" {
					return controltest.ErrTrouble
				}
				return nil
			}
		}, "a")
		save(w, 2, staged)
		w.Pass(5 * time.Second)
		if f := w.Fleet("edge"); f.WaitsFor == nil || f.WaitsFor.Kind != api.WaitTrouble {
			t.Fatalf("%+v", f.WaitsFor)
		}
		w.Save(map[string]string{"inner.yaml": controltest.YAML("inner", 9, staged, claims)})
		w.Pass(time.Second)
		f := w.Fleet("inner")
		if f.Disk.State != api.DiskTried || f.WaitsFor == nil || f.WaitsFor.Kind != api.WaitElsewhere || f.WaitsFor.Do != "xds rollout abort --fleet edge" {
			t.Fatalf("%+v, %+v", f.Disk, f.WaitsFor)
		}
		if text := f.WaitsFor.Text; !strings.Contains(text, "`xds rollout abort --fleet edge`") || !strings.Contains(text, "trouble") || !strings.Contains(f.Disk.Why, text) {
			t.Errorf("%q, %q", text, f.Disk.Why)
		}
		if err := w.Do(t.Context(), api.Command{Fleet: "edge", Verb: api.VerbAbort, By: "ann"}); err != nil {
			t.Fatal(err)
		}
		w.Now(freed, "a")
		w.Pass(time.Minute)
		mustServe(t, w, "a", "inner", w.Fleet("inner").Serving)
		if f := w.Fleet("inner"); f.Disk.State != api.DiskServed || f.WaitsFor != nil {
			t.Errorf("%+v, %+v", f.Disk, f.WaitsFor)
		}
	})
}

// A move that more proxies than the limit could not take, for trouble of their own, is tried
// again by itself, and is done when that is over; also where it came with a match alone.
func TestMovePastTheLimitOfTroubleIsTriedAgain(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		edge := claimed(t, w, "a", "b", "c")
		w.Proxies.Connect(controltest.Node("z", nil))
		w.Save(map[string]string{"inner.yaml": controltest.YAML("inner", 9, staged, "match: {cluster: edge, id: z}")})
		w.Pass(time.Minute)
		w.Now(portTaken(edge), "a", "b", "c")
		w.Save(inner())
		w.Pass(20 * time.Second)
		for range 2 {
			f := w.Fleet("inner")
			if f.Disk.State != api.DiskRejected || !strings.Contains(f.Disk.Why, "it is tried again by itself") {
				t.Errorf("%+v", f.Disk)
			}
			if !strings.Contains(strings.Join(f.Notices, "\n"), "tried again by itself in ") {
				t.Errorf("%q", f.Notices)
			}
			w.Restart()
			w.Now(portTaken(edge), "a", "b", "c")
			w.Pass(20 * time.Second)
		}
		w.Now(freed, "a", "b", "c")
		w.Pass(5 * time.Minute)
		for _, id := range []string{"a", "b", "c"} {
			mustServe(t, w, id, "inner", w.Fleet("inner").Serving)
		}
		if d := w.Fleet("inner").Disk; d.State != api.DiskServed {
			t.Errorf("%+v", d)
		}
	})
}
