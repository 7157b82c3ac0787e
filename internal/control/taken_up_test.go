package control

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// innerRetired is where fleet inner is retired, since its file is gone, and edge has its proxy.
func innerRetired(t *testing.T) (*Control, string) {
	t.Helper()
	c, dir := oneRetired(t, "inner")
	c.mustBe(t, map[string]string{"a": "edge", "b": "edge"})
	c.Grace = time.Hour
	return c, dir
}

// mustBeRetired checks whether a fleet is.
func (c *Control) mustBeRetired(t *testing.T, name string, want bool) {
	t.Helper()
	if s := c.fleets[name]; s.retired() != want {
		t.Errorf("fleet %s is retired: %t, want %t; its rollout is %+v", name, s.retired(), want, s.rollout.Rollout)
	}
}

// A retired fleet whose file comes back with another content and another match moves who
// that is for, to that; and nobody by the match and to the revision that it had.
func TestTakenUpWithWhatItsFileHas(t *testing.T) {
	for _, name := range []string{"inner", "core"} { // the same, and renamed by the same save
		c, dir := innerRetired(t)
		records, stop, _ := c.Subscribe("") // "" is understood
		c.saves(t, 1, map[string]string{"inner.yaml": manual(fileOfFleet(name, "{cluster: edge, id: a}", 3))})
		c.follow()
		c.mustBe(t, map[string]string{"a": "edge to " + name, "b": "edge"})
		c.mustBeRetired(t, name, true)
		c = c.restarted(t, dir)
		c.Grace = time.Hour
		c.saves(t, 2, map[string]string{
			"edge.yaml":  fileOfFleet("edge", "{cluster: edge}", 1),
			"inner.yaml": manual(fileOfFleet(name, "{cluster: edge, id: a}", 3)),
		})
		c.says(t, "a", `{}`, false)
		c.says(t, "b", `{"tier": "inner"}`, false)
		c.follow()
		c.mustBe(t, map[string]string{"a": "edge to " + name, "b": "edge"})
		if err := c.carryOut(api.Command{Fleet: name, Verb: rollout.Promote, By: "alice"}, nil); err != nil {
			t.Fatal(err)
		}
		c.follow()
		c.mustBe(t, map[string]string{"a": name, "b": "edge"})
		c.mustBeRetired(t, name, false)
		for len(records) > 0 {
			if r := <-records; r.Kind == "move started" && strings.Contains(r.Message, "from elsewhere") { // of what is served
				t.Errorf("a move to what was retired: %+v", r)
			}
		}
		stop()
	}
}

// One that comes back with what it had, for other proxies, moves these and no other.
func TestTakenUpForOtherProxies(t *testing.T) {
	c, _ := innerRetired(t)
	c.saves(t, 1, map[string]string{"inner.yaml": manual(fileOfFleet("inner", "{cluster: edge, id: a}", 2))})
	c.mustBe(t, map[string]string{"a": "edge to inner", "b": "edge"})
	c.mustBeRetired(t, "inner", true)
	c.follow()
	if err := c.carryOut(api.Command{Fleet: "inner", Verb: rollout.Promote, By: "alice"}, nil); err != nil {
		t.Fatal(err)
	}
	c.follow()
	c.mustBe(t, map[string]string{"a": "inner", "b": "edge"})
	c.mustBeRetired(t, "inner", false)
}

// What a retired fleet's file has and what is not proven moves nobody, and the fleet
// stays retired: rejected by a proxy, given up by a person, by
// retiring it again, or because its file is gone again.
func TestNotTakenUp(t *testing.T) {
	content := manual(fileOfFleet("inner", "{cluster: edge, labels: {tier: inner}}", 3))
	for how, ends := range map[string]func(t *testing.T, c *Control){
		"rejected": func(_ *testing.T, c *Control) {
			n := c.nodes["b"]
			c.proxyEvents([]xds.Event{{Kind: xds.Rejected, Node: n.node, Revision: pairOf(n.target), Resource: "Listener", Message: "no"}})
		},
		"aborted": func(t *testing.T, c *Control) {
			if err := c.carryOut(api.Command{Fleet: "inner", Verb: rollout.Abort, By: "alice"}, nil); err != nil {
				t.Error(err)
			}
		},
		"retired": func(t *testing.T, c *Control) {
			if err := c.fleetCommand(api.Command{Fleet: "inner", Verb: api.VerbRetire, By: "alice"}); err != nil {
				t.Error(err)
			}
		},
		"its file gone": func(t *testing.T, c *Control) {
			c.Grace = time.Nanosecond
			c.saves(t, 0, map[string]string{"inner.yaml": ""})
			c.tick()
		},
	} {
		t.Run(how, func(t *testing.T) {
			c, _ := innerRetired(t)
			c.saves(t, 1, map[string]string{"inner.yaml": content})
			c.mustBe(t, map[string]string{"a": "edge", "b": "edge to inner"})
			ends(t, c)
			c.sort()
			c.follow()
			c.mustBe(t, map[string]string{"a": "edge", "b": "edge"})
			c.mustBeRetired(t, "inner", true)
			if got, want := c.nodes["b"].target.Live, c.fleets["edge"].rollout.Serving.ID; got != want {
				t.Errorf("b is to have %s, want %s", got, want)
			}
		})
	}
}

// Not even by the match that it had does one take proxies while what is in its file is
// tried, or when that is refused.
func TestNotTakenUpByWhatIsRefused(t *testing.T) {
	c, _ := innerRetired(t)
	match := c.fleets["inner"].match
	for _, event := range []build.Event{
		build.Saved{Files: []build.File{{Path: "inner.yaml", Fleet: "inner", Match: &match, Own: true, Pending: true, Digest: "other"}}},
		build.Built{Path: "inner.yaml", Fleet: "inner", Err: errors.New("the sandbox refuses it")},
	} {
		c.sourceEvents([]build.Event{event})
		c.follow()
		c.mustBe(t, map[string]string{"a": "edge", "b": "edge"})
		c.mustBeRetired(t, "inner", true)
	}
	if c.problems["inner"] == "" {
		t.Error("nobody says why")
	}
}

// A person has retired a fleet whose file is there: an edit takes it up, and taking the edit
// back while it is on its way leaves all as it was.
func TestTakingUpTakenBack(t *testing.T) {
	c, _ := twoFleets(t)
	text := fileOfFleet("inner", "{cluster: edge, labels: {tier: inner}}", 2)
	if err := c.fleetCommand(api.Command{Fleet: "inner", Verb: api.VerbRetire, By: "alice"}); err != nil {
		t.Fatal(err)
	}
	c.sort()
	c.follow()
	c.mustBe(t, map[string]string{"a": "edge", "b": "edge"})
	c.saves(t, 1, map[string]string{"inner.yaml": manual(fileOfFleet("inner", "{cluster: edge}", 3))})
	c.saves(t, 1, map[string]string{"inner.yaml": manual(fileOfFleet("inner", "{cluster: edge, id: a}", 3))})
	c.follow()
	c.mustBe(t, map[string]string{"a": "edge to inner", "b": "edge"})
	c.saves(t, 1, map[string]string{"inner.yaml": text})
	c.follow()
	c.mustBe(t, map[string]string{"a": "edge", "b": "edge"})
	c.mustBeRetired(t, "inner", true)
	if r := c.fleets["inner"].rollout.Rollout; r != nil {
		t.Errorf("it goes on with %+v", r)
	}
}
