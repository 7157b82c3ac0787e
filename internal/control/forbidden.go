package control

import (
	"maps"
	"slices"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// forbidden is a fleet that a proxy of none would be of if its certificate let it, "" for none.
func (c *Control) forbidden(n *nodeState) string {
	best, most := "", -1
	for _, name := range slices.Sorted(maps.Keys(c.fleets)) {
		m := c.fleets[name].claims(n.home)
		if m != nil && m.Criteria() > most && m.Matches(n.node) && !fleet.MayBeOf(n.node, name) {
			best, most = name, m.Criteria()
		}
	}
	return best
}

// sayForbidden tells of a proxy that has come with a certificate that is of no use to it.
func (c *Control) sayForbidden(n *nodeState) {
	if n.fleet != "" || c.Forbidden == nil {
		return
	}
	if name := c.forbidden(n); name != "" {
		c.Forbidden(n.node.GetId(), name)
	}
}
