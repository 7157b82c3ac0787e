package access

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Bounds keep one client, or many, from taking the server from the others.
type Bounds struct {
	Header time.Duration // how long the head of a request may take
	Read   time.Duration // and all of it
	Write  time.Duration // how long an answer may take to be read; of events, each of them
	Idle   time.Duration // how long a connection is kept between requests
	Conns  int           // connections at once, at one address
}

// DefaultBounds are those of the server. Ten thousand proxies are an answer of 6 MB.
var DefaultBounds = Bounds{Header: 5 * time.Second, Read: 15 * time.Second, Write: time.Minute, Idle: 2 * time.Minute, Conns: 256}

// MaxHead is how large the head of a request may be, in bytes.
const MaxHead = 64 << 10

// Serve serves HTTP until the context ends, by TLS where secure is not nil.
func Serve(ctx context.Context, log *slog.Logger, l net.Listener, secure *tls.Config, handler http.Handler, b Bounds) error {
	server := &http.Server{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), // anyone can make lines there
		Handler:  handler, MaxHeaderBytes: MaxHead,
		ReadHeaderTimeout: b.Header, ReadTimeout: b.Read, WriteTimeout: b.Write, IdleTimeout: b.Idle,
		ConnContext: withPeer,
		// Long answers (/v1/events) end with the server.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // there is nothing left to do about it
	defer stop()
	l = &counted{Listener: l, room: make(chan struct{}, b.Conns)}
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the admin API: %w", err)
	}
	return nil
}

// counted is a listener that has room for so many connections.
type counted struct {
	net.Listener
	room chan struct{}
}

// Accept implements net.Listener. Who finds no room is told so, and not kept waiting.
func (l *counted) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.room <- struct{}{}:
			return &counting{Conn: c, leave: sync.OnceFunc(func() { <-l.room })}, nil
		default:
			turnAway(c)
		}
	}
}

const full = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nConnection: close\r\nRetry-After: 1\r\n\r\n" +
	`{"status":503,"title":"Service Unavailable","code":"unavailable","detail":"too many connections are open"}` + "\n"

// turnAway does not wait: what it writes fits into the buffer that the system has for a new connection.
// The deadline is for a system that has none, and long enough for a busy one.
func turnAway(c net.Conn) {
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = c.Write([]byte(full))
	_ = c.Close()
}

type counting struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *counting) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
