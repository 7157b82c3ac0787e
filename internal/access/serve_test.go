package access

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

// serving serves a handler, and returns where.
func serving(t *testing.T, b Bounds, h http.HandlerFunc) string {
	t.Helper()
	address, end, err := rig.Listen(t.Context(), func(ctx context.Context, l net.Listener) error { return Serve(ctx, discard(), l, nil, h, b) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	return address
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// closed reads until the server ends a connection.
func closed(t *testing.T, c net.Conn) string {
	t.Helper()
	text, err := io.ReadAll(c)
	if errors.Is(err, context.DeadlineExceeded) {
		t.Error("it is not closed")
	}
	return string(text)
}

const brief = 50 * time.Millisecond

// Clients that are slow, each in its way, lose their connections by themselves.
func TestSlowClients(t *testing.T) {
	b := Bounds{Header: brief, Read: 2 * brief, Write: brief, Idle: brief, Conns: 50}
	body := make(chan error, 1)
	at := serving(t, b, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		if r.Method == http.MethodPost {
			body <- err
		}
		if r.URL.Path == "/large" {
			block := make([]byte, 1<<20)
			for err = nil; err == nil; {
				_, err = w.Write(block)
			}
			body <- err
		}
	})
	closed(t, dial(t, at)) // it says nothing at all
	c := dial(t, at)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n") // half a head
	closed(t, c)
	c = dial(t, at)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") // and nothing after it
	if text := closed(t, c); !strings.HasPrefix(text, "HTTP/1.1 200") {
		t.Errorf("an honest one got %q", text)
	}
	c = dial(t, at)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
	closed(t, c)
	if err := <-body; err == nil {
		t.Error("half a body was taken for one")
	}
	c = dial(t, at)
	io.WriteString(c, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n") // and is not read
	if err := <-body; err == nil {
		t.Error("an answer that nobody reads has no end")
	}
}

// A head without end is refused.
func TestLargeHead(t *testing.T) {
	c := dial(t, serving(t, DefaultBounds, func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
	head := append([]byte("GET / HTTP/1.1\r\nHost: a\r\nX: "), bytes.Repeat([]byte("x"), 2*MaxHead)...)
	c.Write(head)
	if text := closed(t, c); text != "" && !strings.Contains(text, "431") {
		t.Errorf("%q", text)
	}
}

// Who comes when all room is taken is told at once, and there is room again when one leaves.
func TestTooManyConnections(t *testing.T) {
	b := DefaultBounds
	b.Conns = 3
	in := make(chan bool)
	at := serving(t, b, func(_ http.ResponseWriter, r *http.Request) { in <- true; <-r.Context().Done() })
	var have []net.Conn
	for range b.Conns {
		c := dial(t, at)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		<-in
		have = append(have, c)
	}
	for range 20 {
		if text := closed(t, dial(t, at)); !strings.HasPrefix(text, "HTTP/1.1 503") || !strings.Contains(text, "too many connections") {
			t.Fatalf("%q", text)
		}
	}
	have[0].Close()
	for { // the server hears of it a moment later
		c := dial(t, at)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		gone := make(chan string, 1)
		go func() { gone <- closed(t, c) }()
		select {
		case <-in:
			return
		case <-gone:
		}
	}
}
