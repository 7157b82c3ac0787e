package control

import (
	"context"
	"maps"
	"slices"
	"sort"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// Proxies asks the loop for a page of the connected proxies. The loop works for the
// proxies of the page, and hardly for the others: ten thousand, asked for in pages, hold
// nobody up.
func (c *Control) Proxies(ctx context.Context, pick api.ProxyQuery) (api.ProxyPage, error) {
	var page api.ProxyPage
	done := make(chan error, 1)
	err := c.ask(ctx, "the proxies", func() {
		if pick.Fleet != "" && c.fleets[pick.Fleet] == nil {
			done <- &NoFleetError{pick.Fleet}
			return
		}
		page = c.page(pick)
		done <- nil
	})
	if err == nil {
		err = <-done
	}
	return page, err
}

func (c *Control) page(pick api.ProxyQuery) api.ProxyPage {
	ids := slices.Sorted(maps.Keys(c.nodes))
	ids = ids[sort.SearchStrings(ids, pick.After):]
	if len(ids) > 0 && ids[0] == pick.After && pick.After != "" {
		ids = ids[1:]
	}
	if pick.Fleet != "" {
		ids = slices.DeleteFunc(ids, func(id string) bool {
			n := c.nodes[id]
			return n.home != pick.Fleet && n.fleet != pick.Fleet
		})
	}
	out := api.ProxyPage{Proxies: []api.Proxy{}}
	if len(ids) > pick.Limit {
		ids = ids[:pick.Limit]
		if pick.Limit > 0 {
			out.Next = ids[pick.Limit-1]
		}
	}
	for _, p := range c.delivery.ProxiesOf(ids) {
		if n := c.nodes[p.Node.GetId()]; n != nil {
			out.Proxies = append(out.Proxies, c.proxyStatus(n, p))
		}
	}
	return out
}
