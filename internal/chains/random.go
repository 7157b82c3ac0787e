package chains

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// A Generator makes fleets and changes, the same ones for the same seed.
type Generator struct {
	r *rand.Rand
	// Listeners and Clusters are the kinds that it makes.
	Listeners []ListenerKind
	Clusters  []ClusterKind
	// Delta says that all proxies speak delta xDS: by the other variant there are no virtual
	// hosts by VHDS.
	Delta bool
	// InPlace says that scopes are in their listeners, and none come by SRDS.
	InPlace bool
	// Without are the names of changes that are not made.
	Without []string

	named int // how many names it has given
}

// All kinds.
var (
	AllListeners = []ListenerKind{Plain, HTTP2, Split, TCP, Pipe, Unbound, AnyPort, Internal, UDP, QUIC, API}
	AllClusters  = []ClusterKind{Static, StrictDNS, LogicalDNS, EDS, OriginalDst, Aggregate}
)

// NewGenerator makes a generator of all kinds.
func NewGenerator(seed uint64) *Generator {
	return &Generator{
		r:         rand.New(rand.NewPCG(seed, 12)), //nolint:gosec // a test's choice
		Listeners: AllListeners, Clusters: AllClusters,
	}
}

// Places are how many places listeners can be at: the first is 1.
const Places = 12

// Backends are how many services there are, and Turns how many contents a secret has.
const (
	Backends = 3
	Turns    = 3
)

func (g *Generator) name(kind string) string {
	g.named++
	return fmt.Sprintf("%s%d", kind, g.named)
}

func (g *Generator) chance(percent int) bool { return g.r.IntN(100) < percent }

func pick[T any](g *Generator, from []T) T { return from[g.r.IntN(len(from))] }

// Fleet makes a valid fleet.
func (g *Generator) Fleet() Fleet {
	f := Fleet{Rollout: g.rollout(), Match: g.r.IntN(Matches)}
	for range 1 + g.r.IntN(3) {
		g.addCluster(&f)
	}
	for range 1 + g.r.IntN(3) {
		g.addListener(&f)
	}
	for range g.r.IntN(3) {
		g.addFilter(&f)
	}
	return f
}

func (g *Generator) rollout() Rollout {
	return Rollout{Stages: 1 + g.r.IntN(3), Prove: g.r.IntN(3), Bake: g.r.IntN(3), Manual: g.chance(20)}
}

func (g *Generator) addCluster(f *Fleet) *Cluster {
	c := Cluster{Name: g.name("c"), Backend: g.r.IntN(Backends)}
	g.become(f, &c)
	if c.tls() && g.chance(20) {
		c.CA = g.secretOf(f, Validation)
	}
	if g.chance(15) {
		injects(g, f, &c)
	}
	f.Clusters = append(f.Clusters, c)
	return &f.Clusters[len(f.Clusters)-1]
}

// tls reports whether a cluster can have TLS of its own.
func (c Cluster) tls() bool { return c.Kind != Aggregate }

// become makes a cluster one of another kind.
func (g *Generator) become(f *Fleet, c *Cluster) {
	c.Kind, c.Service, c.Of = pick(g, g.Clusters), "", ""
	below := f.plainClusters(c.Name)
	switch {
	case c.Kind == Aggregate && len(below) == 0:
		c.Kind = Static
	case c.Kind == Aggregate:
		c.Of, c.CA, c.Injects = pick(g, below), "", ""
	case c.Kind == EDS && g.chance(50):
		c.Service = g.name("service")
	}
}

// plainClusters are those that an aggregate can be of; not the one that is named.
func (f *Fleet) plainClusters(but string) []string {
	var out []string
	for _, c := range f.Clusters {
		if c.Kind != Aggregate && c.Kind != OriginalDst && c.Name != but {
			out = append(out, c.Name)
		}
	}
	return out
}

// targets are the clusters that a listener of a kind can send to.
func (f *Fleet) targets(kind ListenerKind) []string {
	var out []string
	for _, c := range f.Clusters {
		// Of a connection that was not redirected nobody knows another destination, and a
		// session of UDP goes to neither TLS nor a cluster of clusters.
		http := kind != TCP && kind != UDP
		if http || c.Kind != OriginalDst && (kind == TCP || c.Kind != Aggregate && c.CA == "") {
			out = append(out, c.Name)
		}
	}
	return out
}

