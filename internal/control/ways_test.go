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
)

// Proxy "a" is of edge and "b", which has a label, of inner. What is then done moves "a" or
// "b", or begins to and does not.
var waysToMove = []struct {
	name string
	do   func(*testing.T, *controltest.World)
	from string // the fleet that it is of
	to   string // the one that it goes to, or was to go to
	// says is of the history of the fleet that it leaves, and of the other's: kind and reason.
	leaves, enters [2]string
}{
	{"a new file claims it", func(_ *testing.T, w *controltest.World) {
		saveFleet(w, "canaries", 3, "{cluster: edge, id: a}", staged)
		w.Pass(time.Minute)
	}, "edge", "canaries", [2]string{"moved out", "they have proven"}, [2]string{"move started", "the match of canaries, {cluster: edge, id: a}, claims it"}},
	{"a match is edited", func(_ *testing.T, w *controltest.World) {
		saveFleet(w, "inner", 2, "{cluster: edge, id: '*'}", staged)
		w.Pass(time.Minute)
	}, "edge", "inner", [2]string{"moved out", "they have proven"}, [2]string{"move started", "the match of inner"}},
	{"a fleet is renamed, with another match", func(_ *testing.T, w *controltest.World) {
		w.Save(map[string]string{"inner.yaml": controltest.YAML("core", 2, staged, "match: {cluster: edge, id: '*'}")})
		w.Pass(time.Minute)
	}, "edge", "core", [2]string{"moved out", "to fleet core"}, [2]string{"move started", "from fleet edge"}},
	{"it comes back with other labels", func(_ *testing.T, w *controltest.World) {
		w.Proxies.Disconnect("a")
		w.Proxies.Connect(controltest.Node("a", map[string]string{"tier": "inner"}))
		w.Pass(time.Minute)
	}, "edge", "inner", [2]string{"moved out", "they have proven"}, [2]string{"move started", "the match of inner"}},
	{"it is started anew with other labels", func(_ *testing.T, w *controltest.World) {
		w.Proxies.Disconnect("a")
		w.Proxies.Start(controltest.Node("a", map[string]string{"tier": "inner"}))
		w.Pass(time.Second)
	}, "edge", "inner", [2]string{"moved out", "runs nothing that it could lose"}, [2]string{"moved in", "from fleet edge: the match of inner"}},
	{"it is started anew, and its old process leaves later", func(_ *testing.T, w *controltest.World) {
		w.Proxies.Start(controltest.Node("a", map[string]string{"tier": "inner"}))
		w.Pass(time.Second)
	}, "edge", "inner", [2]string{"moved out", "runs nothing that it could lose"}, [2]string{"moved in", "from fleet edge: the match of inner"}},
	{"its file is removed", func(_ *testing.T, w *controltest.World) {
		w.Save(map[string]string{"inner.yaml": controltest.Gone})
		w.Pass(3 * time.Minute)
	}, "inner", "edge", [2]string{"moved out", "to fleet edge"}, [2]string{"move started", "the match of edge"}},
	{"its fleet is retired", func(t *testing.T, w *controltest.World) {
		do(t, w, api.Command{Fleet: "inner", Verb: api.VerbRetire})
		w.Pass(time.Minute)
	}, "inner", "edge", [2]string{"moved out", "to fleet edge"}, [2]string{"move started", "the match of edge"}},
	{"its fleet is retired, and forgotten by then", func(t *testing.T, w *controltest.World) {
		w.Save(map[string]string{"inner.yaml": controltest.Gone})
		do(t, w, api.Command{Fleet: "inner", Verb: api.VerbRetire})
		w.Pass(time.Minute)
		do(t, w, api.Command{Fleet: "inner", Verb: api.VerbForget})
	}, "", "edge", [2]string{}, [2]string{"move started", "from fleet inner"}},
	{"a revision with a match for it is undone", func(t *testing.T, w *controltest.World) {
		saveFleet(w, "inner", 4, "{cluster: edge, id: '*'}", staged)
		w.Pass(time.Minute)
		do(t, w, api.Command{Fleet: "inner", Verb: api.VerbUndo})
		w.Pass(time.Minute)
	}, "inner", "edge", [2]string{"moved out", "to fleet edge"}, [2]string{"move started", "the match of edge"}},
	{"a new file claims it, and is removed in the middle", func(_ *testing.T, w *controltest.World) {
		saveFleet(w, "canaries", 3, "{cluster: edge, id: a}", strings.ReplaceAll(staged, "bake: 10s", "bake: 1h"))
		w.Pass(time.Minute)
		w.Save(map[string]string{"canaries.yaml": controltest.Gone})
		w.Pass(3 * time.Minute)
	}, "edge", "canaries", [2]string{"move ended", "not to fleet canaries: fleet canaries is retired"}, [2]string{"move ended", "stays in its own, fleet edge: fleet canaries is retired"}},
	{"a new file claims it, and is gone in the middle, and not for long", func(_ *testing.T, w *controltest.World) {
		saveFleet(w, "canaries", 3, "{cluster: edge, id: a}", strings.ReplaceAll(staged, "bake: 10s", "bake: 1h"))
		w.Pass(time.Second)
		w.Save(map[string]string{"canaries.yaml": controltest.Gone})
		w.Pass(10 * time.Second)
	}, "edge", "canaries", [2]string{"move ended", "canaries.yaml, is gone"}, [2]string{"move ended", "canaries.yaml, is gone"}},
	{"a new file claims it, and another with more criteria in the middle", func(_ *testing.T, w *controltest.World) {
		saveFleet(w, "canaries", 3, "{cluster: edge, id: 'a*'}", forNobody)
		w.Pass(time.Second)
		saveFleet(w, "only", 5, "{cluster: edge, id: a, labels: {of: only}}", staged)
		w.Proxies.Disconnect("a")
		w.Proxies.Connect(controltest.Node("a", map[string]string{"of": "only"}))
		w.Pass(time.Minute)
	}, "edge", "canaries", [2]string{"move ended", "the match of only, {cluster: edge, id: a, label.of: only}, claims it with more criteria"}, [2]string{"move ended", "the match of only"}},
	{"a new file claims it, and its own claims it as much in the middle", func(_ *testing.T, w *controltest.World) {
		saveFleet(w, "canaries", 3, "{cluster: edge, id: a}", forNobody)
		w.Pass(time.Second)
		saveFleet(w, "edge", 1, "{cluster: edge, id: '*'}", staged)
		w.Pass(time.Minute)
	}, "edge", "canaries", [2]string{"move ended", "claims it with as many criteria"}, [2]string{"move ended", "claims it with as many criteria"}},
	{"a new file claims it, and claims another in the middle", func(_ *testing.T, w *controltest.World) {
		saveFleet(w, "canaries", 3, "{cluster: edge, id: a}", strings.ReplaceAll(staged, "bake: 10s", "bake: 1h"))
		w.Pass(time.Minute)
		saveFleet(w, "canaries", 3, "{cluster: edge, id: nobody}", strings.ReplaceAll(staged, "bake: 10s", "bake: 1h"))
		w.Pass(time.Minute)
	}, "edge", "canaries", [2]string{"move ended", "does not claim it any more"}, [2]string{"move ended", "does not claim it any more"}},
	{"it comes back with other labels, and with those that it had in the middle", func(_ *testing.T, w *controltest.World) {
		saveFleet(w, "inner", 2, "{cluster: edge, labels: {tier: inner}}", strings.ReplaceAll(staged, "bake: 10s", "bake: 1h"))
		for _, labels := range []map[string]string{{"tier": "inner"}, nil} {
			w.Proxies.Disconnect("a")
			w.Proxies.Connect(controltest.Node("a", labels))
			w.Pass(time.Minute)
		}
	}, "edge", "inner", [2]string{"move ended", "does not claim it any more"}, [2]string{"move ended", "1 proxy (a) stays in its own, fleet edge"}},
	{"what it is to have is rejected", func(_ *testing.T, w *controltest.World) {
		w.Now(failsAll, "a")
		saveFleet(w, "canaries", 3, "{cluster: edge, id: a}", staged)
		w.Pass(time.Minute)
	}, "edge", "canaries", [2]string{"move refused", "a check fails"}, [2]string{"rejected", "a check fails"}},
}

