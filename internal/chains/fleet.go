// Package chains makes random valid fleets, and chains of random changes between
// them, to find the change that the server does not bring to its proxies. It is
// for tests: a chain is run on simulated proxies that follow Envoy's rules, or on
// real ones under load. What fails is made as small as it can be.
package chains

import (
	"slices"
)

// A Fleet is a fleet file as a value: small, so that it can be changed at random
// and made smaller. Its zero values are the plain choices.
type Fleet struct {
	Listeners []Listener
	Clusters  []Cluster
	Routes    []Routes // by RDS
	Scopes    []Scope  // of requests
	Secrets   []Secret // by SDS
	Filters   []Filter
	Rollout   Rollout
	Match     int // of the ways to say which proxies it is for
	Setting   int // of a runtime layer by RTDS, 0 for none
}

// A ListenerKind says what a listener is.
type ListenerKind string

// The kinds of listener.
const (
	Plain    ListenerKind = "http"
	HTTP2    ListenerKind = "http2 only"
	Split    ListenerKind = "several filter chains"
	TCP      ListenerKind = "tcp proxy"
	Pipe     ListenerKind = "unix socket"
	Unbound  ListenerKind = "bind_to_port false"
	AnyPort  ListenerKind = "port 0"
	Internal ListenerKind = "internal"
	UDP      ListenerKind = "udp proxy"
	QUIC     ListenerKind = "quic"
	API      ListenerKind = "for clients of gRPC"
)

// A Listener is one real listener. TCP and UDP proxies have a cluster only.
type Listener struct {
	Name string
	Kind ListenerKind
	Port int // its place: no two listeners have the same, a pipe's is a path
	Also int // the place of an additional address, 0 for none

	Alone bool // nothing else can bind its address: enable_reuse_port false

	Extension Extension // by ECDS, "" for none
	Rule      int       // what is in it
	Named     string    // its name, where a filter had that before; "" for one of its own

	Scoped Scoping // its routes are those of the fleet's scopes, "" for none of these
	RDS    string  // the name of its routes, "" for routes of its own
	Route

	TLS     bool   // inline, unless Cert names a secret
	Cert    string // a certificate by SDS
	CA      string // a validation context by SDS
	Tickets string // session ticket keys by SDS
	Generic string // a generic secret by SDS, for an HTTP filter of Envoy's
}

// A Route is where all requests go.
type Route struct {
	To   string // a cluster
	Mark int    // a response header of this value tells which route answered
}

// Routes are a route configuration by RDS.
type Routes struct {
	Name string
	Host string // the name of its virtual host, which comes by VHDS; "" for one in the routes
	Route
}

// A ClusterKind is how a cluster finds its endpoints.
type ClusterKind string

// The kinds of cluster.
const (
	Static      ClusterKind = "STATIC"
	StrictDNS   ClusterKind = "STRICT_DNS"
	LogicalDNS  ClusterKind = "LOGICAL_DNS"
	EDS         ClusterKind = "EDS"
	OriginalDst ClusterKind = "ORIGINAL_DST"
	Aggregate   ClusterKind = "aggregate"
)

// A Cluster has one endpoint.
type Cluster struct {
	Name    string
	Kind    ClusterKind
	Backend int    // which service
	Service string // EDS: its service_name
	Of      string // Aggregate: the cluster below it
	CA      string // TLS to the service, with a validation context by SDS
	Injects string // a generic secret that a filter by ECDS gives its requests
}

// endpoints is the name of what an EDS cluster asks for.
func (c Cluster) endpoints() string {
	if c.Service != "" {
		return c.Service
	}
	return c.Name
}

// A SecretKind is what is in a secret.
type SecretKind string

// The kinds of secret.
const (
	Certificate SecretKind = "certificate"
	Validation  SecretKind = "validation context"
	Tickets     SecretKind = "session tickets"
	Generic     SecretKind = "generic"
)

// A Secret is delivered by SDS; another Turn is another content.
type Secret struct {
	Name string
	Kind SecretKind
	Turn int
}

// A Filter lets a request pass whose header Header has the value that Value says.
type Filter struct {
	Name       string
	Value      int
	Module     int      // the second answers 401 where the first answers 403
	Listeners  []string // it is put into
	Discovered bool     // those name it by config_discovery, rather than the filter them
	NoShadow   bool
	Checks     bool
	Policy     string // failure_policy, "" for none
}

// Rollout is how it is rolled out.
type Rollout struct {
	Stages int  // 0: no stanza
	Prove  int  // in hundreds of milliseconds
	Bake   int  // the same, of each stage
	Manual bool // a person approves the last one
}

