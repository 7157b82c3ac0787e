package fleet

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	runtimev3 "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// A Kind is a type of xDS resource that this server delivers. Kinds is the one list
// of them: whatever reads, orders, refers to or sends resources goes by its rows.
type Kind struct {
	Name string // for people: "listener"
	Type string // its type URL
	// Section is where the fleet file has them: `resources: {listeners: […]}`. "" for
	// what is made of something else.
	Section string
	// Stage is when a proxy is given it: what is referred to comes before what refers
	// to it, and kinds of one stage go out side by side.
	Stage int
	// Unasked says that proxies have all there are, without naming them. What else
	// they are given is what those make them ask for.
	Unasked bool
	// Removed says that a proxy is told when one is gone. The rest it drops by itself
	// when nothing names it any more; taken away sooner, requests on connections that
	// a replaced listener still drains would fail.
	Removed bool
	// Denied says that proxies ask for some as their users name them, and let these users wait.
	// So by delta, once a proxy has all of a target, it is told which of those that it asks
	// for do not exist. What it still uses of them it keeps.
	Denied bool
	// Whole says that a state-of-the-world response is the whole set: what it does
	// not have is gone.
	Whole bool

	// Apart says that a resource has something to itself, so that what has it must go before
	// another gets it: an address, a key, a domain. Together says that this may change hands
	// in one update, of which only what is gone for good has to be taken away.
	Apart, Together bool
	// Awaited says that a proxy that asks for all waits to be told where there are none.
	Awaited bool
	// Empty says that a proxy that asks for one which does not exist is given an empty one.
	Empty bool

	message proto.Message     // an empty one
	name    protoreflect.Name // the field of it that is its name
	askedBy []askedBy         // what makes a proxy ask for it by name
}

// askedBy is a message that makes a proxy ask for a resource.
type askedBy struct {
	message protoreflect.FullName
	source  protoreflect.Name // its field that says where from: a ConfigSource, or what has one
	name    protoreflect.Name // its field with the name; all for whatever there is
}

// all stands for all resources of a kind, in a name.
const all = "*"

// The stages. Envoy acknowledges clusters only when they are warm, and for that it
// needs their endpoints and secrets; so may a listener need its routes. Filters come
// before listeners because an Envoy that has rejected a filter rejects every listener
// after it.
// https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#eventual-consistency-considerations
const (
	stageClusters = iota
	stageFilters
	stageListeners
)

