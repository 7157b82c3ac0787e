package control

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/store"
)

// restarted closes the state directory and starts anew with it.
func (c *Control) restarted(t *testing.T, dir string) *Control {
	t.Helper()
	c.disk()
	c.writing.Wait()
	if err := c.Store.(*store.Dir).Close(); err != nil {
		t.Fatal(err)
	}
	c, _ = idleIn(t, dir)
	return c
}

// diffOf asks for a difference, as the admin API does.
func (c *Control) diffOf(t *testing.T, fleet string) api.Difference {
	t.Helper()
	go func() { (<-c.reads)() }()
	d, err := c.Diff(t.Context(), fleet)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// manual has the last stage wait for a person.
func manual(text string) string {
	return strings.Replace(text, "percent: 100", "percent: 100, approve: manual", 1)
}

// A move that a person has given up is not begun again by a restart, or by a save that
// says the same; but by a person.
func TestAbortedMoveStaysAborted(t *testing.T) {
	c, dir := twoFleets(t)
	wider := manual(fileOfFleet("inner", "{cluster: edge, id: '*'}", 2))
	c.saves(t, 1, map[string]string{"inner.yaml": wider})
	c.follow()
	c.mustBe(t, map[string]string{"a": "edge to inner", "b": "inner"})
	want := []api.Move{{From: "edge", To: "inner", Count: 1, Nodes: []string{"a"}}}
	if d := c.diffOf(t, "inner"); fmt.Sprint(d.Moves) != fmt.Sprint(want) {
		t.Errorf("the difference moves %v, want %v", d.Moves, want)
	}
	if err := c.carryOut(api.Command{Fleet: "inner", Verb: rollout.Abort, By: "alice"}, nil); err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"aborted", "restarted", "saved again"} {
		switch how {
		case "restarted":
			c = c.restarted(t, dir)
			c.saves(t, 2, map[string]string{"edge.yaml": fileOfFleet("edge", "{cluster: edge}", 1), "inner.yaml": wider})
			c.says(t, "a", `{}`, false)
			c.says(t, "b", `{"tier": "inner"}`, false)
		case "saved again":
			c.saves(t, 1, map[string]string{"inner.yaml": wider + "# the same\n"})
		}
		c.follow()
		c.mustBe(t, map[string]string{"a": "edge", "b": "inner"})
		if state, why := c.fleets["inner"].cameOf(c.fleets["inner"].onDisk); state != api.DiskRejected || !strings.Contains(why, "its match is not in force: 1 proxy (a) not moved: aborted by alice") {
			t.Errorf("%s: on disk is %s: %s", how, state, why)
		}
	}
	if err := c.carryOut(api.Command{Fleet: "inner", Verb: rollout.Retry, By: "alice"}, nil); err != nil {
		t.Fatal(err)
	}
	c.hear(t, 1)
	c.follow()
	c.mustBe(t, map[string]string{"a": "edge to inner"})
}

// A proxy that is not of the fleet whose match has it is where it was after a restart, too:
// one that was not moved there, and one that has left a retired fleet.
func TestProxyStaysWhereItWasOverARestart(t *testing.T) {
	c, dir := twoFleets(t)
	c.saves(t, 1, map[string]string{"third.yaml": fileOfFleet("third", "{cluster: edge, labels: {tier: third}}", 3)})
	c.says(t, "t", `{"tier": "third"}`, true)
	c.follow()
	c.says(t, "a", `{"tier": "third"}`, false)
	s := c.fleets["third"]
	c.step(s, rollout.Command{Verb: rollout.Abort, By: "alice"})
	c.follow()
	c.saves(t, 1, map[string]string{"fourth.yaml": fileOfFleet("fourth", "{cluster: edge, id: b, labels: {tier: inner}}", 4)})
	c.follow()
	c.mustBe(t, map[string]string{"a": "edge", "b": "fourth"})
	c.saves(t, 0, map[string]string{"fourth.yaml": ""})
	c.retire(c.fleets["fourth"], "alice", "by alice")
	c.sort()
	c.follow()
	c.mustBe(t, map[string]string{"a": "edge", "b": "inner", "t": "third"})
	for _, id := range []string{"a", "b"} {
		want := c.nodes[id].target.Live
		c = c.restarted(t, dir)
		c.says(t, "a", `{"tier": "third"}`, false)
		c.says(t, "b", `{"tier": "inner"}`, false)
		if got := c.nodes[id]; got.target.Live != want || got.home != map[string]string{"a": "edge", "b": "inner"}[id] {
			t.Errorf("after a restart %s is of %s and is to have %+v, had %s", id, got.home, got.target, want)
		}
	}
}

