package snapshot

import (
	"fmt"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// Of an update of listeners an Envoy takes those that it can, and refuses the others, whose
// port another process has, say. So what is yet to be proven would be taken in part, and its
// filters before that. To be told beforehand, a proxy is given the addresses alone: listeners
// that close each connection, at each address where it has none. The real ones come next, and
// an Envoy hands them the sockets.

// reservePrefix begins the names of these listeners.
const reservePrefix = trialPrefix + "bind/"

// Reserve is where a proxy is to listen for a revision and does not, nil for nowhere. version is
// that in which it has taken a listener, "" for none; taken are the addresses of those.
func Reserve(s *Snapshot, version func(listener string) string, taken []fleet.Bind) (*Snapshot, error) {
	out := &Snapshot{
		Fleet: s.Fleet, Meta: s.Meta, ID: s.ID + "~bind", Pair: s.Pair, types: map[string]*collection{}, shadows: &shadows{}, space: s.space,
	}
	for _, r := range s.All(resource.ListenerType) {
		if r.shadow || version(r.Name) == r.Version || !anyFree(r.Binds(), taken) {
			continue
		}
		l, err := reservation(r, taken)
		if err != nil {
			return nil, fmt.Errorf("the addresses of listener %q: %w", r.Name, err)
		}
		if l != nil {
			out.add(l)
		}
	}
	if len(out.types) == 0 {
		return nil, nil //nolint:nilnil // it has all of them, as nearly always
	}
	return out, out.findNeeds(s)
}

// reservation is a listener at the addresses of another that are free, with the same sockets;
// nil where that can't be.
func reservation(r *Resource, taken []fleet.Bind) (*Resource, error) {
	var real listenerv3.Listener
	if err := r.Wire.GetResource().UnmarshalTo(&real); err != nil {
		return nil, err
	}
	binds := real.GetBindToPort() == nil || real.GetBindToPort().GetValue()
	all := []*listenerv3.AdditionalAddress{{Address: real.GetAddress()}}
	all = append(all, real.GetAdditionalAddresses()...)
	if !binds || real.GetInternalListener() != nil || real.GetApiListener() != nil || slices.ContainsFunc(all, isUDP) {
		return nil, nil //nolint:nilnil // it has no port, or one that takes packets, which no filter chain is for
	}
	free := slices.DeleteFunc(slices.Clone(all), func(a *listenerv3.AdditionalAddress) bool { return !isFree(a.GetAddress(), taken) })
	alone := real.GetEnableReusePort() != nil && !real.GetEnableReusePort().GetValue()
	if len(free) == 0 || alone && len(free) < len(all) { // it would have to close before the real one comes
		return nil, nil //nolint:nilnil // as above
	}
	l := &listenerv3.Listener{
		Name: reservePrefix + real.GetName(), Address: free[0].GetAddress(), AdditionalAddresses: free[1:],
		Transparent: real.GetTransparent(), Freebind: real.GetFreebind(), SocketOptions: real.GetSocketOptions(),
		TcpFastOpenQueueLength: real.GetTcpFastOpenQueueLength(), EnableReusePort: real.GetEnableReusePort(),
		EnableMptcp: real.GetEnableMptcp(), TcpBacklogSize: real.GetTcpBacklogSize(), StatPrefix: ShadowStatPrefix,
		// A chain without filters closes its connections.
		FilterChains: []*listenerv3.FilterChain{{}},
	}
	if options := free[0].GetSocketOptions(); options != nil { // the first is an additional one
		l.SocketOptions = options.GetSocketOptions()
	}
	own, err := newResource(resource.ListenerType, l.GetName(), l)
	if err != nil {
		return nil, err
	}
	return own, own.read()
}

// Plain is what a proxy says of such a listener, as of the real one.
func Plain(message string) string { return strings.ReplaceAll(message, reservePrefix, "") }

// isUDP is of the address and not of udp_listener_config, which a listener for UDP need not have.
func isUDP(a *listenerv3.AdditionalAddress) bool {
	return a.GetAddress().GetSocketAddress().GetProtocol() == corev3.SocketAddress_UDP
}

func anyFree(binds, taken []fleet.Bind) bool {
	return slices.ContainsFunc(binds, func(b fleet.Bind) bool { return !slices.ContainsFunc(taken, b.Collides) })
}

func isFree(a *corev3.Address, taken []fleet.Bind) bool { return anyFree(fleet.BindOf(a), taken) }
