package control

import (
	"testing"

	"github.com/waxwing-xds/waxwing/internal/xds"
)

// A proxy that no fleet claims any more keeps what it runs, over restarts of the server, also
// where its fleet has served others since and it was away meanwhile; and status says so.
func TestKeptProxyKeepsWhatItRunsOverRestarts(t *testing.T) {
	for _, away := range []bool{false, true} {
		c, dir := oneFleet(t)
		runs := c.fleets["edge"].serves()
		c.saves(t, 1, map[string]string{"edge.yaml": fileOfFleet("edge", "{cluster: edge, labels: {tier: inner}}", 2)})
		c.follow()
		if away {
			c.proxyEvents([]xds.Event{{Kind: xds.Disconnected, Node: c.nodes["a"].node}})
		}
		for port := range 12 { // more than are kept for undo
			c.saves(t, 1, map[string]string{"edge.yaml": fileOfFleet("edge", "{cluster: edge, labels: {tier: inner}}", 3+port)})
			c.follow()
		}
		for range 2 {
			c = c.restarted(t, dir)
			c.says(t, "a", `{}`, false)
			c.says(t, "b", `{"tier": "inner"}`, false)
			c.mustKeep(t, runs.String())
			c.follow()
			c.mustKeep(t, runs.String())
			if c.Revision(runs) == nil {
				t.Error("what it runs is not known any more")
			}
		}

		// Claimed again it is moved to what the fleet serves, and what it ran is let go.
		c.saves(t, 1, map[string]string{"edge.yaml": fileOfFleet("edge", "{cluster: edge}", 20)})
		c.follow()
		c.mustBe(t, map[string]string{"a": "edge", "b": "edge"})
		if now := c.fleets["edge"].rollout.Serving.ID; c.nodes["a"].target.Live != now {
			t.Errorf("away: %t: it is to have %+v, and the fleet serves %s", away, c.nodes["a"].target, now)
		}
		if _, stored := c.fleets["edge"].storing[runs.ID]; stored {
			t.Error("what it ran stays on disk")
		}
	}
}

// One that runs what is not known any more, but by its name, is sent nothing.
func TestKeptProxyOfUnknownRevision(t *testing.T) {
	c, dir := oneFleet(t)
	runs := c.fleets["edge"].serves()
	c.saves(t, 1, map[string]string{"edge.yaml": fileOfFleet("edge", "{cluster: edge, labels: {tier: inner}}", 2)})
	c.follow()
	c.disk()
	c.writing.Wait()
	if err := c.Store.Remove(revisionFile("edge", runs.ID)); err != nil {
		t.Fatal(err)
	}
	c = c.restarted(t, dir)
	c.says(t, "a", `{}`, false)
	c.says(t, "b", `{"tier": "inner"}`, false)
	c.follow()
	c.mustKeep(t, runs.String())
	if c.Revision(runs) != nil {
		t.Error("what was lost is known")
	}
}

// mustKeep checks that no fleet decides about proxy a, and what it is to have then.
func (c *Control) mustKeep(t *testing.T, runs string) {
	t.Helper()
	const id = "a"
	c.mustBe(t, map[string]string{id: "edge kept"})
	if got := c.nodes[id].target; got.Live != runs || got.Shadow != "" {
		t.Errorf("it is to have %+v, and ran %s", got, runs)
	}
	if text := c.notices(c.fleets["edge"]); len(text) == 0 {
		t.Error("no notice says that it is kept")
	}
}
