package fleet

import (
	"google.golang.org/protobuf/proto"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"go.yaml.in/yaml/v3"
)

// placed is an Envoy resource and where it was written.
type placed struct {
	kind string // "listener", "cluster", …
	name string
	msg  proto.Message
	node *yaml.Node
}

func (p *parser) resources() {
	r := &p.doc.Resources
	read(p, "listener", r.Listeners, &p.fleet.Listeners, (*listenerv3.Listener).GetName,
		func() *listenerv3.Listener { return &listenerv3.Listener{} })
	read(p, "cluster", r.Clusters, &p.fleet.Clusters, (*clusterv3.Cluster).GetName,
		func() *clusterv3.Cluster { return &clusterv3.Cluster{} })
	read(p, "route", r.Routes, &p.fleet.Routes, (*routev3.RouteConfiguration).GetName,
		func() *routev3.RouteConfiguration { return &routev3.RouteConfiguration{} })
	read(p, "endpoint", r.Endpoints, &p.fleet.Endpoints, (*endpointv3.ClusterLoadAssignment).GetClusterName,
		func() *endpointv3.ClusterLoadAssignment { return &endpointv3.ClusterLoadAssignment{} })
	read(p, "secret", r.Secrets, &p.fleet.Secrets, (*tlsv3.Secret).GetName,
		func() *tlsv3.Secret { return &tlsv3.Secret{} })
	if len(p.fleet.Listeners) == 0 && len(p.list) == 0 {
		// An update without listeners would take the fleet's proxies off the network.
		p.add(lineOf(p.root, "resources"), "the fleet has no listener under resources.listeners")
	}
}

// read reads all resources of one kind. Each is read by itself, so that one run
// reports an error in each of them.
func read[M proto.Message](p *parser, kind string, nodes []yaml.Node, into *[]M, name func(M) string, empty func() M) {
	seen := map[string]bool{}
	for i := range nodes {
		n, msg := &nodes[i], empty()
		if !p.message(n, msg) {
			continue
		}
		switch id := name(msg); {
		case id == "":
			p.add(n.Line, "%s %d has no name", kind, i+1)
		case seen[id]:
			p.add(n.Line, "%s %q is defined twice", kind, id)
		}
		seen[name(msg)] = true
		*into = append(*into, msg)
		p.placed = append(p.placed, placed{kind: kind, name: name(msg), msg: msg, node: n})
	}
}

// defined lists the names of a kind.
func (p *parser) defined(kind string) map[string]bool {
	names := map[string]bool{}
	for _, r := range p.placed {
		if r.kind == kind {
			names[r.name] = true
		}
	}
	return names
}
