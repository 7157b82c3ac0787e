package control_test

import (
	"context"
	"errors"
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

// do has a command carried out.
func do(t *testing.T, w *controltest.World, c api.Command) {
	t.Helper()
	if c.By = "ann"; w.Do(t.Context(), c) != nil {
		t.Fatalf("%s: %v", c.Verb, w.Do(t.Context(), c))
	}
}

const manual = "rollout: {prove: 1s, watch: 1m, stages: [{name: canary, proxies: 1, approve: manual}, {name: all, percent: 100}]}"

// A person pauses a rollout, lets it go on, ends its stage, and goes back to what was there
// before; what was undone is not served again by itself.
func TestPersonSteersARollout(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a", "b")
		save(w, 2, manual)
		do(t, w, api.Command{Verb: rollout.Pause})
		w.Pass(time.Hour)
		if f := w.Fleet("edge"); f.Rollout == nil || !f.Rollout.Paused || f.WaitsFor.Kind != rollout.WaitPaused {
			t.Errorf("paused: %+v", f)
		}
		do(t, w, api.Command{Verb: rollout.Resume})
		w.Pass(time.Minute)
		if f := w.Fleet("edge"); !f.Rollout.Awaiting || f.WaitsFor.Kind != rollout.WaitApproval || !strings.HasPrefix(f.WaitsFor.Do, "xds rollout promote") {
			t.Errorf("it waits for a person: %+v, %+v", f.Rollout, f.WaitsFor)
		}
		do(t, w, api.Command{Verb: rollout.Promote})
		w.Pass(time.Minute)
		if f := w.Fleet("edge"); f.Serving.Number != 2 || f.Previous.Number != 1 {
			t.Fatalf("promoted: %+v", f)
		}
		do(t, w, api.Command{Verb: rollout.Undo, Why: "users complain"})
		w.Pass(time.Minute)
		f := w.Fleet("edge")
		if f.Serving.Number != 1 || f.Disk.State != api.DiskUndone || !strings.Contains(f.Disk.Why, "users complain") {
			t.Errorf("undone: %+v", f)
		}
		w.Source.SaveAsItWas("edge.yaml")
		w.Pass(time.Second)
		save(w, 2, manual, "# the same")
		w.Pass(time.Minute)
		if got := w.Fleet("edge"); got.Serving != f.Serving {
			t.Errorf("it is served again: %+v", got)
		}
		for _, id := range []string{"a", "b"} {
			if p := w.Node(id); p.Served != f.Serving || p.State != api.ProxyServing {
				t.Errorf("%s has %+v", id, p)
			}
		}
	})
}

// A rollout is aborted; another one, of what is saved meanwhile, takes its place.
func TestAbortedAndSuperseded(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a", "b")
		save(w, 2, manual)
		w.Pass(time.Minute)
		save(w, 3, staged)
		if f := w.Fleet("edge"); f.Candidate.Number != 3 {
			t.Errorf("what was saved last is not on its way: %+v", f)
		}
		do(t, w, api.Command{Verb: rollout.Abort, Why: "not now"})
		w.Pass(time.Minute)
		f := w.Fleet("edge")
		if f.Serving.Number != 1 || f.Candidate.ID != "" || f.Disk.State != api.DiskAborted || !strings.Contains(f.Disk.Why, "not now") {
			t.Errorf("%+v", f)
		}
		if got := kinds(t, w); !slices.Contains(got, rollout.Abandoned) || !slices.Contains(got, rollout.Aborted) {
			t.Errorf("the history is %v", got)
		}
	})
}

// What can't be done is refused with why; what nobody knows, too. Who does not wait for the
// answer gets none.
func TestCommandsThatAreRefused(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a")
		for _, c := range []struct {
			command api.Command
			says    string
		}{
			{api.Command{Verb: "explode"}, `"explode" is not something to do to a rollout`},
			{api.Command{Verb: rollout.Promote}, "fleet edge"},
			{api.Command{Verb: rollout.Undo}, "fleet edge"},
			{api.Command{Verb: rollout.Pause, Fleet: "nowhere"}, `no fleet "nowhere"`},
			{api.Command{Verb: api.VerbRetire, Fleet: "nowhere"}, `no fleet "nowhere"`},
		} {
			if err := w.Do(t.Context(), c.command); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%+v: %v, want %q", c.command, err, c.says)
			}
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		w.Stop()
		_, statusErr := w.Control.Status(gone, 1000)
		_, historyErr := w.History(gone, "edge")
		_, previewErr := w.Preview(gone, nil)
		for _, err := range []error{w.Do(gone, api.Command{Verb: rollout.Pause}), statusErr, historyErr, previewErr} {
			if err == nil || errors.Is(err, control.ErrRefused) {
				t.Errorf("nobody answers, and the error is %v", err)
			}
		}
	})
}

