package control

import (
	"cmp"
	"context"
	"maps"
	"path/filepath"
	"slices"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// maxNamed is how many proxies of a Move are named.
const maxNamed = 5

// What is supposed is an api.Claim: that a fleet has a file, and a match.
type supposed struct {
	fleet, file string
	match       fleet.Match
}

func supposedOf(c api.Claim) supposed {
	m := c.Match
	return supposed{c.Fleet, c.File, fleet.Match{ID: m.ID, Cluster: m.Cluster, Locality: fleet.Locality(m.Locality), Labels: m.Labels}}
}

// Preview says which connected proxies would move if these files were served.
func (c *Control) Preview(ctx context.Context, said []api.Claim) ([]api.Move, error) {
	claims := make([]supposed, len(said))
	for i, s := range said {
		claims[i] = supposedOf(s)
	}
	reply := make(chan []api.Move, 1)
	if err := c.ask(ctx, "moves", func() { reply <- c.preview(claims) }); err != nil {
		return nil, err
	}
	return <-reply, nil
}

func (c *Control) preview(claims []supposed) []api.Move {
	files := map[string]fleet.Match{}
	for _, claim := range claims {
		files[claim.fleet] = claim.match
	}
	was := map[string]string{} // the fleet that another is called now
	for _, claim := range claims {
		for name, s := range c.fleets {
			_, stays := files[name]
			if !stays && c.fleets[claim.fleet] == nil && s.file != "" && filepath.Base(s.file) == filepath.Base(claim.file) {
				was[name] = claim.fleet
			}
		}
	}
	moves := map[[2]string][]string{}
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		n := c.nodes[id]
		from := cmp.Or(was[n.home], n.home)
		to := c.wouldGo(n, files, was, from)
		switch {
		case to != from:
			moves[[2]string{n.home, to}] = append(moves[[2]string{n.home, to}], id)
		case n.fleet == "" && c.fleets[n.home] != nil && c.behind(n): // it is its fleet's again
			moves[[2]string{"", to}] = append(moves[[2]string{"", to}], id)
		}
	}
	out := []api.Move{}
	for _, way := range slices.SortedFunc(maps.Keys(moves), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	}) {
		nodes := moves[way]
		out = append(out, api.Move{From: way[0], To: way[1], Count: len(nodes), Nodes: nodes[:min(maxNamed, len(nodes))]})
	}
	return out
}

// wouldGo is where a proxy would be with other files; see best.
func (c *Control) wouldGo(n *nodeState, files map[string]fleet.Match, was map[string]string, home string) string {
	all := maps.Clone(files)
	for name, s := range c.fleets {
		if _, given := files[name]; given || was[name] != "" {
			continue
		}
		if m := s.claims(n.home); m != nil && (!s.retired() || s.returning()) {
			all[name] = *m
		}
	}
	best, most := "", -1
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := all[name]
		if m.Matches(n.node) && (m.Criteria() > most || m.Criteria() == most && name == home) {
			best, most = name, m.Criteria()
		}
	}
	return best
}
