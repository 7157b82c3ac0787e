package control

import (
	"maps"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// Whose revision a proxy runs when it comes back, it does not say. Nearly always it is
// that of the fleet whose match claims it; what is known beyond that is kept here:
//
//   - away: proxies that left this server, in memory.
//   - guests of a fleet: proxies of it that another fleet's match claims, or none: on
//     disk, with what they run, since a restarted server has nothing else to know it from.
//   - before: the matches that were in force when the server started. Who was there
//     before, and has not come back since, ran what these say.

const (
	maxAway = 10_000         // proxies that are remembered
	awayAge = 24 * time.Hour // and for how long
	// startAge is how long after its start a server takes a proxy that it has not seen for
	// one of the fleet that had it before.
	startAge = time.Hour
)

// A guest is one of these.
type guest struct {
	since time.Time
	runs  snapshot.Ref // zero for what the fleet serves
}

// remember keeps the row of a proxy that leaves, with what it runs and nothing else.
func (c *Control) remember(n *nodeState) {
	if n.home == "" {
		return
	}
	if len(c.away) >= maxAway {
		c.forgetOldest()
	}
	c.away[n.node.GetId()] = &nodeState{node: n.node, home: n.home, base: n.base, told: n.told, since: time.Now()}
}

// known are the rows of all proxies of which something is known: those that are connected,
// and those that have left.
func (c *Control) known(yield func(string, *nodeState) bool) {
	for id, n := range c.nodes {
		if !yield(id, n) {
			return
		}
	}
	for id, n := range c.away {
		if !yield(id, n) {
			return
		}
	}
}

// row is that of one of them, nil for none.
func (c *Control) row(id string) *nodeState {
	if n := c.nodes[id]; n != nil {
		return n
	}
	return c.away[id]
}

// forgetOldest makes room for a tenth.
func (c *Control) forgetOldest() {
	ids := slices.SortedFunc(maps.Keys(c.away), func(a, b string) int { return c.away[a].since.Compare(c.away[b].since) })
	for i, id := range ids {
		if i < maxAway/10 || time.Since(c.away[id].since) > awayAge {
			delete(c.away, id)
		}
	}
}

// homeOf is whose revision a proxy runs that has just connected, and which, if that is
// not what the fleet serves.
func (c *Control) homeOf(n *nodeState) (home string, base snapshot.Ref) {
	id := n.node.GetId()
	away := c.away[id]
	delete(c.away, id)
	if away != nil && c.fleets[away.home] != nil {
		return away.home, away.base
	}
	for _, name := range slices.Sorted(maps.Keys(c.fleets)) {
		s := c.fleets[name]
		if r := s.rollout.Rollout; r != nil && r.Bases[id] != "" {
			runs := snapshot.ParseRef(r.Bases[id])
			if from := c.keyed(runs.Fleet); from != nil {
				return from.name, runs
			}
		}
		if g, is := s.guests[id]; is {
			return name, g.runs
		}
		if s.rollout.Serving.ID == "" && s.rollout.Member(id) {
			return name, snapshot.Ref{} // it may have the first revision already, which no match in force tells
		}
	}
	if time.Since(c.began) < startAge {
		if s := c.keyed(knownBy(c.before, n.node)); s != nil {
			return s.name, snapshot.Ref{}
		}
	}
	return "", snapshot.Ref{}
}

// ranBefore is what a proxy ran that has left, and which fleet's it was; "" where that is not
// known for certain.
func (c *Control) ranBefore(id string) (home string, base snapshot.Ref) {
	if away := c.away[id]; away != nil && c.fleets[away.home] != nil {
		return away.home, away.base
	}
	for name, s := range c.fleets { // it is a guest of one at most
		if g, is := s.guests[id]; is {
			return name, g.runs
		}
	}
	return "", snapshot.Ref{}
}

// isNobodys is whether a proxy that has just been started anew is kept by the fleet that it was
// of, on what it ran: there is no other that serves something to it. The match of a revision
// on its way in that fleet counts, too: what is not for a proxy is not given to it.
func (c *Control) isNobodys(n *nodeState, home string) bool {
	s := c.fleets[home]
	if s == nil || s.rollout.Serving.ID == "" {
		return false
	}
	to := c.fleets[c.claimant(n)]
	if to != nil && to != s && to.retired() && s.inForce().Matches(n.node) {
		return true // no proxy of another fleet goes to a retired one
	}
	return to == nil || to.rollout.Serving.ID == "" || to == s && s.excludes(n.node)
}

// A claim is what a match in force says of whose a proxy is that nothing else is known of.
type claim struct {
	fleet string // its name
	match fleet.Match
	rank  int // the claim with the highest has it
}

// claimsInForce are the claims of the fleets, by their keys. A retired one has those that
// no other wants.
func (c *Control) claimsInForce() map[string]claim {
	out := map[string]claim{}
	for _, s := range c.fleets {
		m := s.inForce()
		switch {
		case m == nil:
		case s.retired():
			out[s.key] = claim{s.name, *m, -1}
		default:
			out[s.key] = claim{s.name, *m, m.Criteria()}
		}
	}
	return out
}

// knownBy is the key of the fleet that a proxy is taken to be of by nothing but claims. It
// must not depend on anything else: who is of another fleet is noted as a guest of that.
func knownBy(claims map[string]claim, node *corev3.Node) string {
	best, most := "", -2
	for key, claim := range claims {
		first := claim.rank > most || claim.rank == most && key < best
		if first && claim.match.Matches(node) && fleet.MayBeOf(node, claim.fleet) {
			best, most = key, claim.rank
		}
	}
	return best
}

// noteGuest notes in a fleet's state a proxy of it that it would not be known by.
func (c *Control) noteGuest(n *nodeState, claims map[string]claim) {
	id, known := n.node.GetId(), knownBy(claims, n.node)
	for name, s := range c.fleets {
		is := name == n.home && known != s.key && s.rollout.Serving.ID != ""
		g, was := s.guests[id]
		switch {
		case is && !was && len(s.guests) < maxAway:
			s.guests[id] = guest{time.Now(), n.base}
		case is && was && g.runs != n.base:
			s.guests[id] = guest{g.since, n.base}
		case !is && was:
			delete(s.guests, id)
		default:
			continue
		}
		s.dirty = true
		c.storeChanges(s)
	}
}

// guestsAnew looks at all of them, where a match in force has changed.
func (c *Control) guestsAnew() {
	claims := c.claimsInForce()
	for id, n := range c.known {
		if n.placed || c.nodes[id] == nil {
			c.noteGuest(n, claims)
		}
	}
	for _, s := range c.fleets { // what has not come back for long
		maps.DeleteFunc(s.guests, func(id string, g guest) bool {
			return c.row(id) == nil && time.Since(g.since) > awayAge && time.Since(c.began) > awayAge
		})
	}
}
