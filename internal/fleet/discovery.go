package fleet

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	ondemandv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/on_demand/v3"
	httpwasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"go.yaml.in/yaml/v3"
)

// What is accepted must be answered. A proxy waits for what this server does not deliver,
// for ever or for 15 s, and then answers requests with nothing, or 404. So whatever makes a
// proxy ask for something is a row of Kinds, is listed here, or is refused.

// answered are the messages that may name this server as a source and that no row names:
// what they ask for is asked for by name as it is needed, or by what is around them.
var answered = map[protoreflect.FullName]bool{
	"envoy.config.cluster.v3.Cluster":                                                  true, // lrs_server: load reports are not read
	"envoy.config.cluster.v3.Cluster.EdsClusterConfig":                                 true, // the cluster's
	"envoy.config.core.v3.ExtensionConfigSource":                                       true, // the extension's
	"envoy.extensions.filters.http.on_demand.v3.OnDemandCds":                           true, // clusters
	"envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.OnDemand":                  true, // clusters
	"envoy.extensions.transport_sockets.tls.cert_selectors.on_demand_secret.v3.Config": true, // secrets
	hcm + "ScopedRoutes": true, // routes, by the scopes
}

// instead says what to write for what is not answered.
var instead = map[protoreflect.FullName]string{
	"envoy.config.endpoint.v3.LedsClusterLocalityConfig":           "write the endpoints out, under lb_endpoints",
	"envoy.config.listener.v3.Listener.FcdsConfig":                 "write the filter chains out, under filter_chains",
	"envoy.extensions.filters.network.dubbo_proxy.v3.Drds":         "write the routes out, under multiple_route_config",
	"envoy.extensions.filters.network.generic_proxy.v3.GenericRds": "write the routes out, under route_config",
	"envoy.extensions.filters.network.thrift_proxy.v3.Trds":        "write the routes out, under route_config",
}

var (
	configSource    = (&corev3.ConfigSource{}).ProtoReflect().Descriptor().FullName()
	extensionSource = (&corev3.ExtensionConfigSource{}).ProtoReflect().Descriptor().FullName()
)

// source refuses what would make a proxy ask this server for what it does not deliver.
func (p *parser) source(m proto.Message, n *yaml.Node) {
	if api, ok := m.(*corev3.ApiConfigSource); ok {
		p.api(api, n)
	}
	r := m.ProtoReflect()
	fields := r.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if field.Message() == nil || field.IsList() || field.IsMap() || !r.Has(field) || served(r.Descriptor(), field) {
			continue
		}
		if source := sourceOf(r, field.Name()); isADS(source) {
			advice := instead[r.Descriptor().FullName()]
			if advice == "" {
				advice = "write it out, or let it come from a file (path_config_source)"
			}
			p.add(lineOf(n, string(field.Name())), "%s: this server does not deliver what is asked for here: %s", field.Name(), advice)
		}
	}
}

// api refuses another server that no proxy could ask: this one by a stream of its own, and one in a
// cluster of the file. Envoy takes configuration by clusters of its bootstrap alone.
// (Envoy: checkApiConfigSourceSubscriptionBackingCluster in source/common/config/utility.cc.)
func (p *parser) api(api *corev3.ApiConfigSource, n *yaml.Node) {
	if asksServer(api) {
		p.add(n.Line, "a stream of its own to this server is not served: write `ads: {}` for the api_config_source, "+
			"and the same comes by the stream that the proxy has")
	}
	for _, name := range asked(api) {
		here := slices.ContainsFunc(p.placed, func(r placed) bool { return r.kind == clusterKind && r.name == name })
		if here && !slices.Contains(p.doc.BootstrapClusters, name) {
			p.add(n.Line, "api_config_source: cluster %q comes from this server, and an Envoy takes configuration only by clusters of its own bootstrap: "+
				"have it there, and list it under bootstrap_clusters", name)
		}
	}
}

