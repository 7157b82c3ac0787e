package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

// crowd are users who ask each proxy for paths that no check may ask for. Proxies may go
// and come back: a request that is refused is no answer.
type crowd struct {
	load *rig.Load
	mu   sync.Mutex
	seen map[string]map[string]bool // builds that answered, by node id
}

func newCrowd(proxies []*proxy, paths ...string) *crowd {
	c := &crowd{seen: map[string]map[string]bool{}}
	client, paths := rig.Briefly, slices.Concat(paths, []string{"/"})
	var all []rig.Asker
	for _, p := range proxies {
		c.seen[p.Node] = map[string]bool{}
		all = append(all, func(i int) error {
			token, want := turn(i)
			path := paths[i/2%len(paths)]
			a, err := p.askWith(client, path, "token", token)
			if err != nil {
				return nil //nolint:nilerr // no answer
			}
			c.mu.Lock()
			c.seen[p.Node][a.Header.Get("x-build")] = true
			c.mu.Unlock()
			if a.Status != want {
				return fmt.Errorf("%s: %s, token %s: %d", p.Node, path, token, a.Status)
			}
			return nil
		})
	}
	c.load = proxies[0].w.asking(all...)
	return c
}

// end stops it. Every answer must have been right, but those of one node.
func (c *crowd) end(t *testing.T, but string) {
	t.Helper()
	affected := 0
	for _, one := range c.load.End().Wrong {
		if but == "" || !strings.HasPrefix(one, but+": ") {
			t.Errorf("a wrong answer: %s", one)
		} else {
			affected++
		}
	}
	for node, builds := range c.seen {
		if len(builds) == 0 {
			t.Errorf("%s gave no answer at all", node)
		}
	}
	t.Logf("wrong answers of %q: %d", but, affected)
}

// met reports whether a build answered the users of a proxy.
func (c *crowd) met(node, build string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[node][build]
}
