package chains

import "slices"

// A change is one kind of it. Its function changes a fleet, and says whether it could.
type change struct {
	name string
	do   func(*Generator, *Fleet) bool
}

// changes are all kinds.
var changes = []change{
	{"add a listener", func(g *Generator, f *Fleet) bool {
		if len(f.Listeners) > 4 {
			return false
		}
		g.addListener(f)
		return true
	}},
	{"remove a listener", func(g *Generator, f *Fleet) bool {
		if len(f.Listeners) < 2 {
			return false
		}
		i := g.r.IntN(len(f.Listeners))
		f.Listeners = slices.Delete(f.Listeners, i, i+1)
		return true
	}},
	{"rename a listener", renameListener},
	{"hand a port on", handPortOn},
	{"move a listener to another port", onListener(anyListener, func(g *Generator, f *Fleet, l *Listener) { l.Port = g.place(f) })},
	{"swap ports", swapPorts},
	{"alone at its address or not", onListener((*Listener).canBeAlone, func(_ *Generator, _ *Fleet, l *Listener) { l.Alone = !l.Alone })},
	{"make a listener one of another kind", otherKind},
	{"add TLS", onListener(func(l *Listener) bool { return l.byStream() && !l.TLS }, (*Generator).encrypt)},
	{"take TLS off", onListener(func(l *Listener) bool { return l.byStream() && l.TLS }, func(_ *Generator, _ *Fleet, l *Listener) {
		l.TLS, l.Cert, l.CA, l.Tickets = false, "", "", ""
	})},
	{"certificate inline or by SDS", onListener(func(l *Listener) bool { return l.TLS }, func(g *Generator, f *Fleet, l *Listener) {
		if l.Cert != "" {
			l.Cert = ""
		} else {
			l.Cert = g.secretOf(f, Certificate)
		}
	})},
	{"rename a secret", renameSecret},
	{"rotate a secret", onOne(secretsOf, func(_ *Generator, _ *Fleet, s *Secret) { s.Turn = (s.Turn + 1) % Turns })},
	{"routes inline or by RDS", onListener(isHTTP, func(g *Generator, f *Fleet, l *Listener) {
		if l.RDS != "" {
			l.Route, l.RDS = *f.route(l), ""
		} else {
			g.byRDS(f, l)
		}
	})},
	{"another generic secret or none", onListener(isHTTP, func(g *Generator, f *Fleet, l *Listener) {
		if l.Generic != "" && g.chance(50) {
			l.Generic = ""
			l.fitExtension()
		} else {
			l.Generic = g.secretOf(f, Generic)
		}
	})},
	{"scopes or none", onListener(isHTTP, func(g *Generator, f *Fleet, l *Listener) {
		if l.Scoped != "" && g.chance(50) {
			l.Scoped = ""
		} else {
			g.scope(f, l)
		}
	})},
	{"add a scope", addScope},
	{"remove a scope", removeScope},
	{"rename a scope", onOne(scopesOf, func(g *Generator, _ *Fleet, s *Scope) { s.Name = g.name("scope") })},
	{"swap scopes' keys", swapScopes},
	{"a scope's routes", onOne(scopesOf, func(g *Generator, f *Fleet, s *Scope) { s.Routes = g.routesOf(f) })},
	{"virtual hosts by VHDS or not", func(g *Generator, f *Fleet) bool { return g.Delta && otherHosts(g, f) }},
	{"rename a virtual host", onOne(hostsOf, func(g *Generator, _ *Fleet, r *Routes) { r.Host = g.name("host") })},
	{"change a route", func(g *Generator, f *Fleet) bool {
		l := &f.Listeners[g.r.IntN(len(f.Listeners))]
		if l.RDS != "" {
			*f.route(l) = g.route(f, Plain)
		} else {
			l.Route = g.route(f, l.Kind)
		}
		return true
	}},
	{"add a cluster", func(g *Generator, f *Fleet) bool { g.addCluster(f); return len(f.Clusters) < 7 }},
	{"remove a cluster", removeCluster},
	{"make a cluster one of another kind", otherCluster},
	{"another service_name", onOne(edsOf, func(g *Generator, _ *Fleet, c *Cluster) {
		if c.Service != "" && g.chance(30) {
			c.Service = ""
		} else {
			c.Service = g.name("service")
		}
	})},
	{"other endpoints", onOne(clustersOf, func(_ *Generator, _ *Fleet, c *Cluster) { c.Backend = (c.Backend + 1) % Backends })},
	{"TLS to a service or none", onOne(clustersOf, func(g *Generator, f *Fleet, c *Cluster) {
		if c.Kind == OriginalDst {
			return // its address is in the routes, which change apart from it: no order of the two is right
		}
		if c.CA != "" {
			c.CA = ""
		} else if c.tls() && !f.byUDP(c.Name) {
			c.CA = g.secretOf(f, Validation)
		}
	})},
	{"a filter by ECDS of what goes to a service or none", onOne(clustersOf, injects)},
	{"add a filter", func(g *Generator, f *Fleet) bool { return g.addFilter(f) }},
	{"remove a filter", func(g *Generator, f *Fleet) bool {
		if len(f.Filters) == 0 {
			return false
		}
		i := g.r.IntN(len(f.Filters))
		f.Filters = slices.Delete(f.Filters, i, i+1)
		return true
	}},
	{"a filter's configuration", onOne(filtersOf, func(_ *Generator, _ *Fleet, f *Filter) { f.Value = (f.Value + 1) % 1000 })},
	{"a filter's module", onOne(filtersOf, func(_ *Generator, _ *Fleet, f *Filter) { f.Module = 1 - f.Module })},
	{"a filter's listeners", onOne(filtersOf, otherListeners)},
	{"a filter's shadow", onOne(filtersOf, func(_ *Generator, _ *Fleet, f *Filter) { f.NoShadow = !f.NoShadow })},
	{"a filter's checks", onOne(filtersOf, func(_ *Generator, _ *Fleet, f *Filter) { f.Checks = !f.Checks })},
	{"a filter's failure policy", onOne(filtersOf, func(g *Generator, _ *Fleet, f *Filter) {
		f.Policy = pick(g, []string{"", "FAIL_RELOAD", "FAIL_CLOSED"})
	})},
	{"by config_discovery or by the filter", onOne(filtersOf, func(_ *Generator, _ *Fleet, f *Filter) { f.Discovered = !f.Discovered })},
	{"an extension or none", func(g *Generator, f *Fleet) bool { return g.chance(40) && swapNamed(g, f) || extend(g, f) }},
	{"what an extension does", onListener(func(l *Listener) bool { return l.Extension != "" }, func(_ *Generator, _ *Fleet, l *Listener) { l.Rule++ })},
	{"the match", func(_ *Generator, f *Fleet) bool { f.Match = (f.Match + 1) % Matches; return true }},
	{"a runtime layer", func(_ *Generator, f *Fleet) bool { f.Setting = (f.Setting + 1) % 3; return true }},
	{"the rollout", func(g *Generator, f *Fleet) bool { f.Rollout = g.rollout(); return true }},
}

