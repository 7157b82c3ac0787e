package control

import (
	"maps"
	"slices"
	"strings"
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
	given time.Time // when it was given its target

	fresh  bool // it connected without any configuration
	target rollout.Assignment
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

// proxyEvents takes what proxies did since the last time, in one batch: when
// thousands join a rollout, a save for each, which names all of its proxies, would
// take longer than the rollout.
func (c *Control) proxyEvents(events []xds.Event) {
	c.batch(func() {
		for _, e := range events {
			c.proxyEvent(e)
		}
	})
}

// proxyEvent takes what a proxy did.
func (c *Control) proxyEvent(e xds.Event) {
	id := e.ID()
	n := c.nodes[id]
	switch e.Kind {
	case xds.Connected:
		if n != nil {
			c.leave(n)
		}
		n = &nodeState{node: e.Node, fresh: e.Fresh}
		c.nodes[id] = n
		c.feed.put(Record{Kind: Connected, Node: id, Fleet: c.fleetOf(e.Node), Message: "Envoy " + xds.Version(e.Node)})
		c.enter(n, c.fleetOf(e.Node))
	case xds.Disconnected:
		if n != nil {
			c.feed.put(Record{Kind: Disconnected, Node: id, Fleet: n.fleet})
			c.leave(n)
			delete(c.nodes, id)
		}
	default:
		if n != nil && n.fleet != "" {
			c.evidence(c.fleet(n.fleet), n, e)
		}
	}
}

// evidence takes what a proxy of a fleet says of what it was given.
func (c *Control) evidence(s *fleetState, n *nodeState, e xds.Event) {
	id := e.ID()
	live, shadow, _ := strings.Cut(e.Revision, "~")
	switch e.Kind {
	case xds.Served:
		c.served(s, n, live, shadow)
	case xds.Rejected:
		n.since = time.Now()
		c.step(s, rollout.Refused{Node: id, Live: live, Shadow: shadow, Reason: e.Resource + ": " + e.Message})
	case xds.HealthOpened, xds.HealthClosed:
		c.step(s, rollout.Health{Node: id, Open: e.Kind == xds.HealthOpened})
	case xds.Probed:
		of, probe, _ := strings.Cut(e.Plan, "/")
		c.step(s, rollout.Probed{
			Node: id, Of: of, Probe: rollout.Probe(probe), Passed: e.Passed, Failed: strings.Join(e.Failed, ", "),
		})
	case xds.Counted:
		c.step(s, rollout.Counted{Node: id, Counters: c.counters(s, n, e.Counters)})
	default: // that it came or went: proxyEvent's
	}
}

// counters are a proxy's, with what they should be.
func (c *Control) counters(s *fleetState, n *nodeState, e xds.Counters) rollout.Counters {
	out := rollout.Counters{
		At: e.At, Requests: e.Requests - min(e.Probes, e.Requests), Errors: e.Errors,
		VMs: e.VMs, ConfigFails: e.ConfigFails, Crashes: e.Crashes,
	}
	accepted := s.rollout.Accepted(n.node.GetId())
	if e.Workers > 0 && accepted.Live == n.target.Live && accepted.Shadow == n.target.Shadow {
		if snap := c.compose(s, n.target); snap != nil {
			out.WantVMs = snap.VMs() * (e.Workers + 2)
		}
	}
	return out
}

// served takes that a proxy accepted all that it was given.
func (c *Control) served(s *fleetState, n *nodeState, live, shadow string) {
	n.since = time.Now()
	r := Record{Kind: Accepted, Fleet: s.name, Revision: live, Number: s.number(live), Node: n.node.GetId()}
	candidate := s.candidate().ID
	if candidate != "" && shadow == candidate && live != candidate {
		r.Kind, r.Revision, r.Number = Warmed, shadow, s.number(shadow)
	}
	if candidate != "" && r.Revision == candidate {
		timings := s.timings
		timings.Accepted = n.since
		if r.Kind == Warmed {
			timings.Pushed = n.given // its stage's turn, or when it came
		}
		r.Timings = &timings
	}
	c.feed.put(r)
	c.step(s, rollout.Served{Node: n.node.GetId(), Live: live, Shadow: shadow})
}

func (c *Control) enter(n *nodeState, name string) {
	n.fleet, n.since = name, time.Now()
	if name == "" {
		c.Log.Warn("no fleet matches this proxy: it is given nothing", "node", n.node.GetId(), "cluster", n.node.GetCluster())
		n.target = rollout.Assignment{}
		c.XDS.Unmatched(n.node.GetId())
		c.XDS.Probe(n.node.GetId(), nil)
		return
	}
	health, _ := fleet.EvidenceOf(n.node)
	c.step(c.fleet(name), rollout.Joined{
		Node: n.node.GetId(), Attributes: fleet.AttributesOf(n.node), Health: health, Fresh: n.fresh,
	})
	if c.XDS.HealthOpen(n.node.GetId()) {
		c.step(c.fleet(name), rollout.Health{Node: n.node.GetId(), Open: true})
	}
}

func (c *Control) leave(n *nodeState) {
	if n.fleet != "" {
		c.step(c.fleet(n.fleet), rollout.Left{Node: n.node.GetId()})
	}
}
