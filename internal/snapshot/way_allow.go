package snapshot

import (
	"fmt"
	"slices"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	networkrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// What decides about connections before HTTP does is not known to the checks, and what counts
// connections counts theirs: one for each request, beside those of users.

const (
	listenerFilters = "envoy.extensions.filters.listener."
	networkFilters  = "envoy.extensions.filters.network."
)

// TurnAway are the types of listener and network filters that may turn connections of the
// checks away, each with the reason. RBAC is read instead.
// https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/network_filters/network_filters
// https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/listener_filters/listener_filters
var TurnAway = map[string]string{
	listenerFilters + "local_ratelimit.v3.LocalRateLimit":   "it limits connections, and the checks make one for each request",
	listenerFilters + "original_src.v3.OriginalSrc":         "it has the service connected to from the client's address, which is the proxy's own",
	networkFilters + "connection_limit.v3.ConnectionLimit":  "it limits connections, and the checks make one for each request",
	networkFilters + "local_ratelimit.v3.LocalRateLimit":    "it limits connections, and the checks make one for each request",
	networkFilters + "ratelimit.v3.RateLimit":               "it limits connections, and the checks make one for each request",
	networkFilters + "ext_authz.v3.ExtAuthz":                "it asks another service who may connect",
	networkFilters + "ext_proc.v3.NetworkExternalProcessor": "it asks another service about each connection",
}

// listenerFilters is whether a listener wants the PROXY protocol, and why it can't be asked.
func (s *Snapshot) listenerFilters(l *listenerv3.Listener) (proxied bool, why string) {
	for _, f := range l.GetListenerFilters() {
		content := s.contentBy(f.GetName(), f)
		if content == nil {
			continue
		}
		if why := TurnAway[kindOf(content)]; why != "" {
			return false, fmt.Sprintf("its listener filter %q: %s", f.GetName(), why)
		}
		if p, is := content.(*proxyprotocolv3.ProxyProtocol); is && !p.GetAllowRequestsWithoutProxyProtocol() {
			if why := unproxied(f, p); why != "" {
				return false, fmt.Sprintf("its listener filter %q: %s", f.GetName(), why)
			}
			proxied = true
		}
	}
	if chains := l.GetFilterChains(); len(chains) > 0 && chains[0].GetUseProxyProto().GetValue() { //nolint:staticcheck // deprecated, but Envoy still reads it
		proxied = true
	}
	return proxied, ""
}

// unproxied says why a listener that wants the PROXY protocol can't be told by it what a proxy
// tells that asks itself.
func unproxied(f *listenerv3.ListenerFilter, p *proxyprotocolv3.ProxyProtocol) string {
	if f.GetFilterDisabled() != nil {
		return "it wants the PROXY protocol of some connections only (filter_disabled)"
	}
	for _, version := range p.GetDisallowedVersions() {
		if version == corev3.ProxyProtocolConfig_V2 {
			return "it takes the PROXY protocol in version 1 only, in which a proxy can't say that it asks itself"
		}
	}
	return ""
}

// has is whether a listener has a listener filter of a type.
func (w *ways) has(kind string) bool {
	return slices.ContainsFunc(w.listener.GetListenerFilters(), func(f *listenerv3.ListenerFilter) bool {
		content := w.of.contentBy(f.GetName(), f)
		return content != nil && kindOf(content) == listenerFilters+kind
	})
}

// networkFilters says which of the network filters before that of HTTP turns a connection away,
// or may.
func (s *Snapshot) networkFilters(before []*listenerv3.Filter, c connection) string {
	for _, f := range before {
		content := s.contentBy(f.GetName(), f)
		if content == nil {
			continue
		}
		why := TurnAway[kindOf(content)]
		if rbac, is := content.(*networkrbacv3.RBAC); is {
			why = map[tristate]string{
				no:    "it lets no connection in from the proxy's own host, and the proxy asks the checks itself",
				maybe: "whether it lets a connection in from the proxy's own host is not known",
			}[rulesAllow(rbac.GetRules(), rbac.GetMatcher() != nil, c, true)]
		}
		if why != "" {
			return fmt.Sprintf("its network filter %q: %s", f.GetName(), why)
		}
	}
	return ""
}

// refusedByRBAC says which RBAC filter of HTTP refuses all requests of the proxy itself.
func (s *Snapshot) refusedByRBAC(hcm *hcmv3.HttpConnectionManager, c connection) string {
	for _, f := range hcm.GetHttpFilters() {
		rbac, is := s.contentOf(f).(*httprbacv3.RBAC)
		if is && !f.GetDisabled() && rulesAllow(rbac.GetRules(), rbac.GetMatcher() != nil, c, hcm.GetUseRemoteAddress().GetValue() || !s.forwarded()) == no {
			return fmt.Sprintf("its HTTP filter %q refuses all requests from the proxy's own host, and the proxy asks the checks itself", f.GetName())
		}
	}
	return ""
}

// forwarded is whether a check says where its request comes from.
func (s *Snapshot) forwarded() bool {
	return slices.ContainsFunc(s.Meta.Checks, func(c Check) bool {
		return slices.ContainsFunc(c.Headers, func(h fleet.Header) bool { return strings.EqualFold(h.Name, "x-forwarded-for") })
	})
}

// configured is a listener or a network filter.
type configured interface {
	proto.Message
	GetName() string
}

// contentBy is the configuration of a listener or network filter, wherever that stands; nil
// where only the proxies know its type.
func (s *Snapshot) contentBy(name string, f configured) proto.Message {
	if content := contentIn(f); content != nil {
		return content
	}
	if packed := s.discoveredConfig(name); packed != nil {
		return fleet.Content(packed)
	}
	return nil
}

// contentIn is the configuration that stands in the filter.
func contentIn(f configured) proto.Message {
	switch f := f.(type) {
	case *listenerv3.ListenerFilter:
		if f.GetTypedConfig() != nil {
			return fleet.Content(f.GetTypedConfig())
		}
	case *listenerv3.Filter:
		if f.GetTypedConfig() != nil {
			return fleet.Content(f.GetTypedConfig())
		}
	}
	return nil
}

func kindOf(m proto.Message) string { return string(m.ProtoReflect().Descriptor().FullName()) }
