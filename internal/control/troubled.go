package control

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// troubled are those of a fleet, nil for none.
func (c *Control) troubled(s *fleetState) *api.Troubled {
	var nodes []string
	of := map[string]rollout.Trouble{}
	for id, n := range c.nodes {
		if n.fleet != s.name {
			continue
		}
		if t := s.rollout.TroubleOf(id); t.Reason != "" {
			nodes, of[id] = append(nodes, id), t
		}
	}
	if len(nodes) == 0 {
		return nil
	}
	slices.Sort(nodes)
	slices.SortStableFunc(nodes, func(a, b string) int { return of[a].Since.Compare(of[b].Since) })
	all, limit := c.count(s.name), -1
	if snap := s.snapshots[cmp.Or(s.rollout.Serving.ID, s.candidate().ID)]; snap != nil {
		limit = rollout.MayBeTroubled(snap.Meta.Rollout.Limits.Troubled, all)
	}
	first := of[nodes[0]]
	out := &api.Troubled{
		Count: len(nodes), TooMany: len(nodes) > limit || len(nodes) == all, Nodes: nodes[:min(3, len(nodes))], Since: first.Since,
	}
	out.Text = fmt.Sprintf("%s: %s, since %s: %s; %s", troubledText(len(nodes), all, limit), nodes[0], first.Since.Format(time.DateTime), first.Reason, again(first))
	return out
}

// troubledText is how many proxies are in trouble, and what that means for what is served, or for a
// first revision. limit is -1 where there is none of these.
func troubledText(n, of, limit int) string {
	switch {
	case of == 1:
		return "the only proxy can't take what it is to have, for trouble of its own, which is to be mended where it runs"
	case n == of:
		return fmt.Sprintf("none of the %d proxies can take what it is to have, for trouble of their own, which is to be mended where they run", of)
	case limit < 0:
		return fmt.Sprintf("%d of %d proxies can't take what they are to have, for trouble of their own", n, of)
	case n > limit:
		return fmt.Sprintf("%d of %d proxies can't take what they are to have, for trouble of their own, and limits.troubled lets the fleet go without %d", n, of, limit)
	}
	return fmt.Sprintf("%d of %d proxies can't take what they are to have, for trouble of their own; the fleet goes on without them, up to %d (limits.troubled)", n, of, limit)
}

func proxies(n int) string {
	if n == 1 {
		return "1 proxy"
	}
	return fmt.Sprintf("%d proxies", n)
}

// again is when a proxy in trouble is sent again what it could not take, or what else ends that.
func again(t rollout.Trouble) string {
	if t.Next.IsZero() {
		return t.Ends
	}
	return "it is tried again " + in(t.Next)
}

func in(at time.Time) string { return "in " + max(0, time.Until(at)).Round(time.Second).String() }