// One proxy that can't be moved does not keep the others from it.
func TestOneThatIsNotMovedHoldsUpNoOther(t *testing.T) {
	c, _ := twoFleets(t)
	c.says(t, "c", `{}`, true)
	c.follow()
	c.saves(t, 1, map[string]string{"inner.yaml": fileOfFleet("inner", "{cluster: edge, id: '*'}", 2)})
	s := c.fleets["inner"]
	c.step(s, rollout.Refused{Node: "c", Live: c.nodes["c"].base.String(), Reason: "no"})
	c.follow()
	c.mustBe(t, map[string]string{"a": "inner", "b": "inner", "c": "edge"})
	if s.declined != nil || s.match.String() != "{cluster: edge, id: *}" {
		t.Errorf("the match in force is %s, declined %v", s.match, s.declined)
	}
}

// What brings proxies is taken back while they are on their way: they stay what they were,
// and nothing of it is left.
func TestMoveTakenBackMidway(t *testing.T) {
	c, _ := twoFleets(t)
	edge := c.fleets["edge"].rollout.Serving.ID
	inner := fileOfFleet("inner", "{cluster: edge, labels: {tier: inner}}", 2)
	for name, midway := range map[string]map[string]string{
		"a match":   {"inner.yaml": manual(fileOfFleet("inner", "{cluster: edge, id: '*'}", 2))},
		"a content": {"inner.yaml": manual(fileOfFleet("inner", "{cluster: edge, id: '*'}", 3))},
		"a file":    {"third.yaml": manual(fileOfFleet("third", "{cluster: edge, id: a}", 4))},
	} {
		t.Run(name, func(t *testing.T) {
			c.saves(t, 1, midway)
			c.follow()
			if got := c.where("a"); !strings.HasPrefix(got, "edge to ") {
				t.Fatalf("a is %q", got)
			}
			if name == "a file" {
				c.saves(t, 0, map[string]string{"third.yaml": ""})
				c.retire(c.fleets["third"], "alice", "by alice")
				c.sort()
			} else {
				c.saves(t, 1, map[string]string{"inner.yaml": inner})
			}
			c.follow()
			c.mustBe(t, map[string]string{"a": "edge", "b": "inner"})
			if got := c.nodes["a"].target; got.Live != edge || got.Shadow != "" {
				t.Errorf("it is to have %+v", got)
			}
			for _, s := range c.fleets {
				if s.rollout.Rollout != nil || s.moving != nil {
					t.Errorf("fleet %s goes on with %+v, %v", s.name, s.rollout.Rollout, s.moving)
				}
			}
		})
	}
}

// An edit by which a fleet loses its last proxy is said at the save and in the status,
// where it is served to nobody; and beforehand.
func TestLastProxyLostByAnEdit(t *testing.T) {
	c, _ := twoFleets(t)
	records, stop, _ := c.Subscribe("") // "" is understood
	defer stop()
	c.saves(t, 1, map[string]string{"inner.yaml": fileOfFleet("inner", "{cluster: nowhere}", 2)})
	c.follow()
	c.mustBe(t, map[string]string{"a": "edge", "b": "edge"})
	said := false
	for len(records) > 0 {
		r := <-records
		said = said || r.Kind == api.EventNotice && strings.Contains(r.Message, "inner.yaml:2: match: {cluster: nowhere}: no connected proxy matches it: by this edit the fleet loses all that it has, 1 proxy")
	}
	if !said {
		t.Error("nobody says so at the save")
	}
	s := c.fleetStatus(c.fleets["inner"])
	if s.Proxies != 0 || !slices.ContainsFunc(s.Notices, func(n string) bool { return strings.Contains(n, "inner.yaml:2: no connected proxy matches it") }) {
		t.Errorf("%d proxies, %q", s.Proxies, s.Notices)
	}
}

// A fleet that took a name that was free again gives its proxies to others like any: they
// are known to run what they run.
func TestFleetOfAFreedNameLosesAProxy(t *testing.T) {
	c, _ := twoFleets(t)
	c.saves(t, 1, map[string]string{"edge.yaml": fileOfFleet("web", "{cluster: edge, id: nobody}", 1)})
	c.follow()
	c.mustBe(t, map[string]string{"a": "web kept"})
	c.saves(t, 1, map[string]string{"new.yaml": fileOfFleet("edge", "{cluster: edge}", 3)})
	c.follow()
	c.mustBe(t, map[string]string{"a": "edge"})
	c.saves(t, 1, map[string]string{"core.yaml": fileOfFleet("core", "{cluster: edge, id: a}", 4)})
	c.follow()
	c.mustBe(t, map[string]string{"a": "core"})
}