// Clone is a copy that shares nothing.
func (f Fleet) Clone() Fleet {
	f.Listeners, f.Clusters = slices.Clone(f.Listeners), slices.Clone(f.Clusters)
	f.Routes, f.Secrets, f.Filters = slices.Clone(f.Routes), slices.Clone(f.Secrets), slices.Clone(f.Filters)
	f.Scopes = slices.Clone(f.Scopes)
	for i := range f.Filters {
		f.Filters[i].Listeners = slices.Clone(f.Filters[i].Listeners)
	}
	return f
}

// HTTP reports whether a listener has an HTTP connection manager, and so can have filters.
func (l Listener) HTTP() bool { return l.Kind != TCP && l.Kind != UDP && l.Kind != API }

// byStream reports whether a listener is TCP's: it can be given TLS, and taken it.
func (l Listener) byStream() bool { return l.Kind != UDP && l.Kind != QUIC && l.Kind != API }

// Bound reports whether a client can connect to the listener's place.
func (l Listener) Bound() bool {
	return !slices.Contains([]ListenerKind{Unbound, AnyPort, Internal, UDP, QUIC, API}, l.Kind)
}

// Listener finds a listener by name, or nil.
func (f *Fleet) Listener(name string) *Listener {
	return find(f.Listeners, func(l *Listener) bool { return l.Name == name })
}

// Cluster finds a cluster by name, or nil.
func (f *Fleet) Cluster(name string) *Cluster {
	return find(f.Clusters, func(c *Cluster) bool { return c.Name == name })
}

func (f *Fleet) secret(name string) *Secret {
	return find(f.Secrets, func(s *Secret) bool { return s.Name == name })
}

// route is where a listener's requests go that has no scopes.
func (f *Fleet) route(l *Listener) *Route {
	if r := f.routesNamed(l.RDS); r != nil {
		return &r.Route
	}
	return &l.Route
}

func (f *Fleet) routesNamed(name string) *Routes {
	return find(f.Routes, func(r *Routes) bool { return r.Name == name })
}

// FiltersOf are the filters of a listener, in their order.
func (f *Fleet) FiltersOf(listener string) []Filter {
	var out []Filter
	for _, filter := range f.Filters {
		if slices.Contains(filter.Listeners, listener) {
			out = append(out, filter)
		}
	}
	return out
}

// find is the element for which is holds, or nil.
func find[T any](list []T, is func(*T) bool) *T {
	for i := range list {
		if is(&list[i]) {
			return &list[i]
		}
	}
	return nil
}

// Prune takes out what nothing names any more or what names something that is not
// there, until the fleet is valid; what stays is as it was.
func (f *Fleet) Prune() {
	f.pruneClusters()
	for i := range f.Listeners {
		f.pruneListener(&f.Listeners[i])
	}
	f.Listeners = slices.DeleteFunc(f.Listeners, func(l Listener) bool { return l.RDS == "" && l.Scoped == "" && f.Cluster(l.To) == nil })
	for i := range f.Filters {
		filter := &f.Filters[i]
		filter.Listeners = slices.DeleteFunc(filter.Listeners, func(name string) bool {
			l := f.Listener(name)
			return l == nil || !l.HTTP()
		})
	}
	f.Filters = slices.DeleteFunc(f.Filters, func(filter Filter) bool { return len(filter.Listeners) == 0 })
}

func (f *Fleet) pruneClusters() {
	for i := range f.Clusters {
		for _, name := range []*string{&f.Clusters[i].CA, &f.Clusters[i].Injects} {
			if *name != "" && f.secret(*name) == nil {
				*name = ""
			}
		}
	}
	for again := true; again; {
		before := len(f.Clusters)
		f.Clusters = slices.DeleteFunc(f.Clusters, func(c Cluster) bool { return c.Kind == Aggregate && f.Cluster(c.Of) == nil })
		again = len(f.Clusters) != before
	}
	f.Routes = slices.DeleteFunc(f.Routes, func(r Routes) bool { return f.Cluster(r.To) == nil })
	f.Scopes = slices.DeleteFunc(f.Scopes, func(s Scope) bool { return f.routesNamed(s.Routes) == nil })
}

func (f *Fleet) pruneListener(l *Listener) {
	for _, name := range []*string{&l.Cert, &l.CA, &l.Tickets, &l.Generic} {
		if *name != "" && f.secret(*name) == nil {
			*name = ""
		}
	}
	if l.RDS != "" && f.routesNamed(l.RDS) == nil {
		l.RDS = ""
	}
	if len(f.Scopes) == 0 {
		l.Scoped = ""
	}
	l.fitExtension()
}