// forNobody is a plan whose first stage no proxy can be of.
const forNobody = "rollout: {stages: [{name: canary, proxies: 1, match: {id: nobody}}, {name: all, percent: 100}]}"

func saveFleet(w *controltest.World, name string, port int, match, plan string) {
	w.Save(map[string]string{name + ".yaml": controltest.YAML(name, port, plan, "match: "+match)})
}

// Each way in which a proxy goes to another fleet, or is to and does not, is in both fleets'
// histories and in the event feed, with the reason.
func TestEachMoveIsTold(t *testing.T) {
	for _, c := range waysToMove {
		t.Run(c.name, func(t *testing.T) {
			controltest.Run(t, func(c *control.Config) { c.Grace = time.Minute }, func(t *testing.T, w *controltest.World) {
				saveFleet(w, "edge", 1, "{cluster: edge}", staged)
				saveFleet(w, "inner", 2, "{cluster: edge, labels: {tier: inner}}", staged)
				w.Proxies.Connect(controltest.Node("a", nil))
				w.Proxies.Connect(controltest.Node("b", map[string]string{"tier": "inner"}))
				w.Pass(time.Minute)
				if a, b := w.Node("a"), w.Node("b"); a.Fleet != "edge" || b.Fleet != "inner" || moves(w, t, "edge", "")+moves(w, t, "inner", "") != "" {
					t.Fatalf("a is %+v, b is %+v", a, b)
				}
				c.do(t, w)
				for _, side := range []struct {
					fleet string
					want  [2]string
				}{{c.from, c.leaves}, {c.to, c.enters}} {
					if side.fleet == "" {
						continue
					}
					if got := moves(w, t, side.fleet, side.want[0]); !strings.Contains(got, side.want[1]) {
						t.Errorf("the history of %s has %q, want %q of kind %s; of all kinds:\n%s", side.fleet, got, side.want[1], side.want[0], moves(w, t, side.fleet, ""))
					}
					if !slices.ContainsFunc(w.Says(rollout.Kind(side.want[0])), func(text string) bool { return strings.Contains(text, side.want[1]) }) {
						t.Errorf("no event %s says %q: %q", side.want[0], side.want[1], w.Says(rollout.Kind(side.want[0])))
					}
				}
			})
		})
	}
}

