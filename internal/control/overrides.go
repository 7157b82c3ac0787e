package control

import (
	"fmt"
	"maps"
	"slices"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// misplaced are the proxies of a fleet that ask for an address of a listener which a
// revision does not have: it was renamed, say, and they bind where the fleet file has it.
func (c *Control) misplaced(s *fleetState, snap *snapshot.Snapshot) []string {
	if snap == nil {
		return nil
	}
	by := map[string][]string{}
	for id, n := range c.nodes {
		if n.fleet != s.name {
			continue
		}
		addresses, err := fleet.ListenAddresses(n.node)
		if err != nil {
			continue // its stream was refused for that
		}
		for name := range addresses {
			if snap.Get(resource.ListenerType, name) == nil {
				by[name] = append(by[name], id)
			}
		}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(by)) {
		slices.Sort(by[name])
		out = append(out, fmt.Sprintf("%s bind listener %q at an address of their own (`listen` in the node's metadata), and revision %s has none of that name: start them with the name that it has now (xds bootstrap --listen NAME=ADDRESS)",
			named(by[name]), name, snap.ID[:min(8, len(snap.ID))]))
	}
	return out
}