// place is one that no listener has.
func (g *Generator) place(f *Fleet) int {
	for {
		p := 1 + g.r.IntN(Places)
		if !slices.ContainsFunc(f.Listeners, func(l Listener) bool { return l.Port == p || l.Also == p }) {
			return p
		}
	}
}

func (g *Generator) addListener(f *Fleet) {
	l := Listener{Name: g.name("l"), Kind: pick(g, g.Listeners), Port: g.place(f)}
	if g.chance(40) && slices.Contains(g.Listeners, Plain) {
		l.Kind = Plain
	}
	l.Route = g.route(f, l.Kind)
	f.Listeners = append(f.Listeners, l)
	added := &f.Listeners[len(f.Listeners)-1]
	if l.Kind == Plain && g.chance(15) {
		added.Also = g.place(f)
	}
	if l.HTTP() && g.chance(35) {
		g.byRDS(f, added)
	}
	if l.HTTP() && g.chance(15) {
		g.scope(f, added)
	}
	if l.byStream() && g.chance(30) {
		g.encrypt(f, added)
	}
	if l.HTTP() && g.chance(10) {
		added.Generic = g.secretOf(f, Generic)
	}
	if g.chance(20) {
		g.extends(f, added)
	}
}

func (g *Generator) route(f *Fleet, kind ListenerKind) Route {
	if len(f.targets(kind)) == 0 {
		c := g.addCluster(f)
		c.Kind, c.Service, c.Of, c.CA, c.Injects = Static, "", "", "", ""
	}
	return Route{To: pick(g, f.targets(kind)), Mark: g.r.IntN(1000)}
}

// byRDS has a listener get its routes by RDS, sometimes those of another.
func (g *Generator) byRDS(f *Fleet, l *Listener) {
	if len(f.Routes) == 0 || g.chance(70) {
		l.RDS = g.addRoutes(f, l.Route)
		return
	}
	l.RDS = pick(g, f.Routes).Name
}

// addRoutes adds routes by RDS, which have their virtual host by VHDS or not.
func (g *Generator) addRoutes(f *Fleet, r Route) string {
	added := Routes{Name: g.name("r"), Route: r}
	if g.Delta && g.chance(30) {
		added.Host = g.name("host")
	}
	f.Routes = append(f.Routes, added)
	return added.Name
}

// encrypt gives a listener TLS.
func (g *Generator) encrypt(f *Fleet, l *Listener) {
	l.TLS = true
	if g.chance(60) {
		l.Cert = g.secretOf(f, Certificate)
	}
	if g.chance(25) {
		l.CA = g.secretOf(f, Validation)
	}
	if g.chance(25) {
		l.Tickets = g.secretOf(f, Tickets)
	}
}

// secretOf is the name of a secret of a kind, sometimes one that is there.
func (g *Generator) secretOf(f *Fleet, kind SecretKind) string {
	for _, s := range f.Secrets {
		if s.Kind == kind && g.chance(50) {
			return s.Name
		}
	}
	f.Secrets = append(f.Secrets, Secret{Name: g.name("s"), Kind: kind, Turn: g.r.IntN(Turns)})
	return f.Secrets[len(f.Secrets)-1].Name
}

// MaxFilters is how many filters there are at once, at most: each has a header.
const MaxFilters = 4

func (g *Generator) addFilter(f *Fleet) bool {
	var http []string
	for _, l := range f.Listeners {
		if l.HTTP() {
			http = append(http, l.Name)
		}
	}
	if len(http) == 0 || len(f.Filters) == MaxFilters {
		return false
	}
	filter := Filter{
		Name: g.name("f"), Value: g.r.IntN(1000), Module: g.r.IntN(2),
		Discovered: g.chance(30), NoShadow: g.chance(25), Checks: g.chance(70),
		Policy: pick(g, []string{"", "FAIL_RELOAD", "FAIL_CLOSED"}),
	}
	for _, name := range http {
		if g.chance(60) {
			filter.Listeners = append(filter.Listeners, name)
		}
	}
	if len(filter.Listeners) == 0 {
		filter.Listeners = []string{pick(g, http)}
	}
	f.Filters = append(f.Filters, filter)
	return true
}
