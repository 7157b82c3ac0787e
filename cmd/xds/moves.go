package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/control"
)

// movesText says which connected proxies would change fleets.
func movesText(moves []control.Move) string {
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

// moves asks a running server which proxies would change fleets.
func (c client) moves(ctx context.Context, claims []control.Claim) ([]control.Move, error) {
	var moves []control.Move
	return moves, c.call(ctx, http.MethodPost, "/v1/moves", claims, &moves)
}
