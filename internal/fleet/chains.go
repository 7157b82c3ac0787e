package fleet

import (
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"go.yaml.in/yaml/v3"
)

// A filter that answers, or passes a connection on, ends its chain: none may come after
// it, and a chain that has filters must end in one.

const (
	httpFilterTypes    = "envoy.extensions.filters.http."
	networkFilterTypes = "envoy.extensions.filters.network."
	upstreamCodec      = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"
)

// endings are the filters that end a chain; of those that are false it depends on what
// only a proxy knows. All others of Envoy's do not.
var endings = map[string]bool{
	httpFilterTypes + "router.v3.Router":                                     true,
	httpFilterTypes + "mcp_router.v3.McpRouter":                              true,
	httpFilterTypes + "file_server.v3.FileServerConfig":                      false,
	httpFilterTypes + "dynamic_modules.v3.DynamicModuleFilter":               false,
	httpFilterTypes + "composite.v3.ExtensionWithMatcher":                    false,
	networkFilterTypes + "http_connection_manager.v3.HttpConnectionManager":  true,
	networkFilterTypes + "reverse_tunnel.v3.DrainAwareHttpConnectionManager": false,
	networkFilterTypes + "reverse_tunnel.v3.ReverseTunnel":                   false,
	networkFilterTypes + "dynamic_modules.v3.DynamicModuleNetworkFilter":     false,
	networkFilterTypes + "tcp_proxy.v3.TcpProxy":                             true,
	networkFilterTypes + "redis_proxy.v3.RedisProxy":                         true,
	networkFilterTypes + "thrift_proxy.v3.ThriftProxy":                       true,
	networkFilterTypes + "dubbo_proxy.v3.DubboProxy":                         true,
	networkFilterTypes + "generic_proxy.v3.GenericProxy":                     true,
	networkFilterTypes + "echo.v3.Echo":                                      true,
	networkFilterTypes + "direct_response.v3.Config":                         true,
	upstreamCodec: true,
}

// endsNot says that a filter is one of Envoy's that never ends a chain.
func endsNot(kind, types string) bool {
	_, known := endings[kind]
	return !known && strings.HasPrefix(kind, types)
}

func (p *parser) httpFilters(filters []*hcmv3.HttpFilter, n *yaml.Node) {
	for i, f := range filters {
		if f.GetTypedConfig() == nil {
			continue // comes later, or is nothing
		}
		line, kind, last := lineOf(n, "http_filters", i), typeOf(f.GetTypedConfig()), i == len(filters)-1
		if wrong := httpChain.wrong(kind, last); wrong != "" {
			p.add(line, "HTTP filter %q %s", f.GetName(), wrong)
		} else if last && endings[kind] && f.GetDisabled() {
			p.add(line, "HTTP filter %q is the last of the chain, and can't be disabled", f.GetName())
		}
	}
}

// A chainRule is how a chain of filters of some types must end, and what it is that ends
// it.
type chainRule struct{ types, ends, end string }

var (
	httpChain    = chainRule{httpFilterTypes, "answers the request", "answers, like the router"}
	networkChain = chainRule{
		networkFilterTypes, "takes the connection", "takes the connection, like the HTTP connection manager or the TCP proxy",
	}
)

// wrong is what is wrong with a filter of a type where it is in its chain, "" for nothing.
func (r chainRule) wrong(kind string, last bool) string {
	switch {
	case !last && endings[kind]:
		return r.ends + ", so that it must be the last of the chain"
	case last && endsNot(kind, r.types):
		return "is the last of the chain, which must end in one that " + r.end
	}
	return ""
}

// upstreamFilters end in the codec.
func (p *parser) upstreamFilters(filters []*hcmv3.HttpFilter, n *yaml.Node) {
	if len(filters) == 0 {
		return
	}
	i := len(filters) - 1
	if f := filters[i]; f.GetTypedConfig() != nil && typeOf(f.GetTypedConfig()) != upstreamCodec {
		p.add(lineOf(n, "http_filters", i), "upstream HTTP filter %q is the last of the chain, which must be %s", f.GetName(), upstreamCodec)
	}
}

func (p *parser) networkFilters(filters []*listenerv3.Filter, n *yaml.Node) {
	for i, f := range filters {
		if f.GetTypedConfig() == nil {
			continue
		}
		if wrong := networkChain.wrong(typeOf(f.GetTypedConfig()), i == len(filters)-1); wrong != "" {
			p.add(lineOf(n, "filters", i), "network filter %q %s", f.GetName(), wrong)
		}
	}
}
