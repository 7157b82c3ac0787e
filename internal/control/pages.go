package control

import (
	"context"
	"maps"
	"slices"
	"sort"
)

// A Pick says which connected proxies are asked for, in the order of their node ids.
type Pick struct {
	Fleet string // those of one fleet, and those on their way to it; "" for all
	After string // those after this node id; "" for the first
	Limit int    // how many at most; of 0 there is no next page
}

// A Page is what was picked.
type Page struct {
	Proxies []ProxyStatus
	Next    string // Pick.After of the next page; "": this is the last
}

// Proxies asks the loop for a page of the connected proxies. The loop works for the
// proxies of the page, and hardly for the others: ten thousand, asked for in pages, hold
// nobody up.
func (c *Control) Proxies(ctx context.Context, pick Pick) (Page, error) {
	var page Page
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

func (c *Control) page(pick Pick) Page {
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
	out := Page{Proxies: []ProxyStatus{}}
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
