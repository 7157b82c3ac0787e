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
	"testing"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

// turn is what the ith request of a user has for a token, and what a good filter answers.
func turn(i int) (token string, status int) {
	if i%2 == 0 {
		return "32323", http.StatusOK
	}
	return "323232", http.StatusForbidden
}

// asking is a load that ends with the test, if not before.
func (w *world) asking(askers ...rig.Asker) *rig.Load {
	l := rig.StartLoad(askers...)
	w.t.Cleanup(func() { l.End() })
	return l
}

// users ask each proxy all the time, until stop, which returns the wrong answers.
func users(proxies []*proxy) (stop func() []string) {
	var all []rig.Asker
	client := rig.Briefly
	for _, p := range proxies {
		all = append(all, func(i int) error {
			token, status := turn(i)
			a, err := p.askWith(client, "/", "token", token)
			if err == nil && a.Status != status {
				err = fmt.Errorf("%d, want %d", a.Status, status)
			}
			if err != nil {
				err = fmt.Errorf("%s: token %s: %w", p.Node, token, err)
			}
			return err
		})
	}
	l := proxies[0].w.asking(all...)
	return func() []string { return l.End().Wrong }
}

// usersEitherWay ask a proxy all the time, in plain text or with TLS, until stop, which
// returns how many asked and the wrong answers.
func usersEitherWay(p *proxy) (stop func() (int, []string)) {
	l := p.w.asking(func(i int) error {
		token, status := turn(i)
		_, err := p.eitherWay(token, status)
		if err != nil {
			err = fmt.Errorf("token %s: %w", token, err)
		}
		return err
	})
	return func() (int, []string) {
		f := l.End()
		return f.Asked, f.Wrong
	}
}

// load is users who each have one connection to a proxy, and keep it. The connection is
// its own and not an http.Client's, which now and then replaces one on a busy
// machine: here one that the proxy closes is a failed request.
type load struct {
	w        *world
	l        *rig.Load
	requests atomic.Int64

	mu     sync.Mutex
	wrong  map[string]int
	builds map[string]int
	newest []string // build that answered last, by connection
}

// startLoad begins it: connections to each proxy, a request of each in turn to be let
// through and to be denied. header is where the filter says which build answers. Builds
// are in ascending order: an answer by an older one, once a newer has answered the
// connection, is wrong.
func (w *world) startLoad(proxies []*proxy, connections int, header string) *load {
	l := &load{w: w, wrong: map[string]int{}, builds: map[string]int{}, newest: make([]string, len(proxies)*connections)}
	var all []rig.Asker
	for n := range l.newest {
		p := proxies[n%len(proxies)]
		var answers *bufio.Reader
		conn, err := net.Dial("tcp", p.address)
		if err == nil {
			w.t.Cleanup(func() { conn.Close() })
			answers = bufio.NewReader(conn)
		}
		all = append(all, func(i int) error {
			build := ""
			if err == nil {
				l.requests.Add(1)
				build, err = one(conn, answers, header, i)
			}
			return l.note(n, p.Node, build, err)
		})
	}
	l.l = w.asking(all...)
	return l
}

// one sends one request and returns the build that answered it rightly.
func one(conn net.Conn, answers *bufio.Reader, header string, i int) (string, error) {
	token, status := turn(i)
	body := map[int]string{http.StatusOK: welcome, http.StatusForbidden: forbidden}[status]
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

// note counts an answer. A connection on which one was wrong is not used again.
func (l *load) note(connection int, node, build string, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.wrong[node+": "+err.Error()]++
		return rig.ErrLeaves
	}
	if newest := l.newest[connection]; build < newest {
		l.wrong[fmt.Sprintf("%s: %s answers a connection that %s has answered", node, build, newest)]++
	}
	l.builds[build]++
	l.newest[connection] = build
	return nil
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

// enough is how many requests a load sends at least, on whatever machine.
const enough = 100

// end stops the load once it has sent enough; every answer must have been right.
func (l *load) end() {
	l.w.t.Helper()
	l.w.eventually("enough requests were sent", func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if n := l.requests.Load(); n < enough && len(l.wrong) == 0 {
			return fmt.Errorf("%d were", n)
		}
		return nil
	})
	l.l.End()
	for what, n := range l.wrong {
		l.w.t.Errorf("%d of %d requests: %s", n, l.requests.Load(), what)
	}
	l.w.t.Logf("%d requests, by build: %v", l.requests.Load(), slices.Sorted(maps.Keys(l.builds)))
}

// unharmed says how many of the requests of a test failed; none may.
func (l *load) unharmed(t *testing.T) {
	t.Helper()
	failed := 0
	l.mu.Lock()
	for _, n := range l.wrong {
		failed += n
	}
	l.mu.Unlock()
	l.end()
	t.Logf("failed requests: %d of %d", failed, l.requests.Load())
}
