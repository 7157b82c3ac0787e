package chains

import (
	"fmt"
	"strings"
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
}

// extensionName is another one for each kind: no Envoy takes another type by a name.
func (l Listener) extensionName() string {
	return l.Name + "-" + strings.ReplaceAll(string(l.Extension), " ", "-")
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
