package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/identity"
)

// listenXDS opens the xDS port: HOST:PORT, or unix:PATH. Where it would serve plain text to
// other machines it is closed again, unless that was asked for.
func listenXDS(ctx context.Context, s settings) (net.Listener, error) {
	l, err := listenAt(ctx, s.Listen)
	if err != nil {
		return nil, fmt.Errorf("the xDS server: %w", err)
	}
	if s.InsecurePlaintext {
		return l, nil
	}
	if err := identity.CheckPlaintext(l.Addr()); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func listenAt(ctx context.Context, address string) (net.Listener, error) {
	path, unix := strings.CutPrefix(address, "unix:")
	if !unix {
		return new(net.ListenConfig).Listen(ctx, "tcp", address)
	}
	// The socket of a server that was killed is in the way of the next one. The state
	// directory's lock says that there is no other server of this state; one of another
	// state that listens here is not pushed aside.
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 && !answered(ctx, path) {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("the socket of a server before: %w", err)
		}
	}
	return new(net.ListenConfig).Listen(ctx, "unix", path)
}

// answered is whether somebody listens at a Unix socket.
func answered(ctx context.Context, path string) bool {
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// port is what the status says of the xDS port.
func port(s settings, l net.Listener) *api.Port {
	p := &api.Port{Address: l.Addr().String(), Security: api.SecurityLocal}
	if s.InsecurePlaintext {
		p.Security = api.SecurityInsecure
	}
	return p
}
