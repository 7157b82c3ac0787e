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
	// Turn is when a proxy is given it: what is referred to comes before what refers
	// to it, and kinds of one turn go out side by side.
	Turn int
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

	// Severally says that of a response of which a proxy refuses something it takes the
	// rest, and names what it refuses.
	Severally bool
	// Presumes says that a proxy takes what it refused last for what it has, where that was the
	// host's fault: it acknowledges the same bytes when they come again, and has not taken them.
	// So they are sent in another spelling. Envoy 1.40.0 notes their hash before it uses them
	// (SdsApi::onConfigUpdate in source/common/secret/sds_api.cc, and
	// FilterConfigSubscription::onConfigUpdate in source/common/filter/config_discovery_impl.cc).
	Presumes bool
	// Lapses is when a proxy needs anew what it has of them.
	Lapses Lapse
	// Secret says that nobody is to read what is in them.
	Secret bool

	Message   proto.Message     // an empty one
	NameField protoreflect.Name // the field of it that is its name
	AskedBy   []AskedBy         // what makes a proxy ask for it by name
}

// AskedBy is a message that makes a proxy ask for a resource.
type AskedBy struct {
	Message protoreflect.FullName
	Source  protoreflect.Name // its field that says where from: a ConfigSource, or what has one
	Name    protoreflect.Name // its field with the name; All for whatever there is
}

// All stands for all resources of a kind, in a name.
const All = "*"

// A Lapse says when a proxy needs anew what it has of a kind, since it makes something new
// of what asks for that, or took no notice of it before.
type Lapse int

// The kinds of Lapse.
const (
	Stays           Lapse = iota // never
	LapsesWhenSent               // when what asks for it is sent
	LapsesWhenTaken              // when the proxy has accepted that
)

// The turns. Envoy acknowledges clusters only when they are warm, and for that it
// needs their endpoints and secrets; so may a listener need its routes. Filters come
// before listeners because an Envoy that has rejected a filter rejects every listener
// after it; those that clusters ask for go out while these warm (internal/xds/warming.go).
// https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#eventual-consistency-considerations
const (
	turnClusters = iota
	turnFilters
	turnListeners
)

// Kinds are the kinds of resources, in the order in which a proxy is given them.
var Kinds = []*Kind{
	{
		Name: "cluster", Section: "clusters", Type: resource.ClusterType, Turn: turnClusters,
		Unasked: true, Removed: true, Whole: true, Severally: true, Awaited: true,
		Message: &clusterv3.Cluster{}, NameField: "name",
	},
	{
		// Of a changed cluster Envoy makes a new one, which waits for its endpoints to be sent
		// again, 15 s by default.
		Name: "endpoint", Section: "endpoints", Type: resource.EndpointType, Turn: turnClusters,
		Lapses:  LapsesWhenSent,
		Message: &endpointv3.ClusterLoadAssignment{}, NameField: "cluster_name",
		AskedBy: []AskedBy{{"envoy.config.cluster.v3.Cluster", "eds_cluster_config", "name"}},
	},
	{
		Name: "secret", Section: "secrets", Type: resource.SecretType, Turn: turnClusters,
		Message: &tlsv3.Secret{}, NameField: "name", Denied: true, Secret: true, Presumes: true,
		AskedBy: []AskedBy{{"envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig", "sds_config", "name"}},
	},
	{
		// A proxy's bootstrap asks for it, as a layer of its layered_runtime, when it starts;
		// and waits for it, so that one that the fleet does not have is empty.
		Name: "runtime layer", Section: "runtime", Type: resource.RuntimeType, Turn: turnClusters,
		Message: &runtimev3.Runtime{}, NameField: "name", Empty: true,
	},
	{
		// Of the file's filters, and of what has no module and needs no proof: RBAC, filters
		// of connections, of listeners, of UDP sessions.
		Name: "filter", Section: "extension_configs", Type: resource.ExtensionConfigType, Turn: turnFilters,
		Presumes: true,
		Message:  &corev3.TypedExtensionConfig{}, NameField: "name",
		AskedBy: []AskedBy{
			{hcm + "HttpFilter", "config_discovery", "name"},
			{"envoy.extensions.filters.http.composite.v3.DynamicConfig", "config_discovery", "name"},
			{"envoy.config.listener.v3.Filter", "config_discovery", "name"},
			{"envoy.config.listener.v3.ListenerFilter", "config_discovery", "name"},
			{"envoy.config.cluster.v3.Filter", "config_discovery", "name"},
			{"envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig.SessionFilter", "config_discovery", "name"},
		},
	},
	{
		Name: "listener", Section: "listeners", Type: resource.ListenerType, Turn: turnListeners,
		Unasked: true, Removed: true, Whole: true, Apart: true, Severally: true,
		Message: &listenerv3.Listener{}, NameField: "name",
	},
	{
		Name: "route", Section: "routes", Type: resource.RouteType, Turn: turnListeners,
		Message: &routev3.RouteConfiguration{}, NameField: "name",
		AskedBy: []AskedBy{{hcm + "Rds", "config_source", "route_config_name"}},
	},
	{
		// Named ROUTE/NAME, by which a proxy knows whose they are. By delta only: an Envoy
		// that speaks state-of-the-world refuses the route. It asks for all there are, once, and
		// of those that came before their route it took no notice.
		Name: "virtual host", Section: "virtual_hosts", Type: resource.VirtualHostType, Turn: turnListeners,
		Removed: true, Awaited: true, Apart: true, Together: true, Lapses: LapsesWhenTaken,
		Message: &routev3.VirtualHost{}, NameField: "name",
		AskedBy: []AskedBy{{"envoy.config.route.v3.Vhds", "config_source", All}},
	},
	{
		Name: "scoped route", Section: "scoped_routes", Type: resource.ScopedRouteType, Turn: turnListeners,
		Removed: true, Whole: true, Awaited: true, Apart: true,
		Message: &routev3.ScopedRouteConfiguration{}, NameField: "name",
		AskedBy: []AskedBy{{hcm + "ScopedRds", "scoped_rds_config_source", All}},
	},
}

