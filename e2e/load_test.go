package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load is a steady stream of requests, half of them to be let through and half
// to be denied, each worker on one connection that it keeps.
type load struct {
	w           *world
	stop        chan struct{}
	done        sync.WaitGroup
	requests    atomic.Int64
	connections atomic.Int64
	mu          sync.Mutex
	wrong       map[string]int
	builds      map[string]int
}

// startLoad begins it: workers per proxy, a request of each every 2 ms.
func (w *world) startLoad(proxies []*proxy, workers int, header string) *load {
	l := &load{w: w, stop: make(chan struct{}), wrong: map[string]int{}, builds: map[string]int{}}
	for _, p := range proxies {
		for range workers {
			l.done.Go(func() { l.work(p, header) })
		}
	}
	return l
}

func (l *load) work(p *proxy, header string) {
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		case <-tick.C:
			l.one(p, client, header, i%2 == 0)
		}
	}
}

func (l *load) one(p *proxy, client *http.Client, header string, allow bool) {
	token, status, body := "323232", 403, forbidden
	if allow {
		token, status, body = "32323", 200, welcome
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+p.address+"/", nil)
	if err != nil {
		panic(err) // of our own making
	}
	req.Header.Set("token", token)
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if !info.Reused {
				l.connections.Add(1)
			}
		},
	}))
	a, err := do(client, req)
	l.requests.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || a.status != status || a.body != body {
		l.wrong[fmt.Sprintf("%s, token %s: %d %q %v", p.Node, token, a.status, a.body, err)]++
		return
	}
	l.builds[a.header.Get(header)]++
}

// end stops the load; every answer must have been right, and no worker have
// needed a second connection.
func (l *load) end(workers int) {
	l.w.t.Helper()
	close(l.stop)
	l.done.Wait()
	for what, n := range l.wrong {
		l.w.t.Errorf("%d of %d requests: %s", n, l.requests.Load(), what)
	}
	if got := l.connections.Load(); got != int64(workers) {
		l.w.t.Errorf("%d workers made %d connections", workers, got)
	}
	if l.requests.Load() < 100 {
		l.w.t.Errorf("only %d requests were sent", l.requests.Load())
	}
	l.w.t.Logf("%d requests, by build: %v", l.requests.Load(), slices.Sorted(maps.Keys(l.builds)))
}
