package control

import (
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/xds"
)

// oneFleet is where fleet edge serves proxies a and b, of which b has a label.
func oneFleet(t *testing.T) (*Control, string) {
	t.Helper()
	c, dir := idleIn(t, t.TempDir())
	c.saves(t, 1, map[string]string{"edge.yaml": fileOfFleet("edge", "{cluster: edge}", 1)})
	c.says(t, "a", `{}`, true)
	c.says(t, "b", `{"tier": "inner"}`, true)
	c.follow()
	return c, dir
}

// A save that excludes proxies and has other content is not tried on those: they keep what
// they run. If it is rejected they are the fleet's as before.
func TestExcludedProxiesAreNoCanaries(t *testing.T) {
	for _, rejected := range []bool{false, true} {
		c, _ := oneFleet(t)
		before := c.fleets["edge"].rollout.Serving.ID

		c.saves(t, 1, map[string]string{"edge.yaml": fileOfFleet("edge", "{cluster: edge, labels: {tier: inner}}", 2)})
		c.mustBe(t, map[string]string{"a": "edge kept", "b": "edge"})
		r := c.fleets["edge"].rollout.Rollout
		if r == nil {
			t.Fatal("there is no rollout")
		}
		if _, member := r.Members["a"]; member || len(r.Members) != 1 {
			t.Errorf("its members are %v", r.Members)
		}
		if a := c.nodes["a"].target; a.Live != "edge/"+before || a.Shadow != "" {
			t.Errorf("who is to leave is to have %+v, and ran %s", a, before)
		}
		if rejected {
			n := c.nodes["b"]
			c.proxyEvents([]xds.Event{{Kind: xds.Rejected, Node: n.node, Revision: pairOf(n.target), Resource: "Listener", Message: "no"}})
			c.follow()
			c.mustBe(t, map[string]string{"a": "edge", "b": "edge"})
		} else {
			c.follow()
			c.mustBe(t, map[string]string{"a": "edge kept", "b": "edge"})
			if now := c.nodes["b"].target.Live; now == before {
				t.Error("who stays has what was before")
			}
		}
		if a := c.nodes["a"].target.Live; strings.TrimPrefix(a, "edge/") != before {
			t.Errorf("rejected: %t: who is excluded is to have %s, and ran %s", rejected, a, before)
		}
	}
}
