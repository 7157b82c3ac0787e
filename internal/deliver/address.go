package deliver

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// A place is a proxy, with what it is given: where it reaches its own listeners.
type place struct {
	snap *snapshot.Snapshot
	node *corev3.Node
}

// address is where it reaches one.
func (in place) address(e snapshot.Entry) (*corev3.Address, error) {
	if e.Shadow {
		return in.snap.ShadowAddress(e.Listener, in.node, 0)
	}
	address := e.Address
	asked, err := fleet.ListenAddresses(in.node)
	if err != nil {
		return nil, err
	}
	if asked[e.Listener] != nil {
		address = asked[e.Listener]
	}
	address = reachable(address)
	if why := fleet.Unasked(address); why != "" {
		return nil, fmt.Errorf("listener %q: %s", e.Listener, why)
	}
	return address, nil
}

// reachable is where a listener is reached that is bound to an address.
func reachable(bound *corev3.Address) *corev3.Address {
	address := proto.CloneOf(bound)
	if pipe := address.GetPipe(); pipe != nil {
		pipe.Mode = 0 // that of the file, which is there
	}
	if socket := address.GetSocketAddress(); socket != nil {
		switch socket.GetAddress() {
		case "0.0.0.0":
			socket.Address = "127.0.0.1"
		case "::":
			socket.Address = "::1"
		}
	}
	return address
}

// slots is where another process of the node id has a shadow listener; nil for a real one,
// which all have at one place. Streams call it.
func (in place) slots(e snapshot.Entry) func(slot int) (*corev3.Address, error) {
	if !e.Shadow {
		return nil
	}
	return func(slot int) (*corev3.Address, error) { return in.snap.ShadowAddress(e.Listener, in.node, slot) }
}
