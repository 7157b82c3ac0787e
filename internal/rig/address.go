package rig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
)

// Addresses are given out of these ports. Systems take the ports of outgoing
// connections from higher ones (Linux from 32768 on, others from 49152 on, RFC
// 6335), so that no connection can take an address before its user listens on it.
const firstPort, ports = 20000, 12000

var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(ports)) } //nolint:gosec // other processes begin elsewhere, no secret

// FreeAddress is one of the loopback interface that nobody listens on; a process
// is given none twice.
func FreeAddress() (string, error) { return FreeAddresses(1) }

// FreeAddresses is the first of some with consecutive ports, as shadow listeners take them.
func FreeAddresses(n int) (first string, err error) {
	for range ports {
		last := firstPort + int(nextPort.Add(uint32(n))%ports)
		if last-n+1 < firstPort || !allFree(last-n+1, last) {
			continue // one is in use: the next ones
		}
		return fmt.Sprintf("127.0.0.1:%d", last-n+1), nil
	}
	return "", fmt.Errorf("no %d free ports in a row from %d to %d", n, firstPort, firstPort+ports-1)
}

func allFree(first, last int) bool {
	for port := first; port <= last; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)) //nolint:noctx // it does not wait for anything
		if err != nil || l.Close() != nil {
			return false
		}
	}
	return true
}

// Listen has what serves a listener until its context ends serve one of the loopback interface. end ends it, and
// returns what came of it.
func Listen(ctx context.Context, serve func(context.Context, net.Listener) error) (address string, end func() error, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, l) }()
	return l.Addr().String(), func() error { cancel(); return <-ended }, nil
}

// LeaveSocket leaves a Unix socket at a path that nobody listens at, as a server does that is killed.
func LeaveSocket(path string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	return l.Close()
}
