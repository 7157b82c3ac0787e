package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
)

// pages is a server of n proxies, and counts what it is asked.
func pages(n int, asked *int) *Client {
	return handled(func(w http.ResponseWriter, r *http.Request) {
		*asked++
		limit, _ := strconv.Atoi(r.FormValue(ParamLimit))
		var s Status
		for i := range n {
			if node := fmt.Sprintf("n%05d", i); node > r.FormValue(ParamAfter) {
				if len(s.Proxies) == limit {
					s.Next = s.Proxies[limit-1].Node
					break
				}
				s.Proxies = append(s.Proxies, Proxy{Node: node})
			}
		}
		_ = json.NewEncoder(w).Encode(s)
	})
}

// A status has all proxies, however many pages these are.
func TestStatusOfManyPages(t *testing.T) {
	for n, questions := range map[int]int{0: 1, 3: 1, MaxLimit: 1, MaxLimit + 1: 2, 10_000: 5} {
		asked := 0
		s, err := pages(n, &asked).Status(t.Context())
		if err != nil || len(s.Proxies) != n || asked != questions || s.Next != "" {
			t.Errorf("%d proxies: got %d by %d questions, next %q: %v", n, len(s.Proxies), asked, s.Next, err)
		}
		for i, p := range s.Proxies {
			if p.Node != fmt.Sprintf("n%05d", i) {
				t.Fatalf("%d proxies: %s is number %d", n, p.Node, i)
			}
		}
	}
}

// Who has seen enough asks for no further page.
func TestProxiesUntilSeen(t *testing.T) {
	asked := 0
	for p, err := range pages(10, &asked).Proxies(t.Context(), ProxyQuery{Limit: 3}) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Node == "n00004" {
			break
		}
	}
	if asked != 2 {
		t.Errorf("the fifth of pages of three takes %d questions", asked)
	}
}

// A server that names the same page for ever is not asked for ever.
func TestPageThatComesAgain(t *testing.T) {
	c := handled(func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(ProxyPage{Next: "a"}) })
	var last error
	for _, err := range c.Proxies(t.Context(), ProxyQuery{}) {
		last = err
	}
	if !errors.Is(last, errSamePage) {
		t.Errorf("it ends with %v", last)
	}
	c = handled(http.NotFound)
	if _, err := c.Status(t.Context()); err == nil {
		t.Error("no status, and no error")
	}
}
