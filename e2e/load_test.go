package e2e

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load is a steady stream of requests, half of them to be let through and half
// to be denied, each worker on one connection that it keeps. The connection is
// its own and not an http.Client's, which now and then replaces one on a busy
// machine: here one that the proxy closes is a failed request.
type load struct {
	w        *world
	stop     chan struct{}
	done     sync.WaitGroup
	requests atomic.Int64
	mu       sync.Mutex
	wrong    map[string]int
	builds   map[string]int
	newest   []string // build that answered last, by connection
}

// startLoad begins it: workers per proxy, a request of each every 2 ms. header is
// where the filter says which build answers. Builds are in ascending order: an
// answer by an older one, once a newer has answered the connection, is wrong.
func (w *world) startLoad(proxies []*proxy, workers int, header string) *load {
	l := &load{
		w: w, stop: make(chan struct{}), wrong: map[string]int{}, builds: map[string]int{},
		newest: make([]string, len(proxies)*workers),
	}
	for i := range l.newest {
		l.done.Go(func() { l.work(i, proxies[i%len(proxies)], header) })
	}
	return l
}

func (l *load) work(connection int, p *proxy, header string) {
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		l.note(connection, p.Node, "", err)
		return
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		build, err := one(conn, answers, header, i%2 == 0)
		l.requests.Add(1)
		if l.note(connection, p.Node, build, err); err != nil {
			return
		}
	}
}

// one sends one request and returns the build that answered it rightly.
func one(conn net.Conn, answers *bufio.Reader, header string, allow bool) (string, error) {
	token, status, body := "323232", 403, forbidden
	if allow {
		token, status, body = "32323", 200, welcome
	}
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: load\r\nToken: %s\r\n\r\n", token); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != status || string(got) != body || resp.Close {
		return "", fmt.Errorf("token %s: %d %q, closes the connection: %t", token, resp.StatusCode, got, resp.Close)
	}
	return resp.Header.Get(header), nil
}

// note counts an answer.
func (l *load) note(connection int, node, build string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if newest := l.newest[connection]; err == nil && build < newest {
		l.wrong[fmt.Sprintf("%s: %s answers a connection that %s has answered", node, build, newest)]++
	}
	if err != nil {
		l.wrong[node+": "+err.Error()]++
		return
	}
	l.builds[build]++
	l.newest[connection] = build
}

// reaches waits until a build answers each of the connections, none of which was
// closed for it.
func (l *load) reaches(build string) {
	l.w.t.Helper()
	l.w.eventually(build+" answers every connection", func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i, newest := range l.newest {
			if newest != build {
				return fmt.Errorf("%s answers connection %d; wrong: %v", newest, i, l.wrong)
			}
		}
		return nil
	})
}

// end stops the load; every answer must have been right.
func (l *load) end() {
	l.w.t.Helper()
	close(l.stop)
	l.done.Wait()
	for what, n := range l.wrong {
		l.w.t.Errorf("%d of %d requests: %s", n, l.requests.Load(), what)
	}
	if l.requests.Load() < 100 {
		l.w.t.Errorf("only %d requests were sent", l.requests.Load())
	}
	l.w.t.Logf("%d requests, by build: %v", l.requests.Load(), slices.Sorted(maps.Keys(l.builds)))
}
