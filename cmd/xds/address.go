package main

import (
	"context"
	"io/fs"
	"net"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/socket"
)

// none is the setting of an address for there is none.
const none = "none"

// socketPrefix begins an address that is the path of a Unix socket.
const socketPrefix = "unix:"

// Who may connect to a Unix socket, by the mode of its file. Proxies, and who reads metrics, may
// run as somebody else: that is the umask's to say, and the folder's.
const (
	byUmask fs.FileMode = 0
	byOwner fs.FileMode = 0o600
)

// listenAt opens an address: HOST:PORT, or unix:PATH, with this mode.
func listenAt(ctx context.Context, address string, mode fs.FileMode) (net.Listener, error) {
	if path, unix := strings.CutPrefix(address, socketPrefix); unix {
		return socket.Listen(ctx, path, mode)
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", address)
}

// at is an address for people, none for that of nil.
func at(l net.Listener) string {
	if l == nil {
		return none
	}
	return l.Addr().String()
}
