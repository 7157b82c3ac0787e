package chains

import (
	"slices"
)

// ScopeHeader of a request says of which scope it is.
const ScopeHeader = "x-scope"

// A Scope has the requests with its key as ScopeHeader go by routes of RDS.
type Scope struct {
	Name   string
	Key    string
	Routes string
}

// Scoping is how a listener comes to know the fleet's scopes.
type Scoping string

// The kinds of it.
const (
	BySRDS  Scoping = "by SRDS"
	InPlace Scoping = "scopes in the listener"
)

// scopeKeys are the keys that scopes can have; no two have the same.
var scopeKeys = []string{"a", "b", "c"}

func scopesOf(f *Fleet) []*Scope { return pointers(f.Scopes) }

func hostsOf(f *Fleet) []*Routes {
	return slices.DeleteFunc(pointers(f.Routes), func(r *Routes) bool { return r.Host == "" })
}

// scope has a listener find its routes by scope.
func (g *Generator) scope(f *Fleet, l *Listener) {
	if len(f.Scopes) == 0 {
		addScope(g, f)
		addScope(g, f)
	}
	if l.Scoped = pick(g, []Scoping{BySRDS, BySRDS, InPlace}); g.InPlace {
		l.Scoped = InPlace
	}
}

func addScope(g *Generator, f *Fleet) bool {
	for _, key := range scopeKeys {
		if f.scopeOf(key) == nil {
			f.Scopes = append(f.Scopes, Scope{Name: g.name("scope"), Key: key, Routes: g.routesOf(f)})
			return true
		}
	}
	return false
}

// removeScope leaves the one whose key is in the checks.
func removeScope(g *Generator, f *Fleet) bool {
	if len(f.Scopes) < 2 {
		return false
	}
	gone := pick(g, slices.DeleteFunc(slices.Clone(f.Scopes), func(s Scope) bool { return s.Key == scopeKeys[0] })).Name
	f.Scopes = slices.DeleteFunc(f.Scopes, func(s Scope) bool { return s.Name == gone })
	return true
}

// swapScopes gives two scopes each other's key.
func swapScopes(g *Generator, f *Fleet) bool {
	return swap(g, f.Scopes, func(s *Scope) *string { return &s.Key })
}

// routesOf is the name of routes by RDS, sometimes of some that are there.
func (g *Generator) routesOf(f *Fleet) string {
	if len(f.Routes) > 0 && g.chance(50) {
		return pick(g, f.Routes).Name
	}
	return g.addRoutes(f, g.route(f, Plain))
}

func otherHosts(g *Generator, f *Fleet) bool {
	return onOne(func(f *Fleet) []*Routes { return pointers(f.Routes) }, func(g *Generator, _ *Fleet, r *Routes) {
		if r.Host != "" {
			r.Host = ""
		} else {
			r.Host = g.name("host")
		}
	})(g, f)
}

func (f *Fleet) scopeOf(key string) *Scope {
	return find(f.Scopes, func(s *Scope) bool { return s.Key == key })
}

// routed is where a listener's request goes, nil for nowhere.
func (f *Fleet) routed(l *Listener, r Request) *Route {
	if l.Scoped == "" {
		return f.route(l)
	}
	s := f.scopeOf(r.Scope)
	if s == nil {
		return nil
	}
	return &f.routesNamed(s.Routes).Route
}

// asked are the headers of a check that every filter lets pass, and that is of a scope.
func (f *Fleet) asked() map[string]string {
	r := Request{Keys: f.Keys()}
	if len(f.Scopes) > 0 {
		r.Scope = f.Scopes[0].Key
	}
	if f.scopeOf(scopeKeys[0]) != nil {
		r.Scope = scopeKeys[0]
	}
	return r.Headers()
}

// scoped is how a listener finds its routes by scope.
func (f *Fleet) scoped(l Listener, s Setting) object {
	out := object{
		"name": "scopes", "rds_config_source": ads(),
		"scope_key_builder": object{"fragments": list{object{
			"header_value_extractor": object{"name": ScopeHeader, "element_separator": ",", "index": 0},
		}}},
	}
	if l.Scoped == BySRDS {
		out["scoped_rds"] = object{"scoped_rds_config_source": ads()}
		return out
	}
	var all list
	for _, scope := range f.Scopes {
		one, r := scope.render(), f.routesNamed(scope.Routes)
		delete(one, "route_configuration_name")
		one["route_configuration"] = f.routes(r.Name, r.Route, s)
		all = append(all, one)
	}
	delete(out, "rds_config_source")
	out["scoped_route_configurations_list"] = object{"scoped_route_configurations": all}
	return out
}

func (s Scope) render() object {
	return object{
		"name": s.Name, "route_configuration_name": s.Routes, "key": object{"fragments": list{object{"string_key": s.Key}}},
	}
}

// scopes are the resources that SRDS has.
func (f *Fleet) scopes(resources object) {
	var out list
	for _, s := range f.Scopes {
		out = append(out, s.render())
	}
	if len(out) > 0 {
		resources["scoped_routes"] = out
	}
}

// scopesAsked are the scopes that a request to a place may be of.
func (t Transition) scopesAsked(place int) []string {
	out := []string{""}
	for _, f := range []*Fleet{t.Before, t.After} {
		if l := f.At(place); l == nil || l.Scoped == "" {
			continue
		}
		for _, s := range f.Scopes {
			if !slices.Contains(out, s.Key) {
				out = append(out, s.Key)
			}
		}
	}
	return out
}

// late is whether requests of a scope may have no route for a moment. What SRDS or RDS
// names anew is not asked for before that has come, and a proxy that serves already does
// not wait for it: of a scope with other routes, and of routes whose virtual host is by
// VHDS from now on, it knows nothing until these are there. And a key that another scope
// has from now on is no scope's in between.
func (t Transition) late(place int, r Request) bool {
	var names, scopes []string
	var by []bool
	for _, f := range []*Fleet{t.Before, t.After} {
		l := f.At(place)
		if l == nil {
			l = t.elsewhere(f, place)
		}
		if l == nil {
			continue
		}
		name, scope := l.RDS, ""
		if l.Scoped != "" {
			name = ""
			if s := f.scopeOf(r.Scope); s != nil {
				name, scope = s.Routes, s.Name
			}
		}
		names, scopes = append(names, name), append(scopes, scope)
		routes := f.routesNamed(name)
		by = append(by, routes != nil && routes.Host != "")
	}
	return len(names) == 2 && ((names[0] != names[1] || scopes[0] != scopes[1]) && t.scopedAt(place) || by[0] != by[1])
}

// elsewhere is the listener at a place in one of the two fleets, where the other, f, has none there.
// One that goes is there until all else is. Of one that comes a proxy has the scopes or routes
// from before where another listener has them.
func (t Transition) elsewhere(f *Fleet, place int) *Listener {
	l := t.After.At(place)
	if l == nil {
		return t.Before.At(place)
	}
	if slices.ContainsFunc(f.Listeners, func(other Listener) bool {
		return l.Scoped == BySRDS && other.Scoped == BySRDS || l.Scoped == "" && l.RDS != "" && other.RDS == l.RDS && other.Scoped == ""
	}) {
		return l
	}
	return nil
}

func (t Transition) scopedAt(place int) bool {
	return slices.ContainsFunc([]*Fleet{t.Before, t.After}, func(f *Fleet) bool {
		l := f.At(place)
		return l != nil && l.Scoped != ""
	})
}
