package control

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// nodeState is a proxy, connected or, with nothing but what it runs, away. See moves.go for
// its ways with fleets.
type nodeState struct {
	node  *corev3.Node
	home  string       // the fleet whose revision it runs, "" for none
	base  snapshot.Ref // which, where that fleet does not decide about it
	fleet string       // the fleet that decides what it gets, "" for none
	since time.Time    // of the state that status shows; of one that is away, when it left
	given time.Time    // when it was given its target
	came  time.Time    // when it connected

	named    int  // how many resources it asks for by name, where it is no Envoy
	fresh    bool // it connected without any configuration
	placed   bool // in a fleet, or in none
	waits    bool // for what comes of a build
	known    bool // a fleet had it before
	saidKept bool
	told     way // what both fleets' histories say of it
	target   rollout.Assignment

	clockKnown time.Time     // when its clock was read; zero: never
	skew       time.Duration // by how much that is ahead of ours
	clockTold  bool          // it is in trouble for it
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
			c.leave(n, false)
			c.remember(n)
		}
		c.connected(id, e)
	case xds.Disconnected:
		if n != nil {
			c.feed.put(api.Event{Kind: api.EventDisconnected, Node: id, Fleet: n.home})
			c.leave(n, c.replaced(n))
			c.remember(n)
			delete(c.nodes, id)
			c.twinLeft(n)
			c.delivery.Left(id)
		}
	case xds.Served, xds.Rejected, xds.HealthOpened, xds.HealthClosed, xds.Probed, xds.Counted, xds.Hushed:
		if n != nil && n.fleet != "" {
			c.hears(c.fleet(n.fleet), n, e)
		}
	}
}

// connected takes that a proxy has come, or come back. One that comes without any
// configuration has nothing to lose; what another one runs is what it ran before.
func (c *Control) connected(id string, e xds.Event) {
	n := &nodeState{node: e.Node, came: time.Now(), fresh: e.Fresh, known: c.away[id] != nil || knownBy(c.before, e.Node) != ""}
	c.nodes[id] = n
	c.twinCame(n)
	n.told = c.toldOf(id)
	if e.Fresh {
		home, base := c.ranBefore(id)
		c.freshStart(id)
		if c.isNobodys(n, home) && fleet.MayBeOf(n.node, home) {
			n.home, n.base = home, base
		}
	} else {
		n.home, n.base = c.homeOf(n)
		if !fleet.MayBeOf(n.node, n.home) { // with the certificate that it has now
			n.home, n.base = "", snapshot.Ref{}
		}
	}
	c.place(n)
	c.feed.put(api.Event{Kind: api.EventConnected, Node: id, Fleet: n.home, Message: "Envoy " + xds.Version(e.Node)})
	c.place(n) // what serves it is known now, and where it may go from there
	if s := c.fleets[n.fleet]; s != nil && n.base.ID != "" && s.rollout.Rollout == nil {
		c.unsorted = true // a move is to begin
	}
	c.sayForbidden(n)
	c.sort()
	c.cameElsewhere(n)
	c.sayMoves(id) // of this one alone: ten thousand may come at once
}

// freshStart forgets what was known of the process before.
func (c *Control) freshStart(id string) {
	delete(c.away, id)
	for _, s := range c.fleets {
		delete(s.guests, id)
		if _, barred := s.rollout.Unmoved[id]; barred {
			c.step(s, rollout.Unbarred{Node: id})
		}
	}
}

// hears takes what a proxy of a fleet says of what it was given.
func (c *Control) hears(s *fleetState, n *nodeState, e xds.Event) {
	id := e.ID()
	live, shadow := e.Revision.Live.String(), e.Revision.Shadow.String()
	switch e.Kind {
	case xds.Served:
		n.named = e.Named
		c.clock(s, n)
		c.served(s, n, e.Revision)
	case xds.Rejected:
		n.since = time.Now()
		reason := e.Resource + ": " + strings.TrimSpace(e.Message)
		if e.Trouble {
			c.step(s, rollout.Troubled{Node: id, Live: live, Shadow: shadow, Reason: reason, Whole: e.Whole})
		} else {
			c.step(s, rollout.Refused{Node: id, Live: live, Shadow: shadow, Reason: reason})
		}
	case xds.HealthOpened, xds.HealthClosed:
		c.step(s, rollout.Health{Node: id, Open: e.Kind == xds.HealthOpened})
	case xds.Probed:
		c.probed(s, id, e)
	case xds.Counted:
		n.tick(e.Counters.At, e.Counters.Clock)
		c.clock(s, n)
		c.step(s, rollout.Counted{Node: id, Counters: c.counters(s, n, e.Counters)})
	case xds.Hushed:
		c.step(s, rollout.Hushed{Node: id, Since: e.Quiet.Since, Peer: e.Quiet.Peer, Of: e.Quiet.Of})
	case xds.Connected, xds.Disconnected: // proxyEvent's
	}
}

