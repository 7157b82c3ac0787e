package control

import (
	"testing"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A proxy that no fleet claimed, and that is its fleet's again, proves what that serves by now before it has it: also after
// a restart between.
func TestKeptProxyComesBackByAMove(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		c, dir := oneFleet(t)
		before := c.fleets["edge"].serves().String()
		c.saves(t, 1, map[string]string{"edge.yaml": fileOfFleet("edge", "{cluster: edge, labels: {tier: inner}}", 2)})
		c.follow()
		c.mustKeep(t, before)
		if restarted {
			c.disk()
			c.writing.Wait()
			c = c.restarted(t, dir)
			c.says(t, "a", `{}`, false)
			c.says(t, "b", `{"tier": "inner"}`, false)
			c.follow()
		}
		if moves := c.preview([]supposed{{fleet: "edge", file: "edge.yaml", match: fleet.Match{Cluster: "edge"}}}); len(moves) != 1 || moves[0].Count != 1 {
			t.Errorf("what is said beforehand is %+v", moves)
		}
		c.saves(t, 1, map[string]string{"edge.yaml": fileOfFleet("edge", "{cluster: edge}", 2)})
		if a := c.nodes["a"].target; a.Live != before {
			t.Fatalf("restarted %t: it is to have %+v at once, and ran %s", restarted, a, before)
		}
		if r := c.fleets["edge"].rollout.Rollout; r == nil || !r.Move || len(r.Members) == 0 {
			t.Fatalf("restarted %t: there is no move: %+v", restarted, r)
		}
		c.follow()
		c.mustBe(t, map[string]string{"a": "edge", "b": "edge"})
		if a, now := c.nodes["a"].target, c.fleets["edge"].rollout.Serving.ID; a.Live != now {
			t.Errorf("it is to have %+v, and the fleet serves %s", a, now)
		}
	}
}
