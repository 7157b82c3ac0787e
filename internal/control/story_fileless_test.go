package control_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/control/controltest"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

const claims = "match: {cluster: edge, labels: {tier: inner}}"

// inner is the file of a fleet that claims proxies of another one.
func inner() map[string]string {
	return map[string]string{"inner.yaml": controltest.YAML("inner", 9, staged, claims)}
}

// claimed are a fleet edge that serves some proxies which an inner one can claim, and one more.
func claimed(t *testing.T, w *controltest.World, ids ...string) rollout.Revision {
	t.Helper()
	save(w, 1, staged)
	for _, id := range ids {
		w.Proxies.Connect(controltest.Node(id, map[string]string{"tier": "inner"}))
	}
	w.Connect("own")
	w.Pass(time.Minute)
	return w.Fleet("edge").Serving
}

func mustServe(t *testing.T, w *controltest.World, id, fleet string, r rollout.Revision) {
	t.Helper()
	if p := w.Node(id); p.Fleet != fleet || p.Served != r {
		t.Errorf("%s is of %s with %+v, want %s with %+v (%s)", id, p.Fleet, p.Served, fleet, r, p.State)
	}
}

// portTaken has a proxy be in trouble with whatever has not what it runs.
func portTaken(runs rollout.Revision) func(*controltest.Proxy) {
	return func(p *controltest.Proxy) {
		p.Takes = func(has snapshot.Pair) error {
			if has.Live.ID != runs.ID {
				return controltest.ErrTrouble
			}
			return nil
		}
	}
}

// leftBehind is a fleet edge of which the inner one has taken a, and could not take b: its port is taken.
func leftBehind(t *testing.T, w *controltest.World) rollout.Revision {
	t.Helper()
	edge := claimed(t, w, "a", "b")
	w.Now(portTaken(edge), "b")
	w.Save(inner())
	w.Pass(2 * time.Minute)
	return edge
}

func freed(p *controltest.Proxy) { p.Takes = nil }

// A proxy whose port is taken is not handed over with the others: it is of its fleet until it
// has taken what it is to have, which is tried again for as long as that is on disk. Nobody
// waits for it meanwhile.
func TestMovedWhenItsTroubleIsOver(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		edge := leftBehind(t, w)
		mustServe(t, w, "a", "inner", w.Fleet("inner").Serving)
		mustServe(t, w, "b", "edge", edge)
		if f := w.Fleet("inner"); f.Disk.State != api.DiskServed || f.Serving.Number != 1 {
			t.Errorf("it is on disk and %s: %+v", f.Disk.State, f)
		}
		if got := w.Says(rollout.MovedOut); len(got) != 1 || !strings.HasPrefix(got[0], "1 proxy (a) to fleet inner") {
			t.Errorf("%q", got)
		}
		const stays = "1 proxy (b) not yet to fleet inner, for trouble of its own: Listener ingress: cannot bind"
		if got := w.Says(rollout.MoveRefused); len(got) != 1 || !strings.HasPrefix(got[0], stays) {
			t.Errorf("of the other is said %q", got)
		}

		started := len(w.Says(rollout.MoveStarted))
		w.Restart()
		w.Now(portTaken(edge), "b")
		w.Pass(3 * time.Minute)
		if got := w.Says(rollout.MoveStarted)[started:]; len(got) > 0 {
			t.Errorf("what goes on is said to begin: %q", got)
		}
		if p := w.Node("b"); p.Fleet != "edge" || p.State != api.ProxyTrouble {
			t.Errorf("%+v", p)
		}
		w.Now(freed, "b")
		w.Pass(2 * time.Minute)
		mustServe(t, w, "b", "inner", w.Fleet("inner").Serving)
		if got := w.Says(rollout.MoveRefused); len(got) != 1 {
			t.Errorf("it is said again: %q", got)
		}
		if got := w.Says(rollout.MovedOut); len(got) != 2 && !strings.HasPrefix(got[len(got)-1], "1 proxy (b) to fleet inner") {
			t.Errorf("%q", got)
		}
	})
}