// asked are the clusters by which a source is asked.
func asked(api *corev3.ApiConfigSource) []string {
	out := slices.Clone(api.GetClusterNames())
	for _, s := range api.GetGrpcServices() {
		if name := s.GetEnvoyGrpc().GetClusterName(); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// served reports whether a field that may name this server as a source is one that it
// answers.
func served(m protoreflect.MessageDescriptor, field protoreflect.FieldDescriptor) bool {
	if name := field.Message().FullName(); name != configSource && name != extensionSource {
		return true
	}
	kind, _ := asksFor(m.FullName())
	return kind != nil || answered[m.FullName()]
}

// asksServer reports whether a source names this server's cluster.
func asksServer(api *corev3.ApiConfigSource) bool {
	return slices.Contains(asked(api), ServerCluster)
}

// wasmOf refuses a Wasm HTTP filter among the extension configs, where nothing is proven.
func (p *parser) wasmOf(m proto.Message, n *yaml.Node) {
	config, ok := m.(*corev3.TypedExtensionConfig)
	if !ok || !config.GetTypedConfig().MessageIs((*httpwasmv3.Wasm)(nil)) {
		return
	}
	if slices.ContainsFunc(p.placed, func(r placed) bool { return r.msg == m }) {
		p.add(n.Line, "filter %q: a Wasm HTTP filter is listed under filters, with its module: there it is proven", config.GetName())
	}
}

// hosts refuses virtual hosts that no route has, since a proxy would not know whose they
// are, and routes that have none.
func (p *parser) hosts() {
	routes, have := map[string]bool{}, map[string]bool{}
	for _, r := range p.placed {
		if route, ok := r.msg.(*routev3.RouteConfiguration); ok && isADS(route.GetVhds().GetConfigSource()) {
			routes[r.name], have[r.name] = true, len(route.GetVirtualHosts()) > 0
		}
	}
	for _, r := range p.placed {
		if r.kind != hostKind {
			continue
		}
		route, _, named := strings.Cut(r.name, "/")
		have[route] = true
		if !routes[route] || !named {
			p.add(lineOf(r.node, "name"), "virtual host %q: its name is ROUTE/NAME, with a route of this fleet that has `vhds` with `ads: {}`", r.name)
		}
	}
	for _, r := range p.placed {
		if r.kind == routeKind && routes[r.name] && !have[r.name] {
			p.add(lineOf(r.node, "vhds"), "route %q has no virtual host, so that every request would be answered 404: "+
				"list them under virtual_hosts, each named %s/NAME", r.name, r.name)
		}
	}
	p.onDemand(routes)
}

// onDemand refuses a filter that asks for virtual hosts where they are needed. All there
// are come unasked; and for a host that has none it would hold the request for ever: no
// answer of this server's says to an Envoy that there is none.
// (Envoy 1.40.0 refuses a resource without content, which its documentation has for that.)
func (p *parser) onDemand(hosted map[string]bool) {
	for _, r := range p.placed {
		visit(r.msg, r.node, func(m proto.Message, n *yaml.Node, _ bool) {
			h, ok := m.(*hcmv3.HttpConnectionManager)
			if !ok || !hosted[h.GetRds().GetRouteConfigName()] && (h.GetScopedRoutes() == nil || len(hosted) == 0) {
				return
			}
			for i, f := range h.GetHttpFilters() {
				if p.asksOnDemand(f) {
					p.add(lineOf(n, "http_filters", i), "filter %q: a route of this listener has its virtual hosts by `vhds` from this server, "+
						"which sends all of them unasked: take the on-demand filter away, it would hold requests for any other host", f.GetName())
				}
			}
		})
	}
}

// asksOnDemand is whether an HTTP filter is the on-demand one, written out or by discovery.
func (p *parser) asksOnDemand(f *hcmv3.HttpFilter) bool {
	config := f.GetTypedConfig()
	for _, r := range p.placed {
		if found, ok := r.msg.(*corev3.TypedExtensionConfig); ok && f.GetConfigDiscovery() != nil && r.name == f.GetName() {
			config = found.GetTypedConfig()
		}
	}
	_, ok := Content(config).(*ondemandv3.OnDemand)
	return ok
}

// ownStatistics refuses a name in the statistics that the server reads as its shadow's.
func (p *parser) ownStatistics(m proto.Message, n *yaml.Node) {
	if h, ok := m.(*hcmv3.HttpConnectionManager); ok && strings.HasPrefix(h.GetStatPrefix(), reserved) {
		p.add(lineOf(n, "stat_prefix"), "stat_prefix %q: names that begin with %s are the server's own", h.GetStatPrefix(), reserved)
	}
}

// reserved begins the names that are this server's own: its cluster, the shadow listeners,
// their filters and what they are asked.
const reserved = "waxwing"
