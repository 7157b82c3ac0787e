package control

import (
	"maps"
	"math"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// Which fleet a proxy is to be of. A fleet's match comes with its revisions: in force is
// that of the one that is served. That of a revision on its way claims proxies already,
// which run on what they have until they have proven it. What was only read from a file
// claims nothing.

// next is the match that is not in force yet, nil for none: that of a candidate, or one
// that came without another content and brings proxies from elsewhere.
func (s *fleetState) next() *fleet.Match {
	r := s.rollout.Rollout
	switch {
	case s.offering != nil:
		return s.offering
	case r == nil || r.Move:
		return s.moving
	}
	if m, ok := s.matches[r.Candidate.ID]; ok {
		return &m
	}
	return nil
}

// inForce is the match of what is served, nil for none. Where that is nothing, and proxies
// have opened listeners for what was tried, these are still of the fleet.
func (s *fleetState) inForce() *fleet.Match {
	if s.rollout.Serving.ID != "" {
		return &s.match
	}
	for _, id := range s.rollout.Held() {
		of, _ := snapshot.IsClosed(id)
		if m, ok := s.matches[of]; ok {
			return &m
		}
	}
	return nil
}

// first is the match of what is served, or of a first revision that goes to all at once.
func (s *fleetState) first() *fleet.Match {
	if s.rollout.Rollout != nil && !s.rollout.Open() {
		return s.next()
	}
	return s.inForce()
}

// claims is what counts for a proxy: for one of the fleet what is in force, for another
// what is on its way.
func (s *fleetState) claims(home string) *fleet.Match {
	if next := s.next(); next != nil && (s.name != home || s.rollout.Serving.ID == "") {
		return next
	}
	return s.inForce()
}

// claimant is the fleet that a proxy is to be of in the end, "" for none. One that runs
// nothing has nothing to lose, and is of a fleet that serves something at once; or, if it
// was never seen, of one whose first revision waits for just such proxies.
func (c *Control) claimant(n *nodeState) string {
	if !c.runs(n) {
		match := (*fleetState).inForce
		if !n.known {
			match = (*fleetState).first
		}
		if name := c.best(n.node, n.home, match); name != "" && !c.fleets[name].spent() {
			return name
		}
	}
	claims := func(s *fleetState) *fleet.Match {
		if c.letsGo(s, n) {
			return nil
		}
		return s.claims(n.home)
	}
	switch name := c.best(n.node, n.home, claims); {
	case name != "":
		return name
	case c.isWantedBack(n):
		return n.home
	case c.runs(n):
		return ""
	}
	return c.best(n.node, n.home, c.inVain)
}

// spent is whether a fleet is retired that never served anything: what it has opened on proxies
// keeps these from no other.
func (s *fleetState) spent() bool { return s.retired() && s.rollout.Serving.ID == "" }

// letsGo is whether a fleet has no file, and so takes no proxy from another one: but those
// that have confirmed what is on its way are with it until it is retired.
func (c *Control) letsGo(s *fleetState, n *nodeState) bool {
	return s.fileless && s.name != n.home && c.runs(n) && !s.rollout.Took(n.node.GetId())
}

// isWantedBack is whether a proxy that no match in force claims is to be of the fleet that it is
// from again: the revision on its way there is for it.
func (c *Control) isWantedBack(n *nodeState) bool {
	s := c.fleets[n.home]
	if s == nil || s.rollout.Serving.ID == "" || s.rollout.Rollout == nil || s.rollout.Rollout.Move || c.claimedByHome(n) || s.fileless {
		return false
	}
	next := s.next()
	_, barred := s.rollout.Barred(n.node.GetId())
	return next != nil && next.Matches(n.node) && !barred && fleet.MayBeOf(n.node, s.name)
}

// claimedByHome is whether the match in force of a proxy's own fleet claims it.
func (c *Control) claimedByHome(n *nodeState) bool {
	m := c.fleets[n.home].inForce()
	return m != nil && m.Matches(n.node)
}

// behind is whether a proxy that no fleet claimed runs something that its own does not serve any more.
func (c *Control) behind(n *nodeState) bool {
	now := c.fleets[n.home].serves()
	return now.ID != "" && n.base.ID != "" && n.base != now
}

// comesBack is whether such a proxy is its fleet's again: it is to prove what that serves by now, as one
// that comes from another fleet is.
func (c *Control) comesBack(n *nodeState) bool {
	_, barred := c.fleets[n.home].rollout.Barred(n.node.GetId())
	return c.behind(n) && !barred && c.Revision(n.base) != nil
}

// staysBehind is whether it is not: it has failed to take what the fleet serves by now, and keeps what it runs.
func (c *Control) staysBehind(n *nodeState) bool {
	_, barred := c.fleets[n.home].rollout.Barred(n.node.GetId())
	return c.behind(n) && barred
}

// isLeftBehind is whether that is why a proxy keeps what it runs, and not that no fleet claims it: which
// of the two it is, people are told in its fleet's history and notices, and in its own row.
func (c *Control) isLeftBehind(n *nodeState) bool { return c.claimedByHome(n) && c.staysBehind(n) }

// inVain is the match of a fleet whose first revision was rejected, nil for others. It takes a
// proxy from nobody, and there is nothing to give it: but it is one of the fleet's.
func (c *Control) inVain(s *fleetState) *fleet.Match {
	if s.rollout.Serving.ID != "" || s.rollout.Rollout != nil || len(s.rollout.Rejected) == 0 || s.retired() {
		return nil
	}
	return c.onDiskMatch(s.name)
}

// best finds the fleet with the most criteria of those that match a proxy and can have
// it. Of several such it is the one that has it already, else the first by name: a tie
// never moves a proxy. A retired fleet has those that no other wants (a new one goes to that with the most
// criteria even there: all files may be away, with their folder); and so has one whose
// revision on its way is not for the proxy: to hold it until that is served would have two
// fleets that swap their proxies wait for each other.
func (c *Control) best(node *corev3.Node, home string, match func(*fleetState) *fleet.Match) string {
	best, most := "", math.MinInt
	for name, s := range c.fleets { // in any order: this is for each proxy that connects
		m := match(s)
		if m == nil || !m.Matches(node) || !fleet.MayBeOf(node, name) {
			continue
		}
		if _, barred := s.rollout.Barred(node.GetId()); barred && name != home {
			continue
		}
		criteria := m.Criteria()
		own := name == home
		switch {
		case !c.yields(s, node, m, own) && (!own || !s.excludes(node)):
		case own:
			criteria = -1
		default: // no proxy goes from one such fleet to another
			criteria += math.MinInt + 1
		}
		if criteria > most || criteria == most && (name == home || best != home && name < best) {
			best, most = name, criteria
		}
	}
	return best
}

// returns is whether the match of a retired fleet counts for a proxy like any: it is on its
// way with what the fleet's file has, or the fleet's own proxy is claimed by such a one.
func (s *fleetState) returns(node *corev3.Node, m *fleet.Match, own bool) bool {
	next := s.next()
	return next != nil && next.Matches(node) && (own || m.String() == next.String())
}

// yields is whether a fleet has a proxy only where no other wants it: it is retired, and its file
// is not on its way for the proxy.
func (c *Control) yields(s *fleetState, node *corev3.Node, m *fleet.Match, own bool) bool {
	return s.retired() && !s.returns(node, m, own) && (!own || !c.isBeingBuilt(s, node))
}

// isBeingBuilt is whether a retired fleet has a file again that is for a proxy, and what comes of
// it is not known yet. Files that come back together are built one after the other: the first of
// them is not to take proxies whose own fleet is one of the next.
func (c *Control) isBeingBuilt(s *fleetState, node *corev3.Node) bool {
	f, there := c.fileOf(s.name)
	return there && f.Pending && f.Match != nil && f.Match.Matches(node) && !s.retiredWith(f)
}

// runs is whether a proxy has something of its fleet that it could lose.
func (c *Control) runs(n *nodeState) bool {
	if n.base.ID != "" {
		return true
	}
	s := c.fleets[n.home]
	return s != nil && s.rollout.Serving.ID != ""
}

// awaited is whether a build under way is of a fleet that would have a proxy rather than
// what has it now: one that runs nothing waits for that, instead of being given what it
// would have to be moved from at once.
func (c *Control) awaited(n *nodeState, claimant string) bool {
	most := -1
	if s := c.fleets[claimant]; s != nil {
		if s.rollout.Serving.ID != "" {
			return false
		}
		if m := s.claims(n.home); m != nil {
			most = m.Criteria()
		}
	}
	return slices.ContainsFunc(slices.Collect(maps.Values(c.files)), func(f build.File) bool {
		if f.Match == nil || f.Match.Criteria() <= most || !f.Match.Matches(n.node) || !fleet.MayBeOf(n.node, f.Fleet) {
			return false
		}
		s := c.fleets[f.Fleet]
		return f.Pending && (s == nil || !s.retiredWith(f))
	})
}