// Without the file that claims it, it is of its fleet at once, and is not given what it could
// not take: not when its port is free, and not when it comes back.
func TestTroubleOfAFleetThatIsGone(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		edge := leftBehind(t, w)
		w.Save(map[string]string{"inner.yaml": controltest.Gone})
		if p := w.Node("b"); p.Fleet != "edge" || p.Arriving != "" || p.State != api.ProxyServing {
			t.Errorf("%+v", p)
		}
		w.Now(freed, "b")
		given := len(w.Proxy("b").Given)
		w.Pass(10 * time.Minute)
		w.Proxies.Disconnect("b")
		w.Proxies.Connect(controltest.Node("b", map[string]string{"tier": "inner"}))
		w.Pass(time.Minute)
		mustServe(t, w, "a", "edge", edge)
		mustServe(t, w, "b", "edge", edge)
		for _, pair := range w.Proxy("b").Given[given:] {
			if !strings.HasPrefix(pair, edge.ID) && !strings.HasPrefix(pair, "edge/"+edge.ID) {
				t.Errorf("it was given %s", pair)
			}
		}
	})
}

// A fleet whose file is gone begins no stage, and no move: its canary stays until the fleet is
// retired, and goes on with the others when the file comes back before.
func TestRolloutOfAFleetWhoseFileIsGone(t *testing.T) {
	for name, back := range map[string]bool{"it is retired": false, "it comes back": true} {
		t.Run(name, func(t *testing.T) {
			controltest.Run(t, func(c *control.Config) { c.Grace = time.Minute }, func(t *testing.T, w *controltest.World) {
				edge := claimed(t, w, "a", "b", "c")
				w.Save(inner())
				w.Pass(5 * time.Second)
				candidate := w.Fleet("inner").Candidate
				w.Save(map[string]string{"inner.yaml": controltest.Gone})
				w.Proxies.Connect(controltest.Node("late", map[string]string{"tier": "inner"}))
				w.Pass(50 * time.Second)
				if got := running(w, candidate); len(got) != 1 {
					t.Fatalf("%q have what is on its way, of which one was the canary", got)
				}
				if h := w.Fleet("inner").WaitsFor; h == nil || h.Kind != api.WaitFile || time.Until(h.Until) != 10*time.Second {
					t.Errorf("%+v", h)
				}
				if !back {
					w.Pass(11 * time.Second)
					if got := running(w, edge); len(got) != 5 {
						t.Errorf("only %q are back", got)
					}
					return
				}
				w.Save(inner())
				w.Pass(time.Minute)
				if got := running(w, w.Fleet("inner").Serving); !slices.Equal(got, []string{"a", "b", "c", "late"}) || w.Fleet("inner").Serving != candidate {
					t.Errorf("only %q are moved to %+v", got, candidate)
				}
			})
		})
	}
}

// What is served already moves nobody any more, and a change of its own proxies stops, too.
func TestFilelessFleetMovesNobody(t *testing.T) {
	controltest.Run(t, func(c *control.Config) { c.Grace = time.Minute }, func(t *testing.T, w *controltest.World) {
		edge := claimed(t, w, "a")
		w.Save(inner())
		w.Pass(time.Minute)
		mustServe(t, w, "a", "inner", w.Fleet("inner").Serving)
		before := len(w.Says(rollout.MoveStarted))
		w.Save(map[string]string{"inner.yaml": controltest.Gone})
		w.Proxies.Disconnect("own")
		w.Proxies.Connect(controltest.Node("own", map[string]string{"tier": "inner"})) // with what it runs
		w.Pass(30 * time.Second)
		mustServe(t, w, "own", "edge", edge)
		if got := w.Says(rollout.MoveStarted)[before:]; len(got) != 0 {
			t.Errorf("%q", got)
		}
	})
}

// running are the proxies that serve a revision.
func running(w *controltest.World, r rollout.Revision) []string {
	var out []string
	for _, p := range w.Status().Proxies {
		if p.Served == r {
			out = append(out, p.Node)
		}
	}
	return out
}

