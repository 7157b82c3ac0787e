package control

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/golden"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// goldenMoves is a state in the middle of moves, as this format has it.
var goldenMoves = fmt.Sprintf("testdata/moves-%d", snapshot.Format)

// midMove has all that is stored of moves: inner is to have a by its match and c by c's
// labels, third d by its first revision, and e was not to go to fourth.
func midMove(t *testing.T) (*Control, string) {
	t.Helper()
	c, dir := twoFleets(t)
	c.saves(t, 1, map[string]string{"fourth.yaml": fileOfFleet("fourth", "{cluster: edge, labels: {tier: fourth}}", 5)})
	c.says(t, "f", `{"tier": "fourth"}`, true)
	for _, id := range []string{"c", "d", "e"} {
		c.says(t, id, `{}`, true)
	}
	c.follow()
	c.saves(t, 1, map[string]string{"fourth.yaml": manual(fileOfFleet("fourth", "{cluster: edge, id: e}", 5))})
	c.follow()
	if err := c.carryOut(api.Command{Fleet: "fourth", Verb: rollout.Abort, By: "alice"}, nil); err != nil {
		t.Fatal(err)
	}
	c.saves(t, 1, map[string]string{"inner.yaml": manual(fileOfFleet("inner", "{cluster: edge, id: '[abc]'}", 2))})
	c.says(t, "c", `{"tier": "inner"}`, false)
	c.saves(t, 1, map[string]string{"third.yaml": manual(fileOfFleet("third", "{cluster: edge, id: d}", 4))})
	c.follow()
	return c, dir
}

// What is stored in the middle of moves is read by later servers: proxies that come back
// are on their way from where they were to where they were to go.
func TestStateOfMovesGolden(t *testing.T) {
	if golden.Rewrite() {
		c, dir := midMove(t)
		c.restarted(t, dir)
		replace(t, goldenMoves, dir)
	}
	c, dir := idleIn(t, copyOf(t, goldenMoves))
	for _, s := range c.fleets {
		s.dirty = true
		c.storeChanges(s)
	}
	c.disk()
	all := golden.CompareFiles(t, goldenMoves, dir, fleetFileName("edge"), fleetFileName("inner"), fleetFileName("third"), fleetFileName("fourth"))
	for _, field := range []string{"bases", "staged", "move", "matches", "guests", "moving_match", "declined_match", "unmoved"} {
		if !strings.Contains(all, `"`+field+`":`) {
			t.Errorf("the golden has no field %q", field)
		}
	}
	c.onTheirWay(t)
}

// onTheirWay connects the proxies of midMove.
func (c *Control) onTheirWay(t *testing.T) {
	t.Helper()
	edge := c.fleets["edge"].serves()
	labels := map[string]string{"b": `{"tier": "inner"}`, "c": `{"tier": "inner"}`, "f": `{"tier": "fourth"}`}
	for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
		text := labels[id]
		if text == "" {
			text = "{}"
		}
		c.says(t, id, text, false)
	}
	c.mustBe(t, map[string]string{"a": "edge to inner", "b": "inner", "c": "edge to inner", "d": "edge to third", "e": "edge", "f": "fourth"})
	for _, id := range []string{"a", "c", "d"} {
		if got := c.nodes[id].base; got != edge {
			t.Errorf("%s goes back to %q, want %q", id, got, edge)
		}
	}
	for _, name := range []string{"inner", "third"} {
		c.follow()
		if err := c.carryOut(api.Command{Fleet: name, Verb: rollout.Promote, By: "alice"}, nil); err != nil {
			t.Error(err)
		}
	}
	c.follow()
	c.mustBe(t, map[string]string{"a": "inner", "b": "inner", "c": "inner", "d": "third", "e": "edge", "f": "fourth"})
}

// The fields of a state in the middle of moves are tagged, too.
func TestSavedFieldsOfMovesAreTagged(t *testing.T) {
	for _, key := range []string{"edge", "inner", "third", "fourth"} {
		mustBeTagged(t, goldenMoves, fleetFileName(key))
	}
}