// moves are what a fleet's history has of moves, or of one kind.
func moves(w *controltest.World, t *testing.T, name, kind string) string {
	t.Helper()
	history, err := w.History(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range history {
		if kind == string(e.Kind) || kind == "" && strings.HasPrefix(string(e.Kind), "move") {
			out = append(out, string(e.Kind)+": "+e.Reason)
		}
	}
	return strings.Join(out, "\n")
}

// A match that moves nobody who is there says how many these are, and that others, who are yet
// to come back after a restart say, go by it.
func TestMatchThatMovesNoneSaysOfWhom(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		saveFleet(w, "edge", 1, "{cluster: edge}", staged)
		saveFleet(w, "inner", 2, "{cluster: edge, id: b}", staged)
		w.Connect("a", "b")
		w.Pass(time.Minute)
		saveFleet(w, "inner", 2, "{cluster: edge, id: 'b*'}", staged)
		w.Pass(time.Minute)
		w.Proxies.Disconnect("a")
		w.Proxies.Disconnect("b")
		w.Restart()
		saveFleet(w, "inner", 2, "{cluster: edge, id: '*'}", staged)
		w.Pass(time.Minute)
		got := w.Says(api.EventMatchChanged)
		want := []string{": of 2 connected proxies it moves none, and one that connects later goes by it", ": no proxy is connected, and one that connects later goes by it"}
		if len(got) != 2 || !strings.HasSuffix(got[0], want[0]) || !strings.HasSuffix(got[1], want[1]) {
			t.Errorf("%q, want %q", got, want)
		}
		w.Connect("a", "b")
		w.Pass(time.Minute)
		if a, b := w.Node("a"), w.Node("b"); a.Fleet != "inner" || b.Fleet != "inner" {
			t.Errorf("a is of %s, b of %s", a.Fleet, b.Fleet)
		}
	})
}
