package xds

import (
	"net"
	"testing"

	"google.golang.org/grpc/peer"
)

// Streams by a Unix socket all come from the same address, which tells nothing of which of
// them belong together.
func TestPeerOf(t *testing.T) {
	for want, address := range map[string]net.Addr{
		"127.0.0.1:1": &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1},
		"":            &net.UnixAddr{Name: "@", Net: "unix"},
	} {
		if got := peerOf(peer.NewContext(t.Context(), &peer.Peer{Addr: address})); got != want {
			t.Errorf("%v: %q, want %q", address, got, want)
		}
	}
}
