package fleet

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	compositev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/composite/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
	"go.yaml.in/yaml/v3"
)

// ServerCluster is the cluster in the bootstrap of every proxy that is this server.
const ServerCluster = "waxwing"

// references reports what names something that does not exist, and code that a
// proxy would have to fetch by itself.
func (p *parser) references() {
	known := p.defined()
	p.hosts()
	for _, name := range append(p.doc.BootstrapClusters, ServerCluster) {
		known[clusterKind][name] = true
	}
	for _, f := range p.fleet.Filters {
		if known[filterKind][f.Name] {
			p.add(lineOf(p.root, "resources", filterKind.Section), "filter %q is defined twice", f.Name)
		}
		known[filterKind][f.Name] = true
	}
	for _, r := range p.placed {
		if scope, ok := r.msg.(*routev3.ScopedRouteConfiguration); ok {
			if name := scope.GetRouteConfigurationName(); name != "" && !known[routeKind][name] {
				p.add(lineOf(r.node, "route_configuration_name"), "route %q does not exist in this fleet", name)
			}
		}
		visit(r.msg, r.node, func(m proto.Message, n *yaml.Node, _ bool) {
			p.code(m, n)
			p.source(m, n)
			p.wasmOf(m, n)
			p.ownStatistics(m, n)
			if s, ok := m.(*tlsv3.SdsSecretConfig); ok {
				p.bootstrapSecret(s, n, known[secretKind])
			}
			for _, ref := range refsOf(m) {
				if ref.name != "" && ref.name != All && !known[ref.kind][ref.name] {
					p.add(lineOf(n, ref.path...), "%s %q does not exist in this fleet", ref.kind.Name, ref.name)
				} else if ref.kind == filterKind {
					p.typeWanted(m, n, ref.name)
				}
			}
		})
	}
}

// code notes Wasm code among the resources, and refuses what the proxy is to fetch: Envoy
// ACKs it whatever becomes of the fetch.
func (p *parser) code(m proto.Message, n *yaml.Node) {
	vm, ok := m.(*wasmv3.VmConfig)
	if ok && vm.GetCode() != nil {
		p.fleet.Code = append(p.fleet.Code, lineOf(n, "code"))
	}
	if ok && vm.GetCode().GetRemote() != nil {
		p.add(lineOf(n, "code", "remote"), "remote code is acknowledged by Envoy before it is fetched: "+
			"list the module under filters instead, and it is delivered and proven")
	}
}

// A ref is a name that must exist.
type ref struct {
	kind *Kind
	name string
	path []any // where below the message it is written
}

// refsOf lists the names that one message refers to.
func refsOf(m proto.Message) []ref {
	r := m.ProtoReflect()
	out := clusterRefs(r)
	if kind, by := asksFor(r.Descriptor().FullName()); kind != nil && isADS(sourceOf(r, by.Source)) {
		out = append(out, ref{kind, by.nameIn(m), []any{string(by.Name)}})
	}
	return out
}

// nameIn is the name that a message asks for.
func (by *AskedBy) nameIn(m proto.Message) string {
	if c, ok := m.(*clusterv3.Cluster); ok {
		return EndpointName(c)
	}
	if by.Name == All {
		return All
	}
	r := m.ProtoReflect()
	return r.Get(r.Descriptor().Fields().ByName(by.Name)).String()
}

// sourceOf is where a field says that a resource comes from, or nil.
func sourceOf(m protoreflect.Message, name protoreflect.Name) *corev3.ConfigSource {
	switch v := m.Get(m.Descriptor().Fields().ByName(name)).Message().Interface().(type) {
	case *corev3.ConfigSource:
		return v
	case *corev3.ExtensionConfigSource:
		return v.GetConfigSource()
	case *clusterv3.Cluster_EdsClusterConfig:
		return v.GetEdsConfig()
	}
	return nil
}

// A Need is a resource that a proxy asks for because of another one. The name All stands
// for all of the kind.
type Need struct {
	Kind *Kind
	Name string
}

// All reports whether it stands for all resources of its kind.
func (n Need) All() bool { return n.Name == All }

