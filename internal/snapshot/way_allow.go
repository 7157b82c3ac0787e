package snapshot

import (
	"fmt"
	"slices"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	networkrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
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

// gate is what the listener filters of a listener do with a connection that asks a check.
type gate struct {
	kinds   []string // their types
	proxied bool     // it has to begin with the PROXY protocol
	why     string   // why it can't be made, "" where it can
}

func (s *Snapshot) gate(l *listenerv3.Listener) gate {
	var g gate
	for _, f := range l.GetListenerFilters() {
		content := s.contentOf(f)
		if content == nil {
			continue
		}
		kind := kindOf(content)
		g.kinds = append(g.kinds, kind)
		why := TurnAway[kind]
		if p, is := content.(*proxyprotocolv3.ProxyProtocol); is && !p.GetAllowRequestsWithoutProxyProtocol() {
			g.proxied, why = true, unproxied(f, p)
		}
		if why != "" && g.why == "" {
			g.why = fmt.Sprintf("its listener filter %q: %s", filterName(f), why)
		}
	}
	if chains := l.GetFilterChains(); len(chains) > 0 && chains[0].GetUseProxyProto().GetValue() { //nolint:staticcheck // deprecated, but Envoy still reads it
		g.proxied = true
	}
	return g
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
func (g gate) has(kind string) bool { return slices.Contains(g.kinds, listenerFilters+kind) }

// networkFilters says which of the network filters before that of HTTP turns a connection away,
// or may.
func (s *Snapshot) networkFilters(before []*listenerv3.Filter, c connection) string {
	for _, f := range before {
		content := s.contentOf(f)
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
			return fmt.Sprintf("its network filter %q: %s", filterName(f), why)
		}
	}
	return ""
}

// refusedByRBAC says which RBAC filter of HTTP refuses all requests of the proxy itself.
func (s *Snapshot) refusedByRBAC(hcm *hcmv3.HttpConnectionManager, c connection) string {
	for _, f := range hcm.GetHttpFilters() {
		rbac, is := s.contentOf(f).(*httprbacv3.RBAC)
		if is && !f.GetDisabled() && s.rbacAllows(hcm, rbac, c) == no {
			return fmt.Sprintf("its HTTP filter %q refuses all requests from the proxy's own host, and the proxy asks the checks itself", filterName(f))
		}
	}
	return ""
}

// forwarded is whether a check says where its request comes from.
func (s *Snapshot) forwarded() bool {
	return slices.ContainsFunc(s.Meta.Checks, func(c Check) bool { return len(c.Values("x-forwarded-for")) > 0 })
}

func kindOf(m proto.Message) string { return string(m.ProtoReflect().Descriptor().FullName()) }
