package control

import (
	"fmt"
	"maps"
	"slices"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// A way is the fleet that a proxy is of, "" for none, and the one that it is on its way to.
// However a proxy comes from one fleet to another, by a file, a person or its own labels, the
// histories of both say so, with the reason: it is what was told last against what is.
type way struct{ home, to string }

func (n *nodeState) way() way {
	w := way{home: n.home}
	if n.fleet != n.home && n.base.ID != "" {
		w.to = n.fleet
	}
	return w
}

// toldOf is what was told of a proxy that has just connected, when it was there before.
func (c *Control) toldOf(id string) way {
	if away := c.away[id]; away != nil {
		return away.told
	}
	told := way{}
	for name, s := range c.fleets { // before the server was started; of several the first by name
		r := s.rollout.Rollout
		if _, is := s.guests[id]; is && (told.home == "" || name < told.home) {
			told.home = name
		}
		if r != nil && r.Bases[id] != "" && (told.to == "" || name < told.to) {
			told.to = name
		}
	}
	return told
}

// moved is what is told of some proxies at once.
type moved struct {
	kind     rollout.Kind
	from, to string
	reason   string
}

// sayMoves tells the fleets of those proxies, by id, whose way is another than was told.
func (c *Control) sayMoves(ids ...string) {
	all := map[moved][]string{}
	for _, id := range ids {
		n := c.nodes[id]
		if is := n.way(); n.placed && is != n.told {
			for _, m := range c.differ(n, n.told, is) {
				all[m] = append(all[m], id)
			}
			n.told = is
		}
	}
	if len(all) == 0 {
		return
	}
	for _, m := range slices.SortedFunc(maps.Keys(all), func(a, b moved) int { return slices.Compare(a.key(), b.key()) }) {
		c.sayMoved(m, named(all[m]))
	}
}

func (m moved) key() []string { return []string{string(m.kind), m.from, m.to, m.reason} }

// differ is what there is to tell of a proxy whose way was one, and is another.
func (c *Control) differ(n *nodeState, was, is way) []moved {
	var out []moved
	if was.home != "" && was.home != is.home {
		out = append(out, moved{kind: rollout.MovedIn, from: was.home, to: is.home, reason: c.whyTo(n, is.home) + "; it runs nothing that it could lose"})
	}
	if was.to != "" && was.to != is.to && was.to != is.home {
		out = append(out, moved{kind: rollout.MoveEnded, from: is.home, to: was.to, reason: c.whyNotTo(n, was.to)})
	}
	if is.to != "" && was.to != is.to && is.home != "" && (was.home != "" || was.to != is.to) {
		out = append(out, moved{kind: rollout.MoveStarted, from: is.home, to: is.to, reason: c.whyTo(n, is.to)})
	}
	return out
}

func (c *Control) sayMoved(m moved, who string) {
	if m.kind == rollout.MovedIn && m.to == "" {
		c.note(m.from, rollout.MovedOut, who+" to no fleet: "+m.reason)
		return
	}
	leaves, to, from := m.kind, "to", "from"
	if m.kind == rollout.MovedIn {
		leaves = rollout.MovedOut
	}
	if m.kind == rollout.MoveEnded {
		to, from = "not to", "stays in its own,"
	}
	c.note(m.from, leaves, fmt.Sprintf("%s %s fleet %s: %s", who, to, m.to, m.reason))
	c.note(m.to, m.kind, fmt.Sprintf("%s %s fleet %s: %s", who, from, m.from, m.reason))
}

// whyTo is why a proxy goes to a fleet.
func (c *Control) whyTo(n *nodeState, to string) string {
	s := c.fleets[to]
	if s == nil {
		return "no fleet's match claims it"
	}
	if m := s.claims(n.home); m != nil {
		return fmt.Sprintf("the match of %s, %s, claims it", to, *m)
	}
	return fmt.Sprintf("the file of %s matches it, and no fleet has anything for it", to)
}

// whyNotTo is why a proxy goes to a fleet no more.
func (c *Control) whyNotTo(n *nodeState, to string) string {
	s := c.fleets[to]
	if s == nil {
		return "there is no fleet " + to + " any more"
	}
	m := s.claims(n.home)
	u, barred := s.rollout.Barred(n.node.GetId())
	switch {
	case s.retired():
		return "fleet " + to + " is retired"
	case c.letsGo(s, n) && s.file != "":
		return fmt.Sprintf("the file of fleet %s, %s, is gone, and it had not confirmed what is on its way there", to, s.file)
	case c.letsGo(s, n):
		return fmt.Sprintf("fleet %s has no file (%s), and it had not confirmed what is on its way there", to, c.fileWas(s))
	case barred:
		return "it could not be moved: " + u.Reason
	case m == nil:
		return "nothing of " + to + " is on its way any more"
	case !m.Matches(n.node):
		return fmt.Sprintf("the match of %s, %s, does not claim it any more", to, *m)
	case !fleet.MayBeOf(n.node, to):
		return "its certificate does not let it be of fleet " + to + " any more"
	}
	return c.whoHas(n, m, to)
}

// whoHas says which fleet has a proxy that another one's match, m, claims as well.
func (c *Control) whoHas(n *nodeState, m *fleet.Match, to string) string {
	name := c.claimant(n)
	s := c.fleets[name]
	if s == nil || name == to {
		return fmt.Sprintf("fleet %s takes no proxies of other fleets now", to)
	}
	claims := s.claims(n.home)
	switch {
	case claims == nil:
		return "fleet " + name + " has it"
	case claims.Criteria() == m.Criteria():
		return fmt.Sprintf("the match of %s, %s, claims it with as many criteria, and a tie moves no proxy", name, *claims)
	}
	return fmt.Sprintf("the match of %s, %s, claims it with more criteria", name, *claims)
}
