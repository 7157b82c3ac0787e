package control

import (
	"maps"
	"slices"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// A process that is started anew with other labels is of another fleet, perhaps, or a twin of the
// one before while that drains. The stage that had it would wait for it to come back, and take what
// it was given for what ended it. But no crash gives a process other labels: it has moved.

// replaced is whether a process that leaves has been started anew with other labels: one with its
// node id has come since it was given what it has. Two that have shared an id for longer are told
// apart from that.
func (c *Control) replaced(n *nodeState) bool {
	said := fleet.SaidID(n.node)
	names := append(slices.Collect(maps.Keys(c.twins.named[said])), said)
	return !n.given.IsZero() && slices.ContainsFunc(names, func(name string) bool {
		other := c.nodes[name]
		return other != nil && other != n && other.came.After(n.given)
	})
}

// cameElsewhere tells rollouts that a process which they wait for has come to another fleet.
func (c *Control) cameElsewhere(n *nodeState) {
	said := fleet.SaidID(n.node)
	if other := c.nodes[said]; other != nil && other != n {
		return // both are there
	}
	for _, name := range slices.Sorted(maps.Keys(c.fleets)) {
		if s := c.fleets[name]; name != n.fleet && s.rollout.Member(said) {
			c.step(s, rollout.Left{Node: said, Moved: true})
		}
	}
}
