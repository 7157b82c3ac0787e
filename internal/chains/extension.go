package chains

import (
	"cmp"
	"fmt"
	"slices"
)

// An Extension is a filter of Envoy's that a listener discovers by ECDS: it has no module.
type Extension string

// The kinds of extension. Each lets everything pass.
const (
	OfConnections Extension = "network filter"
	OfSockets     Extension = "listener filter"
	OfRequests    Extension = "http filter"
)

// AllExtensions are all of them, and none.
var AllExtensions = []Extension{"", OfConnections, OfSockets, OfRequests}

// extends gives a listener an extension that it can have.
func (g *Generator) extends(l *Listener) {
	l.Extension, l.Rule = pick(g, AllExtensions), g.r.IntN(1000)
	l.fitExtension()
}

func (l *Listener) fitExtension() {
	if !l.byStream() || l.Kind == API || l.Extension == OfRequests && !l.HTTP() {
		l.Extension, l.Rule = "", 0
	}
	if l.Extension == "" {
		l.Named = ""
	}
}

// extensionName is the same for each kind.
func (l Listener) extensionName() string { return cmp.Or(l.Named, l.Name+"-extension") }

var extend = onListener((*Listener).canBeAlone, func(g *Generator, _ *Fleet, l *Listener) { g.extends(l) })

// swapNamed has an extension take the name of a filter, or a filter that of such an extension.
func swapNamed(g *Generator, f *Fleet) bool {
	return extensionToFilter(g, f) || filterToExtension(g, f)
}

// filterToExtension has an extension take the name and a place of a filter.
func filterToExtension(_ *Generator, f *Fleet) bool {
	for i, filter := range f.Filters {
		for j := range f.Listeners {
			if l := &f.Listeners[j]; slices.Contains(filter.Listeners, l.Name) && l.Extension == "" && l.HTTP() {
				l.Extension, l.Named = OfRequests, filter.Name
				if l.fitExtension(); l.Extension != "" {
					f.Filters = slices.Delete(f.Filters, i, i+1)
					return true
				}
			}
		}
	}
	return false
}

// extensionToFilter has a filter take the name and the place of an extension.
func extensionToFilter(g *Generator, f *Fleet) bool {
	for j := range f.Listeners {
		l := &f.Listeners[j]
		if l.Named == "" || !l.HTTP() || len(f.Filters) == MaxFilters {
			continue
		}
		f.Filters = append(f.Filters, Filter{Name: l.Named, Value: g.r.IntN(1000), Module: g.r.IntN(2), Listeners: []string{l.Name}, Discovered: g.chance(50), Checks: true})
		l.Extension, l.Named, l.Rule = "", "", 0
		return true
	}
	return false
}

// extension is the resource that a listener's extension is.
func (l Listener) extension() object {
	out := object{}
	switch l.Extension {
	case OfConnections:
		out = typed("", "filters.network.rbac.v3.RBAC", object{"stat_prefix": fmt.Sprint("rule-", l.Rule)})
	case OfSockets:
		out = typed("", "filters.listener.http_inspector.v3.HttpInspector", nil)
	case OfRequests:
		out = typed("", "filters.http.header_mutation.v3.HeaderMutation", object{
			"mutations": object{"response_mutations": list{object{"append": header("x-rule", fmt.Sprint(l.Rule))}}},
		})
	}
	out["name"] = l.extensionName()
	return out
}

// discovered is the filter of a listener whose configuration is that.
func (l Listener) discovered() object {
	return object{"name": l.extensionName(), "config_discovery": object{
		"config_source": ads(), "type_urls": list{l.extension()["typed_config"].(object)["@type"]},
	}}
}

// matches are ways to say which proxies the fleet is for: all of them, each time.
func matches(n int) object {
	return []object{{"cluster": "edge"}, {"id": "edge-*"}, {"cluster": "edge", "id": "edge-?"}}[n]
}

// Matches is how many there are.
const Matches = 3