// canBeAlone: several threads can't share a socket of UDP.
func (l *Listener) canBeAlone() bool { return l.byStream() && l.Kind != Internal }

func isHTTP(l *Listener) bool { return l.HTTP() }

func anyListener(*Listener) bool { return true }

// onListener is a change of one of the listeners that are so.
func onListener(is func(*Listener) bool, do func(*Generator, *Fleet, *Listener)) func(*Generator, *Fleet) bool {
	return onOne(func(f *Fleet) []*Listener {
		var out []*Listener
		for i := range f.Listeners {
			if is(&f.Listeners[i]) {
				out = append(out, &f.Listeners[i])
			}
		}
		return out
	}, do)
}

// onOne is a change of one of several.
func onOne[T any](of func(*Fleet) []*T, do func(*Generator, *Fleet, *T)) func(*Generator, *Fleet) bool {
	return func(g *Generator, f *Fleet) bool {
		all := of(f)
		if len(all) == 0 {
			return false
		}
		do(g, f, pick(g, all))
		return true
	}
}

func pointers[T any](list []T) []*T {
	var out []*T
	for i := range list {
		out = append(out, &list[i])
	}
	return out
}

func secretsOf(f *Fleet) []*Secret   { return pointers(f.Secrets) }
func filtersOf(f *Fleet) []*Filter   { return pointers(f.Filters) }
func clustersOf(f *Fleet) []*Cluster { return pointers(f.Clusters) }
func edsOf(f *Fleet) []*Cluster {
	return slices.DeleteFunc(clustersOf(f), func(c *Cluster) bool { return c.Kind != EDS })
}

// renameListener gives a listener another name at the same address.
func renameListener(g *Generator, f *Fleet) bool {
	l := &f.Listeners[g.r.IntN(len(f.Listeners))]
	before := l.Name
	l.Name = g.name("l")
	for _, filter := range f.Filters {
		for i, name := range filter.Listeners {
			if name == before {
				filter.Listeners[i] = l.Name
			}
		}
	}
	return true
}

// handPortOn removes a listener and gives its address to another.
func handPortOn(g *Generator, f *Fleet) bool {
	gone, ok := takeOut(g, &f.Listeners)
	if ok {
		f.Listeners[g.r.IntN(len(f.Listeners))].Port = gone.Port
	}
	return ok
}

