package fleet

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
)

// An HTTP filter by ECDS may be of a listener, and of a cluster (or of a router's
// upstream_http_filters). Envoy keeps one subscription for each of these roles, and of two that have
// one name only the first is fed: the listener or cluster of the other waits for ever, or answers 500
// to each request. (FilterConfigProviderManagerImplBase::getSubscription in
// source/common/filter/config_discovery_impl.cc, and the two managers of HttpFilterConfigProviderManager
// and UpstreamHttpFilterConfigProviderManager, Envoy 1.40.0.) So what is of a cluster has a name that
// says so, whether a listener has it or not: it may be moved there.

// upstreamMark begins, in the name that proxies know a filter of a cluster by, the type.
const upstreamMark = "upstream."

// A role is who has an HTTP filter: a listener, or a cluster.
type role bool

const (
	ofListener role = false
	ofCluster  role = true
)

// below is the role of the filters in a message, where that of itself is known.
func (r role) below(m proto.Message) role {
	switch m.(type) {
	case *clusterv3.Cluster, *routerv3.Router:
		return ofCluster
	}
	return r
}

// of is the role of a message that asks for a filter. Only HTTP filters are of both kinds.
func (r role) of(m protoreflect.FullName) role {
	return r && role(m == hcm+"HttpFilter" || m == "envoy.extensions.filters.http.composite.v3.DynamicConfig")
}

// filterUse is a filter by ECDS in a role.
type filterUse struct {
	name string
	role role
}

// uses are the filters by ECDS that something in a fleet asks for, in their roles.
func (f *Fleet) uses() map[filterUse]bool {
	configs := map[string]proto.Message{}
	for _, r := range f.Resources {
		if config, ok := r.Message.(*corev3.TypedExtensionConfig); ok {
			configs[r.Name] = config
		}
	}
	out := map[filterUse]bool{}
	var look func(proto.Message, role)
	look = func(m proto.Message, has role) {
		eachFilter(m, has, func(use filterUse) {
			if !out[use] {
				out[use] = true
				if config := configs[use.name]; config != nil {
					look(config, use.role)
				}
			}
		})
	}
	for _, r := range f.Resources {
		if r.Kind != filterKind {
			look(r.Message, ofListener)
		}
	}
	return out
}

// eachFilter calls fn for each filter that a message asks for by ECDS.
func eachFilter(m proto.Message, has role, fn func(filterUse)) {
	if packed, ok := m.(*anypb.Any); ok {
		if content := Content(packed); content != nil {
			eachFilter(content, has, fn)
		}
		return
	}
	has = has.below(m)
	r := m.ProtoReflect()
	if kind, by := asksFor(r.Descriptor().FullName()); kind == filterKind && isADS(sourceOf(r, by.Source)) {
		fn(filterUse{by.nameIn(m), has.of(r.Descriptor().FullName())})
	}
	EachField(r, func(below protoreflect.Message) { eachFilter(below.Interface(), has, fn) })
}

// inBothRoles refuses filters that a listener and a cluster have and that must keep their names, since
// something reads what they write under these.
func (p *parser) inBothRoles() {
	uses := p.fleet.uses()
	for _, r := range p.placed {
		config, ok := r.msg.(*corev3.TypedExtensionConfig)
		if ok && tellsItsName[typeOf(config.GetTypedConfig())] && uses[filterUse{r.name, ofListener}] && uses[filterUse{r.name, ofCluster}] && p.fleet.speaksOf(r.name) {
			p.add(lineOf(r.node, "name"), "filter %q is of a listener and of a cluster, and something here reads what it writes under its name: "+
				"an Envoy gives its configuration to only one of the two. Define it once more, with another name, for the cluster", r.name)
		}
	}
}

// UpstreamNames are the names that proxies know those of the fleet file's filters by that clusters
// have, by the file's.
func (f *Fleet) UpstreamNames() map[string]string {
	out, uses := map[string]string{}, f.uses()
	for _, filter := range f.Filters {
		if uses[filterUse{filter.Name, ofCluster}] {
			out[filter.Name] = upstreamOf(filter.Name)
		}
	}
	return out
}

// IsUpstream reports whether a name that proxies know is that of one of the fleet file's filters in a cluster.
func IsUpstream(name string) bool {
	people := filterKind.ForPeople(name)
	return people != name && name == upstreamOf(people)
}

func upstreamOf(filter string) string {
	return filter + kindMark + upstreamMark + "http.wasm.v3.Wasm"
}