// Kinds are the kinds of resources, in the order in which a proxy is given them.
var Kinds = []*Kind{
	{
		Name: "cluster", Section: "clusters", Type: resource.ClusterType, Stage: stageClusters,
		Unasked: true, Removed: true, Whole: true, Awaited: true,
		message: &clusterv3.Cluster{}, name: "name",
	},
	{
		Name: "endpoint", Section: "endpoints", Type: resource.EndpointType, Stage: stageClusters,
		message: &endpointv3.ClusterLoadAssignment{}, name: "cluster_name",
		askedBy: []askedBy{{"envoy.config.cluster.v3.Cluster", "eds_cluster_config", "name"}},
	},
	{
		Name: "secret", Section: "secrets", Type: resource.SecretType, Stage: stageClusters,
		message: &tlsv3.Secret{}, name: "name", Denied: true,
		askedBy: []askedBy{{"envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig", "sds_config", "name"}},
	},
	{
		// A proxy's bootstrap asks for it, as a layer of its layered_runtime, when it starts;
		// and waits for it, so that one that the fleet does not have is empty.
		Name: "runtime layer", Section: "runtime", Type: resource.RuntimeType, Stage: stageClusters,
		message: &runtimev3.Runtime{}, name: "name", Empty: true,
	},
	{
		// Of the file's filters, and of what has no module and needs no proof: RBAC, filters
		// of connections, of listeners, of UDP sessions.
		Name: "filter", Section: "extension_configs", Type: resource.ExtensionConfigType, Stage: stageFilters,
		message: &corev3.TypedExtensionConfig{}, name: "name",
		askedBy: []askedBy{
			{hcm + "HttpFilter", "config_discovery", "name"},
			{"envoy.extensions.filters.http.composite.v3.DynamicConfig", "config_discovery", "name"},
			{"envoy.config.listener.v3.Filter", "config_discovery", "name"},
			{"envoy.config.listener.v3.ListenerFilter", "config_discovery", "name"},
			{"envoy.config.cluster.v3.Filter", "config_discovery", "name"},
			{"envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig.SessionFilter", "config_discovery", "name"},
		},
	},
	{
		Name: "listener", Section: "listeners", Type: resource.ListenerType, Stage: stageListeners,
		Unasked: true, Removed: true, Whole: true, Apart: true,
		message: &listenerv3.Listener{}, name: "name",
	},
	{
		Name: "route", Section: "routes", Type: resource.RouteType, Stage: stageListeners,
		message: &routev3.RouteConfiguration{}, name: "name",
		askedBy: []askedBy{{hcm + "Rds", "config_source", "route_config_name"}},
	},
	{
		// Named ROUTE/NAME, by which a proxy knows whose they are. By delta only: an Envoy
		// that speaks state-of-the-world refuses the route.
		Name: "virtual host", Section: "virtual_hosts", Type: resource.VirtualHostType, Stage: stageListeners,
		Removed: true, Awaited: true, Apart: true, Together: true,
		message: &routev3.VirtualHost{}, name: "name",
		askedBy: []askedBy{{"envoy.config.route.v3.Vhds", "config_source", all}},
	},
	{
		Name: "scoped route", Section: "scoped_routes", Type: resource.ScopedRouteType, Stage: stageListeners,
		Removed: true, Whole: true, Awaited: true, Apart: true,
		message: &routev3.ScopedRouteConfiguration{}, name: "name",
		askedBy: []askedBy{{hcm + "ScopedRds", "scoped_rds_config_source", all}},
	},
}

const hcm = "envoy.extensions.filters.network.http_connection_manager.v3."

// Kinds that more is known of than their row says.
var (
	clusterKind  = KindOf(resource.ClusterType)
	filterKind   = KindOf(resource.ExtensionConfigType)
	listenerKind = KindOf(resource.ListenerType)
	routeKind    = KindOf(resource.RouteType)
	hostKind     = KindOf(resource.VirtualHostType)
)

// KindOf is the kind with a type URL, or nil.
func KindOf(typeURL string) *Kind { return kindsByType[typeURL] }

var kindsByType = func() map[string]*Kind {
	out := map[string]*Kind{}
	for _, k := range Kinds {
		out[k.Type] = k
	}
	return out
}()

// asking are the messages that make a proxy ask for something.
var asking = func() map[protoreflect.FullName]asks {
	out := map[protoreflect.FullName]asks{}
	for _, k := range Kinds {
		for _, by := range k.askedBy {
			out[by.message] = asks{k, by}
		}
	}
	return out
}()

type asks struct {
	kind *Kind
	by   askedBy
}

// new is an empty resource of a kind.
func (k *Kind) new() proto.Message { return k.message.ProtoReflect().New().Interface() }

// New is an empty resource of a kind, with a name.
func (k *Kind) New(name string) proto.Message {
	m := k.message.ProtoReflect().New()
	m.Set(m.Descriptor().Fields().ByName(k.name), protoreflect.ValueOfString(name))
	return m.Interface()
}

// NameOf is the name of one of its resources.
func (k *Kind) NameOf(m proto.Message) string {
	r := m.ProtoReflect()
	return r.Get(r.Descriptor().Fields().ByName(k.name)).String()
}

// A Resource is one that a fleet file has.
type Resource struct {
	Kind    *Kind
	Name    string
	Message proto.Message
}
