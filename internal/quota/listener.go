package quota

import (
	"net"
	"sync"
)

// Before a client has proven who it is, it is the address that it comes from: of that, connections are
// counted from the first byte on, so that handshakes without end fill nothing.

// Listener has connections refused of addresses that have too many.
func (all *Clients) Listener(l net.Listener) net.Listener { return &listener{l, all} }

type listener struct {
	net.Listener

	all *Clients
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if counted := l.all.accept(conn); counted != nil {
			return counted, nil
		}
		_ = conn.Close() // nobody has it yet
	}
}

// accept counts a connection with the address that it comes from, unless that has too many.
func (all *Clients) accept(conn net.Conn) net.Conn {
	all.mu.Lock()
	defer all.mu.Unlock()
	c := all.client("connections of " + nameOf(conn.RemoteAddr()))
	if l := all.limits.ClientStreams; l > 0 && c.conns >= l {
		_ = c.refuse(Connections, "%s has its %d connections", nameOf(conn.RemoteAddr()), l)
		return nil
	}
	c.conns++
	return &counted{Conn: conn, client: c}
}

// counted is a connection that is counted until it ends.
type counted struct {
	net.Conn

	client *Client
	once   sync.Once
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.once.Do(func() { c.client.left(0) })
	return c.Conn.Close()
}
