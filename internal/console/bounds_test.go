package console

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxwing-xds/waxwing/internal/access"
	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// serving serves a handler as the server does, and returns where.
func serving(t *testing.T, b access.Bounds, h http.Handler) (address string) {
	t.Helper()
	address, end, err := rig.Listen(t.Context(), func(ctx context.Context, l net.Listener) error { return access.Serve(ctx, discard(), l, nil, h, b) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = end() })
	return address
}

// What is larger than the server reads is refused, whatever is asked, and the server goes on.
func TestLargeBodies(t *testing.T) {
	loop := &standIn{}
	c := "http://" + serving(t, access.DefaultBounds, served(loop))
	large := bytes.Repeat([]byte(" "), 10<<20)
	for path, want := range map[string]int{api.PathCommands: 413, api.PathMoves: 413} {
		resp, err := http.Post(c+path, "application/json", bytes.NewReader(large))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || loop.asked != "" {
			t.Errorf("%s: %d, asked %q", path, resp.StatusCode, loop.asked)
		}
	}
	if resp, err := http.Get(c + api.PathHealth); err != nil || resp.StatusCode != 200 {
		t.Errorf("afterwards: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
}

// Who follows the events does so for longer than a question may take, and hears of each.
func TestFollowingOutlastsTheBounds(t *testing.T) {
	loop := &standIn{records: make(chan api.Event)}
	b := access.Bounds{Header: 30 * time.Millisecond, Read: 30 * time.Millisecond, Write: 30 * time.Millisecond, Idle: time.Second, Conns: 5}
	stream, err := api.New(serving(t, b, served(loop))).Events(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for range 5 {
		<-tick.C
		loop.records <- api.Event{Kind: api.EventNoticed}
		if _, err := stream.Next(); err != nil {
			t.Fatal(err)
		}
	}
}

// One who follows and does not read is cut off.
func TestFollowerDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := &standIn{records: make(chan api.Event)}
		ours, theirs := net.Pipe()
		l := &one{conn: make(chan net.Conn, 1)}
		l.conn <- theirs
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- access.Serve(ctx, discard(), l, nil, served(loop), access.DefaultBounds) }()
		if _, err := io.WriteString(ours, "GET /v1/events HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := ours.Read(make([]byte, 1)); err != nil { // the answer has begun
			t.Fatal(err)
		}
		<-time.After(2 * eventPatience)
		synctest.Wait()
		if !strings.HasSuffix(loop.asked, "stopped") {
			t.Errorf("it is followed still: %s", loop.asked)
		}
		cancel()
		l.Close()
		<-ended
		ours.Close()
	})
}

// one is a listener with one connection.
type one struct {
	conn chan net.Conn
	once sync.Once
}

func (l *one) Accept() (net.Conn, error) {
	c, ok := <-l.conn
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l *one) Close() error {
	l.once.Do(func() { close(l.conn) })
	return nil
}
func (l *one) Addr() net.Addr { return &net.UnixAddr{Name: "one"} }

// No more than so many follow at once, and one that leaves makes room.
func TestManyFollowers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := served(&crowded{})
		ask := func(ctx context.Context) *quiet {
			w := &quiet{header: http.Header{}}
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, api.PathEvents, nil)
			if err != nil {
				t.Fatal(err)
			}
			go h.ServeHTTP(w, r)
			synctest.Wait()
			return w
		}
		first, leave := context.WithCancel(t.Context())
		ask(first)
		for range maxFollowers - 1 {
			if w := ask(t.Context()); w.status != http.StatusOK {
				t.Fatalf("%d", w.status)
			}
		}
		if w := ask(t.Context()); w.status != http.StatusServiceUnavailable {
			t.Errorf("one too many: %d", w.status)
		}
		leave()
		synctest.Wait()
		if w := ask(t.Context()); w.status != http.StatusOK {
			t.Errorf("when one has left: %d", w.status)
		}
	})
}

// However many want to follow, those who may not are sent away, and others are answered.
func TestFollowersLeaveRoom(t *testing.T) {
	at := serving(t, access.DefaultBounds, served(&crowded{}))
	answers := map[string]int{}
	for range access.DefaultBounds.Conns + 50 {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() // none is closed by those who ask
		if _, err := io.WriteString(c, "GET /v1/events HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil) //nolint:bodyclose // to close one that has no end is to wait for that
		if err != nil {
			t.Fatal(err)
		}
		if answers[resp.Status]++; resp.StatusCode == http.StatusOK {
			continue
		}
		if body, err := io.ReadAll(resp.Body); err != nil || !resp.Close || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(body), "follow the events already") {
			t.Fatalf("%v %q, %v", resp.Header, body, err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("it is not closed: %v", err)
		}
	}
	if answers["200 OK"] != maxFollowers {
		t.Errorf("%v", answers)
	}
	if _, err := api.New(at).Status(t.Context()); err != nil {
		t.Errorf("who asks something else: %v", err)
	}
}

// crowded is a loop that many follow.
type crowded struct{ standIn }

func (*crowded) Subscribe(string) (<-chan api.Event, func(), error) {
	return make(chan api.Event), func() {}, nil
}

// quiet takes an answer.
type quiet struct {
	header http.Header
	status int
}

func (w *quiet) Header() http.Header         { return w.header }
func (w *quiet) Write(b []byte) (int, error) { return len(b), nil }
func (w *quiet) WriteHeader(status int)      { w.status = status }
func (w *quiet) Flush()                      {}

// What anyone may ask has nothing else.
func TestHealth(t *testing.T) {
	loop := &standIn{status: api.Status{Fleets: []api.Fleet{{Serving: api.Revision{ID: "x"}}}}}
	h := Health(discard(), loop, noStats)
	for _, q := range questions {
		path, _, _ := strings.Cut(q.path, "?")
		w := askOf(t, h, q.method, q.path, q.body)
		switch path {
		case api.PathHealth, api.PathReady, api.PathMetrics:
			if w.Code != http.StatusOK {
				t.Errorf("%s: %d", q.path, w.Code)
			}
		default:
			wantStatus := http.StatusNotFound
			if w.Code != wantStatus {
				t.Errorf("%s: %d", q.path, w.Code)
			}
		}
	}
}
