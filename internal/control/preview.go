package control

import (
	"cmp"
	"context"
	"maps"
	"path/filepath"
	"slices"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A Move is how many connected proxies would go from one fleet to another.
type Move struct {
	From  string   `json:"from"` // "" for none
	To    string   `json:"to"`   // "": they would be claimed by none, and keep what they run
	Count int      `json:"count"`
	Nodes []string `json:"nodes"` // some of them
}

// A Claim is what a fleet file that is not served says of which proxies it is for.
type Claim struct {
	Fleet string      `json:"fleet"`
	File  string      `json:"file"` // its path; a fleet of that file that is claimed by none is renamed
	Match fleet.Match `json:"match"`
}

// maxNamed is how many proxies of a Move are named.
const maxNamed = 5

// Preview says which connected proxies would move if these files were served.
func (c *Control) Preview(ctx context.Context, claims []Claim) ([]Move, error) {
	reply := make(chan []Move, 1)
	if err := c.ask(ctx, "moves", func() { reply <- c.preview(claims) }); err != nil {
		return nil, err
	}
	return <-reply, nil
}

func (c *Control) preview(claims []Claim) []Move {
	files := map[string]fleet.Match{}
	for _, claim := range claims {
		files[claim.Fleet] = claim.Match
	}
	was := map[string]string{} // the fleet that another is called now
	for _, claim := range claims {
		for name, s := range c.fleets {
			_, stays := files[name]
			if !stays && c.fleets[claim.Fleet] == nil && s.file != "" && filepath.Base(s.file) == filepath.Base(claim.File) {
				was[name] = claim.Fleet
			}
		}
	}
	moves := map[[2]string][]string{}
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		n := c.nodes[id]
		from := cmp.Or(was[n.home], n.home)
		if to := c.wouldGo(n, files, was, from); to != from {
			moves[[2]string{n.home, to}] = append(moves[[2]string{n.home, to}], id)
		}
	}
	out := []Move{}
	for _, way := range slices.SortedFunc(maps.Keys(moves), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	}) {
		nodes := moves[way]
		out = append(out, Move{From: way[0], To: way[1], Count: len(nodes), Nodes: nodes[:min(maxNamed, len(nodes))]})
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
