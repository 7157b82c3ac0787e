package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// noneConnected is how a rollout, which knows of no other fleet, says that it has no proxy.
const noneConnected = "none of the fleet is connected"

// withHolders adds to what a rollout says of its proxies, where it has none, which fleets have
// those that it is for.
func (c *Control) withHolders(s *fleetState, text string) string {
	if len(c.fleets) < 2 || !strings.Contains(text, noneConnected) {
		return text
	}
	if who := c.holders(s); who != "" {
		return strings.Replace(text, noneConnected, noneConnected+" ("+who+")", 1)
	}
	return text
}

// holders says where the connected proxies are that a fleet is for and does not have, and why;
// "" where there are none.
func (c *Control) holders(s *fleetState) string {
	m := s.next()
	if m == nil {
		m = c.onDiskMatch(s.name)
	}
	if m == nil {
		return ""
	}
	by := map[string][]string{}
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		if n := c.nodes[id]; n.fleet != s.name && m.Matches(n.node) {
			why := c.holder(s, m, n)
			by[why] = append(by[why], id)
		}
	}
	var out []string
	for _, why := range slices.Sorted(maps.Keys(by)) {
		out = append(out, named(by[why])+" that it matches: "+why)
	}
	return strings.Join(out, "; ")
}

// holder says who has a proxy that a match is for, and why.
func (c *Control) holder(s *fleetState, m *fleet.Match, n *nodeState) string {
	to := c.claimant(n)
	if u, barred := s.rollout.Barred(n.node.GetId()); barred {
		return fmt.Sprintf("of fleet %s, since it could not be moved: %s", n.home, u.Reason)
	}
	other := c.fleets[to]
	switch {
	case !fleet.MayBeOf(n.node, s.name):
		return "what it has shown does not let it be of this fleet"
	case n.waits:
		return "a file that is for it is tried in the sandbox"
	case to == s.name && n.fleet != "":
		return fmt.Sprintf("the rollout of fleet %s has it, and it comes when that has ended", n.fleet)
	case other == nil, to == s.name:
		return "it is yet to be taken"
	}
	claims := other.claims(n.home)
	text := fmt.Sprintf("fleet %s claims it", to)
	switch {
	case claims == nil || claims.Criteria() < m.Criteria():
		if n.fleet == to && other.rollout.Rollout != nil {
			return fmt.Sprintf("the rollout of fleet %s has it, and it comes when that has ended, or is aborted", to)
		}
	case claims.Criteria() > m.Criteria():
		text += " with more criteria"
	case to == n.home:
		text += " with equally many criteria, and has had it before"
	default:
		text += " with equally many criteria, and is the first by name"
	}
	if other.gone.IsZero() {
		return text
	}
	return fmt.Sprintf("%s (%s; it is retired in %s, and its proxies are free then)", text, c.fileWas(other), c.graceLeft(other))
}

// graceLeft is how long a fleet without a file has until it is retired.
func (c *Control) graceLeft(s *fleetState) time.Duration {
	return max(0, c.Grace-time.Since(s.gone)).Round(time.Second)
}