func wantsError(c snapshot.Check) bool {
	return slices.ContainsFunc(c.Statuses(), func(r fleet.StatusRange) bool { return r.To >= http.StatusInternalServerError })
}

// counters are a proxy's, with what they should be.
func (c *Control) counters(s *fleetState, n *nodeState, e xds.Counters) rollout.Counters {
	out := rollout.Counters{
		At: e.At, Requests: e.Requests - min(e.Probes, e.Requests), Errors: e.Errors - min(e.ProbesFailed, e.Errors),
		Bytes: e.Bytes,
		Begun: e.Begun - min(e.Probes, e.Begun), Active: e.Active,
		Redirects: int64(e.Redirects) - int64(e.ProbeRedirects), Denials: int64(e.Denials) - int64(e.ProbeDenials),
		ProbesLost: e.ProbesLost, ServiceDenials: e.ServiceDenials,
		VMs: e.VMs, Warming: e.Warming, ConfigFails: e.ConfigFails, Crashes: e.Crashes, Filtered: e.FilterErrors(),
		ServiceErrors: e.ServiceErrors + e.Unanswered + e.Routed - min(e.Routed, e.Requests), // those that are not answered, too
	}
	if n := float64(e.Times.Requests); n > 0 {
		out.Median, out.P99 = e.Times.Medians/n, e.Times.P99s/n
	}
	if len(e.Named) > 0 {
		out.Named = map[string]rollout.Named{}
		for name, value := range e.Named {
			out.Named[name] = rollout.Named(value)
		}
	}
	if snap := s.snapshots[n.target.Live]; snap != nil && slices.ContainsFunc(snap.Meta.Checks, wantsError) {
		out.Filtered = 0 // the proxy's own probes may be these
	}
	accepted := s.rollout.Accepted(n.node.GetId())
	if e.Workers > 0 && accepted.Live == n.target.Live && accepted.Shadow == n.target.Shadow {
		out.WantVMs = c.delivery.VMs(s.key, pairOf(n.target)) * (e.Workers + 2)
	}
	return out
}

// served takes that a proxy accepted all that it was given.
func (c *Control) served(s *fleetState, n *nodeState, has snapshot.Pair) {
	n.since, n.fresh = time.Now(), false
	live, shadow := has.Live.String(), has.Shadow.String()
	runs := c.numbered(s, has.Live)
	r := api.Event{Kind: api.EventAccepted, Fleet: s.name, Revision: runs.ID, Number: runs.Number, Node: n.node.GetId()}
	candidate := s.candidate().ID
	if candidate != "" && shadow == candidate && live != candidate {
		r.Kind, r.Revision, r.Number = api.EventWarmed, shadow, s.number(shadow)
	}
	if candidate != "" && r.Revision == candidate {
		timings := s.timings
		timings.Accepted = n.since
		if r.Kind == api.EventWarmed {
			timings.Pushed = n.given // its stage's turn, or when it came
		}
		r.Timings = &timings
	}
	c.feed.put(r)
	unasked := ""
	if n.named > 0 {
		unasked = fmt.Sprintf("it is no Envoy, and asks for %d resources by name", n.named)
	}
	c.step(s, rollout.Served{Node: n.node.GetId(), Live: live, Shadow: shadow, Unasked: unasked})
}

// enter tells the fleet that decides about a proxy that it is there.
func (c *Control) enter(n *nodeState) {
	n.since = time.Now()
	id := n.node.GetId()
	switch {
	case n.fleet != "":
		before := n.target
		c.joined(n)
		if n.target.Live+n.target.Shadow != "" && n.target.Live == before.Live && n.target.Shadow == before.Shadow {
			c.delivery.SayAgain(id) // it is sent nothing, and so would not answer
		}
	case n.base.ID != "":
		c.give(c.fleets[n.home], n, rollout.Assignment{Live: n.base.String()})
	case n.waits:
		c.Log.Info("a proxy waits for what comes of a file that is for it", "node", id)
	default:
		c.Log.Warn("no fleet matches this proxy: it is given nothing", "node", id, "cluster", n.node.GetCluster())
		n.target = rollout.Assignment{}
		c.delivery.Unmatched(id)
	}
}

func (c *Control) joined(n *nodeState) {
	id := n.node.GetId()
	health, _ := fleet.EvidenceOf(n.node)
	s := c.fleet(n.fleet)
	c.step(s, rollout.Joined{Node: id, Attributes: fleet.AttributesOf(n.node), Health: health, Fresh: n.fresh, Base: n.base.String(), Own: !n.fresh && n.base.ID == ""})
	if c.delivery.HealthOpen(id) {
		c.step(s, rollout.Health{Node: id, Open: true})
	}
}

// leave takes a proxy from the fleet that decides about it: moved, to be another's.
func (c *Control) leave(n *nodeState, moved bool) {
	if n.fleet != "" {
		c.step(c.fleet(n.fleet), rollout.Left{Node: n.node.GetId(), Moved: moved})
	}
}
