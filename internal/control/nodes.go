package control

import (
	"maps"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// nodeState is a connected proxy.
type nodeState struct {
	node  *corev3.Node
	fleet string    // "" while no fleet matches it
	since time.Time // of the state that status shows
}

// matchChanged takes over which proxies a fleet is for, and sorts them anew.
func (c *Control) matchChanged(f *fleet.Fleet) {
	s := c.fleet(f.Name)
	s.match = f.Match
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		n := c.nodes[id]
		if name := c.fleetOf(n.node); name != n.fleet {
			c.leave(n)
			c.enter(n, name)
		}
	}
}

// fleetOf finds the fleet that a proxy belongs to: of those that match it the
// one with the most criteria, and of several such the first by name.
func (c *Control) fleetOf(node *corev3.Node) string {
	best := ""
	for _, name := range slices.Sorted(maps.Keys(c.fleets)) {
		m := c.fleets[name].match
		if m.Matches(node) && (best == "" || m.Criteria() > c.fleets[best].match.Criteria()) {
			best = name
		}
	}
	return best
}

// proxyEvent takes what a proxy did.
func (c *Control) proxyEvent(e xds.Event) {
	id := e.Node.GetId()
	n := c.nodes[id]
	switch e.Kind {
	case xds.Connected:
		if n != nil {
			c.leave(n)
		}
		n = &nodeState{node: e.Node}
		c.nodes[id] = n
		c.feed.put(Record{Kind: Connected, Node: id, Fleet: c.fleetOf(e.Node), Message: "Envoy " + xds.Version(e.Node)})
		c.enter(n, c.fleetOf(e.Node))
	case xds.Disconnected:
		if n != nil {
			c.feed.put(Record{Kind: Disconnected, Node: id, Fleet: n.fleet})
			c.leave(n)
			delete(c.nodes, id)
		}
	case xds.Served:
		c.served(n, e)
	case xds.Rejected:
		if n != nil && n.fleet != "" {
			n.since = time.Now()
			c.step(c.fleet(n.fleet), rollout.Refused{Node: id, ID: e.Revision, Reason: e.Resource + ": " + e.Message})
		}
	}
}

func (c *Control) served(n *nodeState, e xds.Event) {
	if n == nil || n.fleet == "" {
		return
	}
	s := c.fleet(n.fleet)
	n.since = time.Now()
	r := Record{Kind: Accepted, Fleet: s.name, Revision: e.Revision, Number: s.number(e.Revision), Node: e.Node.GetId()}
	if e.Revision == s.rollout.Candidate.ID {
		timings := s.timings
		timings.Accepted = n.since
		r.Timings = &timings
	}
	c.feed.put(r)
	c.step(s, rollout.Served{Node: e.Node.GetId(), ID: e.Revision})
}

func (c *Control) enter(n *nodeState, name string) {
	n.fleet, n.since = name, time.Now()
	if name == "" {
		c.Log.Warn("no fleet matches this proxy: it is given nothing", "node", n.node.GetId(), "cluster", n.node.GetCluster())
		c.XDS.Assign(n.node.GetId(), nil)
		return
	}
	c.step(c.fleet(name), rollout.Joined{Node: n.node.GetId()})
}

func (c *Control) leave(n *nodeState) {
	if n.fleet != "" {
		c.step(c.fleet(n.fleet), rollout.Left{Node: n.node.GetId()})
	}
}
