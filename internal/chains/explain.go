package chains

import (
	"fmt"
	"maps"
	"slices"
)

// A Transition is one change on its way: what a proxy may answer is what it did before,
// what it does after, or something in between that the change itself explains.
type Transition struct{ Before, After *Fleet }

// Requests are what a place is asked: with the keys of before, with those of after and
// with none, each with TLS where one of the two has it, and without where one has none.
func (t Transition) Requests(place int) []Request {
	var out []Request
	for _, tls := range []bool{false, true} {
		if !t.speaks(place, tls) {
			continue
		}
		keys := []map[string]string{{}}
		for _, f := range []*Fleet{t.Before, t.After} {
			if k := f.Keys(); len(k) > 0 && !slices.ContainsFunc(keys, func(other map[string]string) bool { return maps.Equal(k, other) }) {
				keys = append(keys, k)
			}
		}
		for _, k := range keys {
			for _, scope := range t.scopesAsked(place) {
				out = append(out, Request{TLS: tls, Scope: scope, Keys: k})
			}
		}
	}
	return out
}

func (t Transition) speaks(place int, tls bool) bool {
	for _, f := range []*Fleet{t.Before, t.After} {
		if l := f.At(place); l != nil && l.TLS == tls {
			return true
		}
	}
	return false
}

// Explain says what is wrong with an answer, "" if nothing is. A listener changes as a
// whole, and what it names (routes, filters, clusters, secrets) one by one: so a request
// may meet the listener of before or of after, and whatever that names as it was before
// or as it is after. The rule, then:
//
//   - no answer at all (refused, closed, no handshake): only where the listener at the place
//     is not in both fleets as the same one, or where one of both answers nothing to this
//     request, because it has TLS and the request has not, say;
//   - let in: only what would be let in by one of both listeners with all of its filters as
//     before, or all as after;
//   - denied: only where one of those denies it, with the status of any filter there;
//   - the route's mark, the service and the certificate: those of before or after, each for itself;
//   - 404: where one of those has no route for it, or where a route that the proxy does not
//     know yet is named by something that it serves already (see late);
//   - anything else, a 5xx say: never.
func (t Transition) Explain(place int, r Request, got Answer) string {
	before, after := t.Before.Answer(place, r), t.After.Answer(place, r)
	if got == before || got == after {
		return ""
	}
	all := t.answers(place, r)
	as := func(is func(Answer) bool) bool { return slices.ContainsFunc(all, is) }
	switch {
	case got.Status == 0:
		if before.Status == 0 || after.Status == 0 || !t.sameListener(place) {
			return ""
		}
		return fmt.Sprintf("it is not answered; before: %+v, after: %+v", before, after)
	case got.Status == 200 && as(func(a Answer) bool { return a.Status == 200 }):
	case got.denied() && as(Answer.denied) && slices.Contains(t.denials(place), got.Status):
	case got.Status == 404 && (t.late(place, r) || as(func(a Answer) bool { return a.Status == 404 })):
		return explainCert(all, got)
	default:
		return fmt.Sprintf("it is answered %+v; before: %+v, after: %+v", got, before, after)
	}
	switch {
	case !as(func(a Answer) bool { return a.Mark == got.Mark }) && (got.Mark != "" || !t.late(place, r)):
		return fmt.Sprintf("another route answers: %+v; before: %+v, after: %+v", got, before, after)
	case got.Status == 200 && !slices.Contains(t.backends(place, r), got.Backend):
		return fmt.Sprintf("another service answers: %+v, want one of %q", got, t.backends(place, r))
	}
	return explainCert(all, got)
}

func explainCert(all []Answer, got Answer) string {
	if !slices.ContainsFunc(all, func(a Answer) bool { return a.Cert == got.Cert }) {
		return fmt.Sprintf("another certificate is shown: %+v, want that of one of %+v", got, all)
	}
	return ""
}

func (a Answer) denied() bool { return a.Status == 401 || a.Status == 403 }

// answers are those of the listeners of before and after, each with what it names as it
// is in either.
func (t Transition) answers(place int, r Request) []Answer {
	var out []Answer
	for _, mixed := range t.mixtures() {
		out = append(out, mixed.Answer(place, r))
	}
	return out
}

