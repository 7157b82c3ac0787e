package rig

import (
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
func FreeAddress() (string, error) {
	for range ports {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+nextPort.Add(1)%ports)
		l, err := net.Listen("tcp", address) //nolint:noctx // it does not wait for anything
		if err != nil {
			continue // in use: the next one
		}
		return l.Addr().String(), l.Close()
	}
	return "", fmt.Errorf("no free port from %d to %d", firstPort, firstPort+ports-1)
}
