package access

import (
	"context"
	"net"
	"os/user"
	"strconv"
)

// peer is the process at the other end of a Unix socket, as the system knows it.
type peer struct{ uid, pid int }

type peerKey struct{}

// withPeer is a context of what comes by a connection.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if counted, is := c.(*counting); is {
		c = counted.Conn
	}
	socket, is := c.(*net.UnixConn)
	if !is {
		return ctx
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return ctx // it is closed already
	}
	var p peer
	known := false
	if err := raw.Control(func(fd uintptr) { p, known = credentials(int(fd)) }); err != nil || !known {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, p)
}

// user is the name of the peer's user, and its number, which is what the system knows for sure.
func (p peer) user() string {
	id := strconv.Itoa(p.uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username + " (uid " + id + ")"
	}
	return "uid " + id
}