const hcm = "envoy.extensions.filters.network.http_connection_manager.v3."

// Kinds that more is known of than their row says.
var (
	clusterKind  = KindOf(resource.ClusterType)
	secretKind   = KindOf(resource.SecretType)
	filterKind   = KindOf(resource.ExtensionConfigType)
	listenerKind = KindOf(resource.ListenerType)
	routeKind    = KindOf(resource.RouteType)
	hostKind     = KindOf(resource.VirtualHostType)
)

// KindOf is the kind with a type URL, or nil.
func KindOf(typeURL string) *Kind {
	for _, k := range Kinds {
		if k.Type == typeURL {
			return k
		}
	}
	return nil
}

// Turns ranges over the kinds by their turns: those of one go out side by side.
func Turns(yield func([]*Kind) bool) {
	from := 0
	for i := range Kinds {
		if i+1 < len(Kinds) && Kinds[i+1].Turn == Kinds[i].Turn {
			continue
		}
		if !yield(Kinds[from : i+1]) {
			return
		}
		from = i + 1
	}
}

// asksFor is what a message makes a proxy ask for; nil where that is nothing.
func asksFor(message protoreflect.FullName) (*Kind, *AskedBy) {
	for _, k := range Kinds {
		for i := range k.AskedBy {
			if k.AskedBy[i].Message == message {
				return k, &k.AskedBy[i]
			}
		}
	}
	return nil, nil
}

// new is an empty resource of a kind.
func (k *Kind) new() proto.Message { return k.Message.ProtoReflect().New().Interface() }

// New is an empty resource of a kind, with a name.
func (k *Kind) New(name string) proto.Message {
	m := k.Message.ProtoReflect().New()
	m.Set(m.Descriptor().Fields().ByName(k.NameField), protoreflect.ValueOfString(name))
	return m.Interface()
}

// NameOf is the name of one of its resources.
func (k *Kind) NameOf(m proto.Message) string {
	r := m.ProtoReflect()
	return r.Get(r.Descriptor().Fields().ByName(k.NameField)).String()
}

// A Resource is one that a fleet file has.
type Resource struct {
	Kind    *Kind
	Name    string
	Message proto.Message
	Line    int // of the fleet file
}