// takeOut removes one of several; the last one stays.
func takeOut[T any](g *Generator, all *[]T) (gone T, ok bool) {
	if len(*all) < 2 {
		return gone, false
	}
	i := g.r.IntN(len(*all))
	gone = (*all)[i]
	*all = slices.Delete(*all, i, i+1)
	return gone, true
}

// swapPorts gives two listeners each other's address.
func swapPorts(g *Generator, f *Fleet) bool {
	return swap(g, f.Listeners, func(l *Listener) *int { return &l.Port })
}

// swap gives two neighbours what the other has of something.
func swap[T, V any](g *Generator, all []T, of func(*T) *V) bool {
	if len(all) < 2 {
		return false
	}
	i := g.r.IntN(len(all) - 1)
	a, b := of(&all[i]), of(&all[i+1])
	*a, *b = *b, *a
	return true
}

// otherKind makes a listener one of another kind: with the same name, at the same place.
func otherKind(g *Generator, f *Fleet) bool {
	l := &f.Listeners[g.r.IntN(len(f.Listeners))]
	before := *l
	l.Kind = pick(g, g.Listeners)
	if before.Kind == API || l.Kind == API { // no listener that is one becomes another: Envoy keeps both
		l.Kind = before.Kind
		return false
	}
	if !slices.Contains(f.targets(l.Kind), f.route(l).To) {
		l.RDS, l.Route = "", g.route(f, l.Kind)
	}
	if !l.HTTP() && l.RDS != "" {
		l.Route, l.RDS = *f.route(l), ""
	}
	if !l.HTTP() {
		l.Generic, l.Scoped = "", ""
	}
	if !l.byStream() && l.Kind != QUIC {
		l.TLS, l.Cert, l.CA, l.Tickets = false, "", "", ""
	}
	if l.Kind != Plain {
		l.Also = 0
	}
	l.Alone = l.Alone && l.canBeAlone()
	l.fitExtension()
	return l.Kind != before.Kind
}

func renameSecret(g *Generator, f *Fleet) bool {
	if len(f.Secrets) == 0 {
		return false
	}
	s := &f.Secrets[g.r.IntN(len(f.Secrets))]
	before := s.Name
	s.Name = g.name("s")
	for i := range f.Listeners {
		l := &f.Listeners[i]
		for _, name := range []*string{&l.Cert, &l.CA, &l.Tickets, &l.Generic} {
			if *name == before {
				*name = s.Name
			}
		}
	}
	for i := range f.Clusters {
		for _, name := range []*string{&f.Clusters[i].CA, &f.Clusters[i].Injects} {
			if *name == before {
				*name = s.Name
			}
		}
	}
	return true
}

// removeCluster sends what went to a cluster to another.
func removeCluster(g *Generator, f *Fleet) bool {
	rest := slices.Clone(f.Clusters)
	gone, ok := takeOut(g, &rest)
	if !ok || slices.ContainsFunc(rest, func(c Cluster) bool { return c.Of == gone.Name }) {
		return false
	}
	f.Clusters = rest
	f.redirect(g, gone.Name)
	return true
}

// redirect finds another cluster for what goes to one that it can't go to any more.
func (f *Fleet) redirect(g *Generator, gone string) {
	for i := range f.Listeners {
		if l := &f.Listeners[i]; l.To == gone {
			l.To = g.route(f, l.Kind).To
		}
	}
	for i := range f.Routes {
		if f.Routes[i].To == gone {
			f.Routes[i].To = g.route(f, Plain).To
		}
	}
}

// otherCluster makes a cluster find its endpoints in another way, under the same name.
func otherCluster(g *Generator, f *Fleet) bool {
	c := &f.Clusters[g.r.IntN(len(f.Clusters))]
	before := *c
	g.become(f, c)
	below := slices.ContainsFunc(f.Clusters, func(other Cluster) bool { return other.Of == c.Name })
	for _, l := range f.Listeners {
		fits := l.RDS != "" || l.To != c.Name || slices.Contains(f.targets(l.Kind), c.Name)
		if !fits || below && (c.Kind == Aggregate || c.Kind == OriginalDst) {
			*c = before
			return false
		}
	}
	return c.Kind != before.Kind
}

// byUDP reports whether sessions of UDP go to a cluster.
func (f *Fleet) byUDP(cluster string) bool {
	return slices.ContainsFunc(f.Listeners, func(l Listener) bool { return l.Kind == UDP && l.To == cluster })
}

// otherListeners puts a filter into another set of listeners.
func otherListeners(g *Generator, f *Fleet, filter *Filter) {
	var out []string
	for _, l := range f.Listeners {
		if l.HTTP() && g.chance(50) {
			out = append(out, l.Name)
		}
	}
	if len(out) > 0 {
		filter.Listeners = out
	}
}
