package main

import (
	"fmt"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// movesText says which connected proxies would change fleets.
func movesText(moves []api.Move) string {
	text := ""
	for _, m := range moves {
		to := "to fleet " + m.To
		if m.To == "" {
			to = "to none: they keep what they run"
		}
		from := "of fleet " + m.From
		if m.From == "" {
			from = "of no fleet"
		}
		nodes := strings.Join(m.Nodes, ", ")
		if more := m.Count - len(m.Nodes); more > 0 {
			nodes += fmt.Sprintf(" and %d more", more)
		}
		text += fmt.Sprintf("moves: %d connected proxies %s %s (%s)\n", m.Count, from, to, nodes)
	}
	if text == "" {
		return "moves: no connected proxy\n"
	}
	return text
}

// matchOf is a match as a server is asked about it.
func matchOf(m fleet.Match) api.Match {
	return api.Match{ID: m.ID, Cluster: m.Cluster, Locality: api.Locality(m.Locality), Labels: m.Labels}
}