// A fleet that was retired and comes back takes its own proxies into its stages: nobody says that
// these refuse what it serves.
func TestNoEmptyStageOfAFleetThatComesBack(t *testing.T) {
	controltest.Run(t, func(c *control.Config) { c.Grace = time.Second }, func(t *testing.T, w *controltest.World) {
		w.Connect("own")
		save(w, 1, staged)
		w.Pass(time.Minute)
		w.Save(map[string]string{"edge.yaml": controltest.Gone})
		w.Pass(5 * time.Second)
		save(w, 2, staged)
		w.Pass(time.Minute)
		mustServe(t, w, "own", "edge", w.Fleet("edge").Serving)
		if f := w.Fleet("edge"); f.Serving.Number != 2 || f.Retired != nil {
			t.Errorf("%+v", f)
		}
		if got := w.Says(rollout.Empty); len(got) > 0 {
			t.Errorf("%q", got)
		}
	})
}

// A folder of files that was away for longer than the grace, and comes back as it was, moves
// nobody: though its files are built one after the other, and the first of them would claim a
// proxy of the next while that is retired.
func TestFilesThatComeBackTogether(t *testing.T) {
	controltest.Run(t, func(c *control.Config) { c.Grace = time.Minute }, func(t *testing.T, w *controltest.World) {
		edge := claimed(t, w, "a")
		w.Save(inner())
		w.Pass(2 * time.Minute)
		mustServe(t, w, "a", "inner", w.Fleet("inner").Serving)
		for _, restarts := range []bool{false, true} {
			w.Save(map[string]string{"edge.yaml": controltest.Gone, "inner.yaml": controltest.Gone})
			w.Pass(2 * time.Minute)
			if w.Fleet("edge").Retired == nil || w.Fleet("inner").Retired == nil {
				t.Fatal("they are not retired")
			}
			moves := len(w.Says(rollout.MoveStarted))
			if restarts {
				w.Restart()
			}
			back := inner()
			back["edge.yaml"] = controltest.YAML("edge", 1, staged)
			release := w.Source.Hold()
			w.Save(back)
			w.Pass(time.Minute)
			release()
			w.Pass(2 * time.Minute)
			mustServe(t, w, "a", "inner", w.Fleet("inner").Serving)
			mustServe(t, w, "own", "edge", edge)
			if got := w.Says(rollout.MoveStarted)[moves:]; len(got) > 0 {
				t.Errorf("restarted %t: %q", restarts, got)
			}
			for _, f := range []string{"edge", "inner"} {
				if w.Fleet(f).Retired != nil {
					t.Errorf("restarted %t: %s is still retired", restarts, f)
				}
			}
		}
	})
}

// While the files of all fleets are gone, for longer than the grace, a proxy whose process is
// another one is given what it had; and a new one what it would have been given.
func TestStartsWhileAllFleetsAreRetired(t *testing.T) {
	controltest.Run(t, func(c *control.Config) { c.Grace = time.Minute }, func(t *testing.T, w *controltest.World) {
		claimed(t, w, "a")
		w.Save(inner())
		w.Pass(2 * time.Minute)
		inner := w.Fleet("inner").Serving
		w.Save(map[string]string{"edge.yaml": controltest.Gone, "inner.yaml": controltest.Gone})
		w.Pass(2 * time.Minute)
		if w.Fleet("edge").Retired == nil || w.Fleet("inner").Retired == nil {
			t.Fatal("they are not retired")
		}
		for _, restarts := range []bool{false, true} {
			if restarts {
				w.Restart()
			}
			for _, id := range []string{"a", "new"} {
				if w.Proxy(id) != nil {
					w.Proxies.Disconnect(id)
					w.Pass(time.Second)
				}
				w.Proxies.Start(controltest.Node(id, map[string]string{"tier": "inner"}))
				w.Pass(time.Minute)
				mustServe(t, w, id, "inner", inner)
			}
		}
	})
}
