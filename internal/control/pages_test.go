package control

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// everyone delivers to whoever the loop knows.
type everyone struct{ Delivery }

func (everyone) ProxiesOf(ids []string) (out []xds.ProxyStatus) {
	for _, id := range ids {
		var i int
		if _, err := fmt.Sscanf(id, "p-%05d", &i); err != nil {
			panic(err)
		}
		out = append(out, xds.ProxyStatus{Node: node(i)})
	}
	return out
}

// crowded is a loop with proxies, every third of fleet edge.
func crowded(t testing.TB, n int) *Control {
	t.Helper()
	c := idle(t)
	c.delivery = everyone{c.delivery}
	c.fleet("edge")
	for i := range n {
		c.come(i)
	}
	return c
}

func (c *Control) come(i int) {
	n := &nodeState{node: node(i)}
	if i%3 == 0 {
		n.home, n.fleet = "edge", "edge"
	}
	c.nodes[node(i).GetId()] = n
}

// Pages of any size show each proxy once that stays, none twice, and in order, whoever
// comes and goes between two of them.
func TestPagesOfACrowd(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, limit := range []int{1, 7, 500, 2000, 20_000} {
		c := crowded(t, 1000)
		gone := map[string]bool{}
		var seen []string
		pick := api.ProxyQuery{Limit: limit}
		for {
			page := c.page(pick)
			if len(page.Proxies) > limit {
				t.Fatalf("a page of %d has %d", limit, len(page.Proxies))
			}
			for _, p := range page.Proxies {
				seen = append(seen, p.Node)
			}
			if pick.After = page.Next; page.Next == "" {
				break
			}
			leaver := node(random.IntN(1000)).GetId()
			delete(c.nodes, leaver)
			gone[leaver] = true
			c.come(1000 + random.IntN(1000))
		}
		if !slices.IsSorted(seen) || len(slices.Compact(slices.Clone(seen))) != len(seen) {
			t.Errorf("pages of %d are out of order", limit)
		}
		for i := range 1000 {
			if id := node(i).GetId(); !gone[id] && !slices.Contains(seen, id) {
				t.Errorf("pages of %d are without %s", limit, id)
			}
		}
	}
}

func TestPagesOfAFleet(t *testing.T) {
	c := crowded(t, 10)
	c.nodes["p-00004"].fleet = "edge" // it is on its way there
	ids := func(page api.ProxyPage) (out []string) {
		for _, p := range page.Proxies {
			out = append(out, p.Node)
		}
		return out
	}
	first := c.page(api.ProxyQuery{Fleet: "edge", Limit: 3})
	if got := ids(first); !slices.Equal(got, []string{"p-00000", "p-00003", "p-00004"}) || first.Next != "p-00004" {
		t.Errorf("%q, then %q", got, first.Next)
	}
	second := c.page(api.ProxyQuery{Fleet: "edge", Limit: 3, After: first.Next})
	if got := ids(second); !slices.Equal(got, []string{"p-00006", "p-00009"}) || second.Next != "" {
		t.Errorf("%q, then %q", got, second.Next)
	}
	if got := c.page(api.ProxyQuery{Limit: 10}); len(got.Proxies) != 10 || got.Next != "" {
		t.Errorf("%d of 10 proxies, then %q", len(got.Proxies), got.Next)
	}
	if got := c.page(api.ProxyQuery{}); got.Proxies == nil || len(got.Proxies) > 0 || got.Next != "" {
		t.Errorf("of no proxies: %+v", got)
	}
}

// Whoever asks a loop is answered, by it or for it.
func TestAskingForProxies(t *testing.T) {
	c := crowded(t, 3)
	go func() {
		for read := range c.reads {
			read()
		}
	}()
	if page, err := c.Proxies(t.Context(), api.ProxyQuery{Limit: 2}); err != nil || len(page.Proxies) != 2 {
		t.Errorf("%d proxies, %v", len(page.Proxies), err)
	}
	var noFleet *NoFleetError
	if _, err := c.Proxies(t.Context(), api.ProxyQuery{Fleet: "none", Limit: 2}); !errors.As(err, &noFleet) || !errors.Is(err, ErrRefused) {
		t.Errorf("of a fleet that is not: %v", err)
	}
	if _, err := c.History(t.Context(), ""); err != nil {
		t.Errorf("of the only fleet: %v", err)
	}
	delete(c.fleets, "edge")
	if _, err := c.History(t.Context(), ""); !errors.As(err, &noFleet) || err.Error() != "there is no fleet yet" {
		t.Errorf("where there is no fleet: %v", err)
	}
	close(c.reads)
}

// Once the loop has ended, or where it takes too long, who asks is told so.
func TestAskingALoopThatIsGone(t *testing.T) {
	late, cancel := context.WithCancel(t.Context())
	cancel()
	c := idle(t)
	check := func(ctx context.Context, want error) {
		t.Helper()
		_, status := c.Status(ctx, 0)
		_, proxies := c.Proxies(ctx, api.ProxyQuery{})
		_, history := c.History(ctx, "")
		_, moves := c.Preview(ctx, nil)
		for what, err := range map[string]error{
			"status": status, "proxies": proxies, "history": history, "moves": moves, "command": c.Do(ctx, api.Command{Verb: "pause"}),
		} {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
		}
	}
	check(late, context.Canceled)
	c.saveLast()
	check(t.Context(), ErrEnded)
}

// What a page costs the loop, and what all proxies at once do.
func BenchmarkPage(b *testing.B) {
	c := crowded(b, 10_000)
	for _, limit := range []int{500, 2000, 10_000} {
		b.Run(fmt.Sprint(limit), func(b *testing.B) {
			for b.Loop() {
				c.page(api.ProxyQuery{Limit: limit})
			}
		})
	}
}