// Needs lists what a resource, or anything in it, makes a proxy ask this server for.
func Needs(m proto.Message) []Need {
	var out []Need
	if scope, ok := m.(*routev3.ScopedRouteConfiguration); ok && scope.GetRouteConfigurationName() != "" && !scope.GetOnDemand() {
		out = append(out, Need{routeKind, scope.GetRouteConfigurationName()})
	}
	visit(m, nil, func(m proto.Message, _ *yaml.Node, _ bool) {
		for _, ref := range refsOf(m) {
			if ref.kind != clusterKind && ref.name != "" {
				out = append(out, Need{ref.kind, ref.name})
			}
		}
	})
	return out
}

// EndpointName is the name under which an EDS cluster asks for its endpoints.
func EndpointName(c *clusterv3.Cluster) string {
	if name := c.GetEdsClusterConfig().GetServiceName(); name != "" {
		return name
	}
	return c.GetName()
}

func isADS(source *corev3.ConfigSource) bool {
	return source.GetAds() != nil || source.GetSelf() != nil
}

func clusterRefs(m protoreflect.Message) []ref {
	var out []ref
	for _, name := range clusterFields[m.Descriptor().FullName()] {
		field := m.Descriptor().Fields().ByName(name)
		if field == nil || !m.Has(field) {
			continue
		}
		if !field.IsList() {
			out = append(out, ref{clusterKind, m.Get(field).String(), []any{string(name)}})
			continue
		}
		for i := range m.Get(field).List().Len() {
			out = append(out, ref{clusterKind, m.Get(field).List().Get(i).String(), []any{string(name), i}})
		}
	}
	return out
}

// bindings reports filters that no request would ever meet: silently unused, a
// filter lets everything through.
func (p *parser) bindings() {
	p.inBothRoles()
	named := map[string]bool{}
	for _, r := range p.placed {
		visit(r.msg, r.node, func(m proto.Message, _ *yaml.Node, _ bool) {
			switch f := m.(type) {
			case *hcmv3.HttpFilter:
				named[f.GetName()] = named[f.GetName()] || f.GetConfigDiscovery() != nil
			case *compositev3.DynamicConfig:
				named[f.GetName()] = named[f.GetName()] || f.GetConfigDiscovery() != nil
			}
		})
	}
	for i, f := range p.fleet.Filters {
		if len(f.Listeners) == 0 && !named[f.Name] {
			p.add(lineOf(p.root, "filters", i), "filter %q is in no listener: name it by config_discovery "+
				"in a listener's http_filters, or say `listeners: [NAME]` here", f.Name)
		}
		for j, name := range f.Listeners {
			p.putInto(f, name, p.doc.Filters[i].Listeners[j].line)
		}
	}
}

// putInto reports whether a filter can be put into a listener.
func (p *parser) putInto(f Filter, listener string, line int) {
	i := slices.IndexFunc(p.placed, func(r placed) bool { return r.kind == listenerKind && r.name == listener })
	if i < 0 {
		p.add(line, "filter %q: listener %q does not exist in this fleet", f.Name, listener)
		return
	}
	routers, others := 0, 0
	for _, h := range managers(p.placed[i].msg) {
		routers += len(h.GetHttpFilters())
	}
	visit(p.placed[i].msg, p.placed[i].node, func(m proto.Message, n *yaml.Node, _ bool) {
		if h, ok := m.(*hcmv3.HttpConnectionManager); ok {
			for _, filter := range h.GetHttpFilters() {
				if filter.GetName() == f.Name {
					p.add(line, "filter %q: listener %q names it already", f.Name, listener)
				}
				others++
			}
		}
	})
	if others -= routers; routers > 0 && others > 0 {
		p.add(line, "filter %q: listener %q has an HTTP connection manager that is not a filter of its filter chains: "+
			"name the filter by config_discovery there", f.Name, listener)
	}
	if routers == 0 {
		p.add(line, "filter %q: listener %q has no HTTP filters to put it before", f.Name, listener)
	}
}

// managers are the HTTP connection managers of a listener's filter chains.
func managers(m proto.Message) []*hcmv3.HttpConnectionManager {
	l, _ := m.(*listenerv3.Listener)
	chains := slices.Clone(l.GetFilterChains())
	if c := l.GetDefaultFilterChain(); c != nil {
		chains = append(chains, c)
	}
	var out []*hcmv3.HttpConnectionManager
	for _, chain := range chains {
		for _, f := range chain.GetFilters() {
			if packed := f.GetTypedConfig(); packed != nil {
				if h, ok := Content(packed).(*hcmv3.HttpConnectionManager); ok {
					out = append(out, h)
				}
			}
		}
	}
	return out
}
