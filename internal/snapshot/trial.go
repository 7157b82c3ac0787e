package snapshot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	quicv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/quic/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A listener whose routes or whose secret a proxy refuses is active without them, and answers
// 404 or cuts each handshake; a cluster fails each request. Where that is for a file that is
// missing on its host, nobody else can say so beforehand. So a proxy that has something to
// lose tries it first: a trial is what of a revision asks for such a thing, in listeners that
// listen nowhere and clusters that nothing goes to. What it refuses of that, it loses
// nothing by.

// trialPrefix begins the names of the listeners and clusters of a trial.
const trialPrefix = ShadowPrefix + "~trial/"

// InTrial reports whether a name is that of a listener or cluster of a trial.
func InTrial(name string) bool { return strings.HasPrefix(name, trialPrefix) }

// Trial is what a proxy is to try of a revision, nil for nothing. version is that in which it
// has taken a resource, "" for none.
func Trial(s *Snapshot, version func(typeURL, name string) string) (*Snapshot, error) {
	t := trial{of: s, version: version, out: &Snapshot{
		Fleet: s.Fleet, Meta: s.Meta, ID: s.ID + "~trial", Pair: s.Pair, types: map[string]*collection{}, shadows: &shadows{}, space: s.space,
	}}
	if !t.find() {
		return nil, nil //nolint:nilnil // there is nothing to try, as nearly always
	}
	for _, kind := range []string{resource.ClusterType, resource.ListenerType} {
		for _, r := range s.All(kind) {
			if err := t.user(r); err != nil {
				return nil, fmt.Errorf("the trial of %s %q: %w", kind, r.Name, err)
			}
		}
	}
	if len(t.out.types) == 0 {
		return nil, nil //nolint:nilnil // as above
	}
	if err := t.out.findNeeds(s); err != nil {
		return nil, err
	}
	for _, r := range t.updates {
		if kind := r.typeURL(); !slices.Contains(t.out.needs[kind], r.Name) {
			t.out.needs[kind] = append(t.out.needs[kind], r.Name)
		}
	}
	for _, c := range t.out.types {
		slices.SortFunc(c.sorted, func(a, b *Resource) int { return strings.Compare(a.Name, b.Name) })
	}
	return t.out, nil
}

type trial struct {
	of, out *Snapshot
	version func(typeURL, name string) string
	updates []*Resource         // what names something of the host, and the proxy has in another version
	unknown map[fleet.Need]bool // and what it has in none
}

// find finds what is to be tried, and reports whether there is anything. What the proxy has in
// another version it is sent at once: its users keep that, if it refuses this.
func (t *trial) find() bool {
	t.unknown = map[fleet.Need]bool{}
	found := false
	for _, k := range fleet.Kinds {
		if k.Unasked {
			continue
		}
		for _, r := range t.of.All(k.Type) {
			if !r.namesHost || r.shadow || !slices.Contains(t.of.Required(k.Type), r.Name) {
				continue
			}
			switch t.version(k.Type, r.Name) {
			case r.Version:
				continue
			case "":
				t.unknown[fleet.Need{Kind: k, Name: r.Name}] = true
			default:
				t.updates = append(t.updates, r)
				t.out.add(r)
			}
			found = true
		}
	}
	return found
}

// asks reports whether something makes a proxy ask for what is to be tried.
func (t *trial) asks(needs []fleet.Need) bool {
	return slices.ContainsFunc(needs, func(n fleet.Need) bool {
		if t.unknown[n] {
			return true
		}
		if n.All() {
			for of := range t.unknown {
				if of.Kind == n.Kind {
					return true
				}
			}
			return false
		}
		r := t.of.Get(n.Kind.Type, n.Name)
		return r != nil && t.asks(r.asks)
	})
}

// user adds a listener or a cluster that asks for what is to be tried. A cluster that the
// proxy does not have is tried as it is: nothing goes to it yet.
func (t *trial) user(r *Resource) error {
	had := t.version(r.typeURL(), r.Name)
	isNew := r.typeURL() == resource.ClusterType && had == ""
	if r.shadow || had == r.Version || !isNew && !t.asks(r.asks) {
		return nil
	}
	if isNew {
		t.out.add(r) // a filter that is tried may name it
		return nil
	}
	m, err := r.Wire.GetResource().UnmarshalNew()
	if err != nil {
		return err
	}
	switch of := m.(type) {
	case *clusterv3.Cluster:
		m = unused(of)
	case *listenerv3.Listener:
		m, err = t.nowhere(of)
	}
	if err != nil {
		return err
	}
	own, err := newResource(r.typeURL(), trialPrefix+r.Name, m)
	if err == nil {
		err = own.read()
	}
	if err == nil {
		t.out.add(own)
	}
	return err
}

