package quota

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// gRPC takes a request when it has arrived as a whole, and holds what has until then: of each
// stream as much as a request may have. A client that sends all but the last byte of the largest
// request on each of its streams would fill the memory, and gRPC has no bound for that. So what
// comes by a connection is looked at before gRPC has it: how much of which stream, where its
// requests end, and which of them were taken. Where a client has too much that was not, no more is
// read of it, which the network tells it; where that is no help, its connection is ended.

const (
	// patience is how long a connection is not read before it is ended.
	patience = 10 * time.Second
	// longestDelay is for how long a connection is not read at a time: pings are to be heard.
	longestDelay = 5 * time.Second
)

var (
	errUnread = errors.New("what the client has sent does not come to an end, and is too much to be held")
	errPadded = errors.New("a client of gRPC sends no padding")
)

// Creds are credentials like others, by which the connections are counted that come.
func (all *Clients) Creds(of credentials.TransportCredentials) credentials.TransportCredentials {
	return &creds{of, all}
}

type creds struct {
	credentials.TransportCredentials

	all *Clients
}

// ServerHandshake implements credentials.TransportCredentials.
func (c *creds) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	inner, info, err := c.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	name := nameOf(raw.RemoteAddr())
	if proven, ok := info.(interface{ Client() string }); ok {
		name = proven.Client()
	}
	return c.all.conn(inner, name), info, nil
}

// Clone implements credentials.TransportCredentials.
func (c *creds) Clone() credentials.TransportCredentials {
	return &creds{c.TransportCredentials.Clone(), c.all}
}

// nameOf is who comes from an address, where no certificate says it.
func nameOf(address net.Addr) string {
	tcp, ok := address.(*net.TCPAddr)
	switch {
	case !ok:
		return "the socket"
	case tcp.IP.To4() == nil && !tcp.IP.IsLoopback():
		return (&net.IPNet{IP: tcp.IP.Mask(net.CIDRMask(64, 128)), Mask: net.CIDRMask(64, 128)}).String()
	}
	return tcp.IP.String()
}

// A Conn is a connection of which is counted what comes, before gRPC has it.
type Conn struct {
	net.Conn

	client *Client
	in     frames // only the goroutine that reads uses it

	out struct {
		sync.Mutex
		frames
	}

	mu       sync.Mutex
	requests map[uint32]*requests // by stream
	unread   int                  // bytes, of all of them
	came     int                  // requests that ended in what was read last; a large one counts as several, see requestSize
	closed   bool
	done     chan struct{} // closed with it
}

// conn is a connection of the client with a name.
func (all *Clients) conn(inner net.Conn, name string) *Conn {
	all.mu.Lock()
	defer all.mu.Unlock()
	c := &Conn{Conn: inner, client: all.client(name), requests: map[uint32]*requests{}, done: make(chan struct{})}
	c.client.conns++
	c.in = frames{skip: prefaceSize, opens: c.opened, data: c.arrived, ends: c.ended}
	c.out.frames = frames{opens: func(uint32) {}, data: func(uint32, []byte) {}, ends: c.answered}
	return c
}

// address leads from a stream to its connection.
type address struct {
	net.Addr
	conn *Conn
}

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return address{c.Conn.RemoteAddr(), c} }

// connOf is the connection that a stream has come by; nil if that is none that is counted.
func connOf(ctx context.Context) *Conn {
	if p, ok := peer.FromContext(ctx); ok {
		if a, ok := p.Addr.(address); ok {
			return a.conn
		}
	}
	return nil
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	if err := c.wait(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	before := c.unread
	c.came = 0
	c.in.take(b[:n])
	by, came := c.unread-before, c.came
	c.mu.Unlock()
	if c.in.padded {
		return 0, errPadded
	}
	if delay := c.client.count(by, came); delay > 0 {
		c.pause(min(delay, longestDelay))
	}
	return n, err
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	c.out.Lock()
	c.out.take(b)
	c.out.Unlock()
	return c.Conn.Write(b)
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	c.mu.Lock()
	first, unread := !c.closed, c.unread
	c.closed, c.unread, c.requests = true, 0, map[uint32]*requests{}
	c.mu.Unlock()
	if first {
		close(c.done)
		c.client.left(unread)
	}
	return c.Conn.Close()
}

// wait waits until the client may send more. It fails, which ends the connection, once that is longer than
// patience, and where the connection is closed.
func (c *Conn) wait() error {
	pause := time.Millisecond
	for waited := time.Duration(0); c.client.full(); waited += pause {
		select {
		case <-c.done:
			return net.ErrClosed
		default:
		}
		if waited > patience {
			c.client.all.refusals.add(c.client.all.now(), Unread, c.client.Name, errUnread.Error())
			return errUnread
		}
		pause = min(2*pause, 200*time.Millisecond)
		c.pause(pause)
	}
	return nil
}

// pause waits, but not for longer than there is a connection.
func (c *Conn) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.done:
	}
}
