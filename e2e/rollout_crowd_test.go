package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// crowd asks each proxy, some hundred times a second, for paths that no check may
// ask for. Proxies may go and come back: a request that is refused is no answer.
type crowd struct {
	done  chan struct{}
	group sync.WaitGroup
	mu    sync.Mutex
	wrong []string // answers that no good filter gives, each begins with the proxy's node id
	seen  map[string]map[string]bool
}

func newCrowd(proxies []*proxy, paths ...string) *crowd {
	c := &crowd{done: make(chan struct{}), seen: map[string]map[string]bool{}}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	for _, p := range proxies {
		c.seen[p.Node] = map[string]bool{}
	}
	for _, p := range proxies {
		c.group.Go(func() { c.visit(p, client, slices.Concat(paths, []string{"/"})) })
	}
	return c
}

func (c *crowd) visit(p *proxy, client *http.Client, paths []string) {
	tick := time.NewTicker(4 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		token, want := "32323", http.StatusOK
		if i%2 == 1 {
			token, want = "323232", http.StatusForbidden
		}
		path := paths[i/2%len(paths)]
		if a, err := p.askWith(client, path, "token", token); err == nil {
			c.note(p.Node, path, token, a, want)
		}
		select {
		case <-c.done:
			return
		case <-tick.C:
		}
	}
}

func (c *crowd) note(node, path, token string, a answer, want int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[node][a.header.Get("x-build")] = true
	if a.status != want {
		c.wrong = append(c.wrong, fmt.Sprintf("%s: %s, token %s: %d", node, path, token, a.status))
	}
}

// end stops it. Every answer must have been right, but those of one node.
func (c *crowd) end(t *testing.T, but string) {
	t.Helper()
	close(c.done)
	c.group.Wait()
	affected := 0
	for _, one := range c.wrong {
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