// mixtures are the listeners, the scopes and the rest, each of before or after.
func (t Transition) mixtures() []*Fleet {
	fleets := []*Fleet{t.Before, t.After}
	var out []*Fleet
	for _, f := range fleets {
		for _, scopes := range fleets {
			for _, other := range fleets {
				out = append(out, f.scopedBy(scopes).with(other))
			}
		}
	}
	return out
}

// scopedBy is a fleet with the scopes of another, and the routes that these name.
func (f *Fleet) scopedBy(other *Fleet) *Fleet {
	out := f.Clone()
	out.Scopes = slices.Clone(other.Scopes)
	for _, s := range out.Scopes {
		if out.routesNamed(s.Routes) == nil {
			r := *other.routesNamed(s.Routes)
			out.Routes = append(out.Routes, r)
			out.addCluster(r.To, other)
		}
	}
	return &out
}

// addCluster adds a cluster of another fleet, and what it is of, if there is none.
func (f *Fleet) addCluster(name string, other *Fleet) {
	if c := other.Cluster(name); c != nil && f.Cluster(name) == nil {
		f.Clusters = append(f.Clusters, *c)
		f.addCluster(c.Of, other)
	}
}

// with is a fleet with the content of another, as far as that has it: only the listeners
// and what is in them stay.
func (f *Fleet) with(other *Fleet) *Fleet {
	out := f.Clone()
	for i := range out.Routes {
		if r := find(other.Routes, func(r *Routes) bool { return r.Name == out.Routes[i].Name }); r != nil {
			out.Routes[i] = *r
			out.addCluster(r.To, other)
		}
	}
	for i := range out.Secrets {
		if s := other.secret(out.Secrets[i].Name); s != nil {
			out.Secrets[i] = *s
		}
	}
	for i := range out.Filters {
		name := out.Filters[i].Name
		if g := find(other.Filters, func(g *Filter) bool { return g.Name == name }); g != nil {
			out.Filters[i].Value, out.Filters[i].Module = g.Value, g.Module
		}
	}
	for i := range out.Clusters { // an aggregate's may be of one that is in the other only
		if c := out.Clusters[i]; c.Of != "" && out.Cluster(c.Of) == nil {
			out.Clusters = append(out.Clusters, *other.Cluster(c.Of))
		}
	}
	return &out
}

// sameListener is whether the listener at a place is the same one in both fleets, on the
// same sockets, so that nobody may be refused there.
func (t Transition) sameListener(place int) bool {
	b, a := t.Before.At(place), t.After.At(place)
	return b != nil && a != nil && b.Name == a.Name && b.Port == a.Port && b.Also == a.Also && b.Alone == a.Alone && (b.Kind == Pipe) == (a.Kind == Pipe)
}

func (t Transition) denials(place int) []int {
	var out []int
	for _, f := range []*Fleet{t.Before, t.After} {
		l := f.At(place)
		if l == nil {
			continue
		}
		for _, filter := range f.FiltersOf(l.Name) {
			for _, g := range []*Fleet{t.Before, t.After} {
				if other := find(g.Filters, func(o *Filter) bool { return o.Name == filter.Name }); other != nil {
					out = append(out, other.Denies())
				}
			}
		}
	}
	return out
}

// backends are the services that requests to a place may meet.
func (t Transition) backends(place int, r Request) (backends []string) {
	fleets := []*Fleet{t.Before, t.After}
	var clusters []string
	for _, mixed := range t.mixtures() {
		if l := mixed.At(place); l != nil {
			if route := mixed.routed(l, r); route != nil {
				clusters = append(clusters, route.To)
			}
		}
	}
	for i := 0; i < len(clusters); i++ {
		for _, f := range fleets {
			c := f.Cluster(clusters[i])
			if c == nil {
				continue
			}
			if c.Kind != Aggregate {
				backends = append(backends, fmt.Sprint(c.Backend))
			} else if !slices.Contains(clusters, c.Of) {
				clusters = append(clusters, c.Of)
			}
		}
	}
	return backends
}
