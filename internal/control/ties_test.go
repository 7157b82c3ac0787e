package control

import (
	"maps"
	"slices"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// Among fleets that claim a proxy alike the first by name has it, but for its own; and in whatever
// order they are looked at, it is the same one.
func TestTiesGoByName(t *testing.T) {
	c := &Control{fleets: map[string]*fleetState{}}
	match, node := fleet.Match{Cluster: "edge"}, xdstest.Node("a", "edge", nil)
	for _, name := range []string{"c", "b", "e", "d", "a"} {
		s := c.fleet(name)
		s.match, s.rollout.Serving.ID = match, "1"
		if name != "a" {
			s.guests[node.GetId()] = guest{}
		}
	}
	for range 20 {
		for _, home := range append(slices.Sorted(maps.Keys(c.fleets)), "") {
			want := home
			if home == "" {
				want = "a"
			}
			if got := c.best(node, home, (*fleetState).inForce); got != want {
				t.Fatalf("one of fleet %q goes to %q", home, got)
			}
		}
		if got := knownBy(c.claimsInForce(), node); got != "a" {
			t.Fatalf("it is known by %q", got)
		}
		if got := c.toldOf(node.GetId()); got.home != "b" {
			t.Fatalf("it was told to be of %q, the first whose guest it is being b", got.home)
		}
	}
}