// unused is a cluster that nothing goes to, with what connections to the real one are made by.
func unused(c *clusterv3.Cluster) *clusterv3.Cluster {
	name := trialPrefix + c.GetName()
	return &clusterv3.Cluster{
		Name: name, ConnectTimeout: durationpb.New(time.Second),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		LoadAssignment:       &endpointv3.ClusterLoadAssignment{ClusterName: name},
		TransportSocket:      c.GetTransportSocket(), TransportSocketMatches: c.GetTransportSocketMatches(),
		TypedExtensionProtocolOptions: c.GetTypedExtensionProtocolOptions(),
	}
}

// nowhere is a listener that listens nowhere, with the filter chains of a real one that ask for
// what is to be tried.
func (t *trial) nowhere(l *listenerv3.Listener) (*listenerv3.Listener, error) {
	out := &listenerv3.Listener{
		Name: trialPrefix + l.GetName(), BindToPort: wrapperspb.Bool(false), FilterChainMatcher: l.GetFilterChainMatcher(),
		// No other listener has it. Nothing is bound.
		Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address: "127.255.255.254", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(len(t.out.All(resource.ListenerType)) + 1)},
		}}},
	}
	for _, f := range l.GetListenerFilters() {
		if f.GetConfigDiscovery() != nil && t.asks(fleet.Needs(f)) {
			out.ListenerFilters = append(out.ListenerFilters, f)
		}
	}
	var err error
	for _, chain := range l.GetFilterChains() {
		if out.FilterChainMatcher == nil && !t.asks(fleet.Needs(chain)) {
			continue
		}
		if chain, err = t.chain(chain); err != nil {
			return nil, err
		}
		out.FilterChains = append(out.FilterChains, chain)
	}
	if chain := l.GetDefaultFilterChain(); chain != nil {
		if out.DefaultFilterChain, err = t.chain(chain); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// chain is a filter chain that asks for nothing of which another version may be in use.
func (t *trial) chain(real *listenerv3.FilterChain) (*listenerv3.FilterChain, error) {
	chain := proto.CloneOf(real)
	chain.Filters = nil
	if quic, ok := fleet.Content(chain.GetTransportSocket().GetTypedConfig()).(*quicv3.QuicDownstreamTransport); ok {
		tls, err := packAny(quic.GetDownstreamTlsContext()) // that of a socket of TCP
		if err != nil {
			return nil, err
		}
		chain.TransportSocket = &corev3.TransportSocket{
			Name: "envoy.transport_sockets.tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: tls},
		}
	}
	for _, f := range real.GetFilters() {
		switch hcm := hcmOf(f); {
		case hcm != nil:
			packed, err := packAny(t.manager(hcm))
			if err != nil {
				return nil, err
			}
			f = &listenerv3.Filter{Name: f.GetName(), ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed}}
		case f.GetConfigDiscovery() != nil && !t.asks(fleet.Needs(f)):
			continue
		}
		chain.Filters = append(chain.Filters, f)
	}
	return chain, nil
}

// manager is an HTTP connection manager without the filters that are discovered, and without
// the routes that are, but for those that are to be tried.
func (t *trial) manager(real *hcmv3.HttpConnectionManager) *hcmv3.HttpConnectionManager {
	hcm := proto.CloneOf(real)
	hcm.StatPrefix, hcm.AccessLog, hcm.AccessLogOptions, hcm.Tracing = ShadowStatPrefix, nil, nil, nil
	hcm.CodecType, hcm.Http3ProtocolOptions = hcmv3.HttpConnectionManager_AUTO, nil
	hcm.HttpFilters = slices.DeleteFunc(hcm.HttpFilters, func(f *hcmv3.HttpFilter) bool {
		return f.GetConfigDiscovery() != nil && !t.asks(fleet.Needs(f))
	})
	rds, scopes := hcm.GetRds(), hcm.GetScopedRoutes()
	if rds != nil && !t.asks(fleet.Needs(rds)) || scopes != nil && !t.asks(fleet.Needs(scopes)) {
		hcm.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{Name: "waxwing.trial"}}
	}
	return hcm
}