// What is on disk that can't be served is the fleet's problem, over a restart as well, and
// takes nothing from anybody; the next good save heals it.
func TestProblemOnDisk(t *testing.T) {
	controltest.Run(t, func(c *control.Config) { c.Grace = time.Minute }, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a")
		w.Save(map[string]string{"edge.yaml": "flet: edge\n"})
		check := func() {
			t.Helper()
			f := w.Fleet("edge")
			if !strings.Contains(f.Problem, "edge.yaml:1") || f.Disk.State != api.DiskRefused || f.Serving.Number != 1 || w.Node("a").State != api.ProxyServing {
				t.Errorf("%+v", f)
			}
		}
		check()
		w.Restart()
		w.Pass(time.Hour) // its file is there, for all that is wrong in it: it is not retired
		check()
		if f := w.Fleet("edge"); f.Retired != nil {
			t.Error("it is retired, and has its file")
		}
		w.Source.Refuse(controltest.Refused("edge.yaml:2: filter \"gate\": it traps"))
		save(w, 2, staged)
		w.Pass(time.Minute)
		if f := w.Fleet("edge"); !strings.Contains(f.Problem, "it traps") || f.Candidate.ID != "" || !slices.Contains(kinds(t, w), rollout.Refusal) {
			t.Errorf("it did not pass the sandbox: %+v", f)
		}
		w.Source.Refuse(nil)
		save(w, 2, staged, "# once more")
		w.Pass(time.Minute)
		if f := w.Fleet("edge"); f.Problem != "" || f.Serving.Number != 2 || len(w.Says(api.EventHealed)) == 0 {
			t.Errorf("it is not healed: %+v", f)
		}
	})
}

// What comes with a revision, its stages and checks, is taken without a rollout; what it is
// served to, by moving proxies.
func TestOnlyWhatComesWithIt(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a")
		w.Proxies.Connect(controltest.Node("x", map[string]string{"tier": "other"}))
		w.Pass(time.Minute)
		good := w.Fleet("edge").Serving
		save(w, 1, strings.Replace(staged, "bake: 10s", "bake: 20s", 1))
		if f := w.Fleet("edge"); f.Serving != good || f.Candidate.ID != "" || !slices.Contains(kinds(t, w), rollout.Replanned) {
			t.Errorf("another bake: %+v", f)
		}
		save(w, 1, staged, "match: {cluster: edge, labels: {tier: other}}")
		w.Pass(time.Minute)
		if p := w.Node("a"); p.State != api.ProxyKept || p.Served.ID != good.ID {
			t.Errorf("one that is claimed by nobody any more: %+v", p)
		}
		if p := w.Node("x"); p.State != api.ProxyServing {
			t.Errorf("one that is claimed: %+v", p)
		}
		if got := w.Says(api.EventMatchChanged); len(got) != 1 {
			t.Errorf("the match in force changed %d times: %q", len(got), got)
		}
		w.Restart()
		w.Pass(time.Minute)
		if p := w.Node("a"); p.State != api.ProxyKept || p.Served.ID != good.ID {
			t.Errorf("after a restart: %+v", p)
		}
	})
}

// The difference of a candidate, and which proxies would go where, is said before it is done.
func TestLookingAhead(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a", "b")
		save(w, 2, manual)
		w.Pass(10 * time.Second)
		d, err := w.Diff(t.Context(), "edge")
		if err != nil || d.Serving.Number != 1 || d.Candidate.Number != 2 || len(d.Changes) != 1 || d.Changes[0].Name != "ingress" {
			t.Errorf("%+v, %v", d, err)
		}
		moves, err := w.Preview(t.Context(), []api.Claim{{Fleet: "inner", File: "inner.yaml", Match: api.Match{ID: "b"}}})
		if err != nil || len(moves) != 1 || moves[0].From != "edge" || moves[0].To != "inner" || !slices.Equal(moves[0].Nodes, []string{"b"}) {
			t.Errorf("%+v, %v", moves, err)
		}
		moves, err = w.Preview(t.Context(), []api.Claim{{Fleet: "web", File: "folder/edge.yaml", Match: api.Match{}}})
		if err != nil || len(moves) != 0 {
			t.Errorf("a fleet that is renamed moves nobody: %+v, %v", moves, err)
		}
		if got := w.Node("b"); got.Fleet != "edge" {
			t.Errorf("it is done: %+v", got)
		}
	})
}

