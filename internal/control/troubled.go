package control

import (
	"fmt"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// troubled are those of a fleet, nil for none.
func (c *Control) troubled(s *fleetState) *api.Troubled {
	var nodes []string
	began := map[string]time.Time{}
	for id, n := range c.nodes {
		if n.fleet != s.name {
			continue
		}
		if reason, since, _ := s.rollout.TroubleOf(id); reason != "" {
			nodes, began[id] = append(nodes, id), since
		}
	}
	if len(nodes) == 0 {
		return nil
	}
	slices.Sort(nodes)
	slices.SortStableFunc(nodes, func(a, b string) int { return began[a].Compare(began[b]) })
	of, limit := c.count(s.name), 0
	if snap := s.snapshots[s.rollout.Serving.ID]; snap != nil {
		limit = rollout.MayBeTroubled(snap.Meta.Rollout.Limits.Troubled, of)
	}
	first := nodes[0]
	reason, since, next := s.rollout.TroubleOf(first)
	return &api.Troubled{
		Count: len(nodes), TooMany: len(nodes) > limit || len(nodes) == of, Nodes: nodes[:min(3, len(nodes))], Since: since,
		Text: fmt.Sprintf("%d of %s in trouble (limit %d): %s, since %s, tried again %s: %s",
			len(nodes), proxies(of), limit, first, since.Format(time.DateTime), again(next), reason),
	}
}

func proxies(n int) string {
	if n == 1 {
		return "1 proxy"
	}
	return fmt.Sprintf("%d proxies", n)
}

// again is when a proxy in trouble is sent again what it could not take.
func again(at time.Time) string {
	if at.IsZero() {
		return "now"
	}
	return "in " + max(0, time.Until(at)).Round(time.Second).String()
}
