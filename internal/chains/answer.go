package chains

import (
	"maps"
	"strconv"
)

// A Request is one to a place.
type Request struct {
	TLS   bool
	Scope string            // the value of ScopeHeader, "" for none
	Keys  map[string]string // other headers
}

// Headers are all headers of a request.
func (r Request) Headers() map[string]string {
	out := maps.Clone(r.Keys)
	if r.Scope != "" {
		out[ScopeHeader] = r.Scope
	}
	return out
}

// An Answer is what comes of it. Its zero value: the connection fails.
type Answer struct {
	Status  int
	Mark    string // of the route, "" where there is none
	Backend string // "" where none was reached
	Cert    int    // TLS: which certificate, counted from 1
}

// Header is the request header that a filter looks at.
func (f Filter) Header() string { return "k-" + f.Name }

// Denies is the status that it denies a request with.
func (f Filter) Denies() int { return []int{403, 401}[f.Module] }

// Keys are the headers that every filter of the fleet lets pass.
func (f *Fleet) Keys() map[string]string {
	keys := map[string]string{}
	for _, filter := range f.Filters {
		keys[filter.Header()] = strconv.Itoa(filter.Value)
	}
	return keys
}

// At is the listener at a place that clients can connect to, or nil.
func (f *Fleet) At(place int) *Listener {
	return find(f.Listeners, func(l *Listener) bool { return l.Bound() && (l.Port == place || l.Also == place) })
}

// Answer is what a proxy that serves the fleet answers.
func (f *Fleet) Answer(place int, r Request) Answer {
	l := f.At(place)
	if l == nil || l.TLS != r.TLS {
		return Answer{}
	}
	var a Answer
	if l.TLS {
		a.Cert = 1
		if s := f.secret(l.Cert); s != nil {
			a.Cert = 1 + s.Turn
		}
	}
	a.Status = 200
	route := f.routed(l, r)
	if l.HTTP() {
		if route != nil {
			a.Mark = strconv.Itoa(route.Mark)
		}
		for _, filter := range f.order(l) {
			if r.Keys[filter.Header()] != strconv.Itoa(filter.Value) {
				a.Status = filter.Denies()
				return a
			}
		}
	}
	if route == nil {
		a.Status = 404
		return a
	}
	a.Backend = strconv.Itoa(f.backend(route.To))
	return a
}

// order are the filters of a listener in the order of its chain: those that it names
// itself come before those that are put before its router.
func (f *Fleet) order(l *Listener) []Filter {
	var named, put []Filter
	for _, filter := range f.FiltersOf(l.Name) {
		if filter.Discovered {
			named = append(named, filter)
		} else {
			put = append(put, filter)
		}
	}
	return append(named, put...)
}

// backend is the service that a cluster reaches.
func (f *Fleet) backend(cluster string) int { return f.Cluster(f.lowest(cluster)).Backend }

// lowest is the cluster that an aggregate ends in.
func (f *Fleet) lowest(cluster string) string {
	for f.Cluster(cluster).Kind == Aggregate {
		cluster = f.Cluster(cluster).Of
	}
	return cluster
}