// A fleet that proxies of another one are to come to: with its first revision, which goes to
// them in stages, they arrive by proving it; one that refuses stays, and why is said.
func TestFirstRevisionForProxiesOfAnother(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a", "b")
		good := w.Fleet("edge").Serving
		w.Save(map[string]string{"inner.yaml": controltest.YAML("inner", 9, staged, "match: {cluster: edge, id: b}")})
		if p := w.Node("b"); p.Fleet != "edge" || p.Arriving != "inner" || p.Served.ID != good.ID {
			t.Errorf("on its way: %+v", p)
		}
		w.Pass(time.Minute)
		if p := w.Node("b"); p.Fleet != "inner" || p.Arriving != "" {
			t.Errorf("arrived: %+v", p)
		}
		w.Now(func(p *controltest.Proxy) {
			p.Takes = func(has snapshot.Pair) error {
				if has.Shadow.ID != "" && has.Shadow.ID != good.ID {
					return errors.New("no")
				}
				return nil
			}
		}, "a")
		w.Save(map[string]string{"third.yaml": controltest.YAML("third", 11, staged, "match: {cluster: edge, id: a}")})
		w.Pass(time.Minute)
		if p := w.Node("a"); p.Fleet != "edge" || p.Served != good {
			t.Errorf("it refuses, and is %+v", p)
		}
		if f := w.Fleet("third"); len(f.Rejected) != 1 || f.Serving.ID != "" {
			t.Errorf("%+v", f)
		}
		if got := w.Says(rollout.MoveRefused); len(got) == 0 {
			t.Error("nobody says that it stays")
		}
	})
}

// A proxy that no fleet matches is given nothing; one that comes while the file that is for it
// is tried waits for that, instead of going elsewhere first.
func TestProxyWithoutAFleet(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		w.Save(map[string]string{"edge.yaml": controltest.YAML("edge", 1, staged, "match: {cluster: edge, labels: {tier: outer}}")})
		w.Connect("a")
		w.Pass(time.Minute)
		if p := w.Node("a"); p.State != api.ProxyWaiting || !slices.Contains(w.Proxy("a").Told, "unmatched") || len(w.Proxy("a").Given) > 0 ||
			!strings.HasPrefix(p.Waits, "no fleet's match claims it") {
			t.Errorf("%+v", p)
		}
		w.Proxies.Disconnect("a")
		save(w, 1, staged) // nobody is there for it
		release := w.Source.Hold()
		w.Save(map[string]string{"inner.yaml": controltest.YAML("inner", 2, staged, "match: {cluster: edge, id: b}")})
		w.Connect("b")
		if p := w.Node("b"); p.State != api.ProxyWaiting || len(w.Proxy("b").Given)+len(w.Proxy("b").Told) > 0 || !strings.HasPrefix(p.Waits, "a file that is for it is tried") {
			t.Errorf("%+v, given %v, told %v", p, w.Proxy("b").Given, w.Proxy("b").Told)
		}
		release()
		w.Pass(time.Minute)
		if p := w.Node("b"); p.Fleet != "inner" || p.State != api.ProxyServing || p.Waits != "" {
			t.Errorf("%+v", p)
		}
		w.Save(map[string]string{"third.yaml": controltest.YAML("third", 3, staged, "match: {cluster: edge, id: c}")})
		w.Connect("c")
		w.Now(failsAll, "c")
		w.Pass(time.Minute)
		w.Proxies.Disconnect("c")
		w.Proxies.Start(controltest.Node("c", nil))
		w.Pass(time.Minute)
		if p := w.Node("c"); p.State != api.ProxyWaiting || !strings.HasPrefix(p.Waits, "fleet third has nothing to give it: what is on disk is rejected: by c: a check fails") {
			t.Errorf("%+v", p)
		}
	})
}

// A proxy that loses its connection and comes back runs what it ran, is given nothing anew
// and says so; one that starts anew is given all of it.
func TestProxyComesBack(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a")
		w.Proxies.Disconnect("a")
		w.Pass(time.Minute)
		if s := w.Status(); len(s.Proxies) != 0 || s.Fleets[0].Proxies != 0 {
			t.Errorf("it is gone: %+v", s)
		}
		w.Connect("a")
		w.Pass(time.Second)
		if p := w.Node("a"); p.State != api.ProxyServing || p.Served != w.Fleet("edge").Serving {
			t.Errorf("it is back: %+v", p)
		}
	})
}
