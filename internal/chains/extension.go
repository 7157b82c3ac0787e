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
	// OfCredentials asks for a secret itself: the listener's generic one.
	OfCredentials Extension = "http filter with a secret"
)

// AllExtensions are all of them, and none.
var AllExtensions = []Extension{"", OfConnections, OfSockets, OfRequests, OfCredentials}

// extends gives a listener an extension that it can have.
func (g *Generator) extends(f *Fleet, l *Listener) {
	l.Extension, l.Rule = pick(g, AllExtensions), g.r.IntN(1000)
	if l.Extension == OfCredentials && l.HTTP() && l.Generic == "" {
		l.Generic = g.secretOf(f, Generic)
	}
	l.fitExtension()
}

func (l *Listener) fitExtension() {
	ofHTTP := l.Extension == OfRequests || l.Extension == OfCredentials
	if !l.byStream() || l.Kind == API || ofHTTP && !l.HTTP() || l.Extension == OfCredentials && l.Generic == "" {
		l.Extension, l.Rule = "", 0
	}
	if l.Extension == "" {
		l.Named = ""
	}
}

// extensionName is the same for each kind.
func (l Listener) extensionName() string { return cmp.Or(l.Named, l.Name+"-extension") }

var extend = onListener((*Listener).canBeAlone, (*Generator).extends)

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
	case OfCredentials:
		out = injector(l.Generic, fmt.Sprint("x-credential-", l.Rule))
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

// injector is a filter that gives requests a secret, in a header.
func injector(secret, header string) object {
	return typed("envoy.filters.http.credential_injector", "filters.http.credential_injector.v3.CredentialInjector", object{
		"overwrite": true,
		"credential": typed("envoy.http.injected_credentials.generic", "http.injected_credentials.generic.v3.Generic", object{
			"credential": bySDS(secret), "header": header,
		}),
	})
}

// upstreamExtension is the resource that the filter of a cluster's requests is.
func (c Cluster) upstreamExtension() object {
	out := injector(c.Injects, "x-service-credential")
	out["name"] = c.injector()
	return out
}

func (c Cluster) injector() string { return c.Name + "-injector" }

// injectorOf is the name of that filter, and whether the cluster has it to itself: else it is that of
// a listener with the same secret.
func (f *Fleet) injectorOf(c Cluster) (name string, own bool) {
	for _, l := range f.Listeners {
		if l.Extension == OfCredentials && l.Generic == c.Injects {
			return l.extensionName(), false
		}
	}
	return c.injector(), true
}

// upstream has a cluster discover that filter.
func (f *Fleet) upstream(c Cluster) object {
	name, _ := f.injectorOf(c)
	found := object{"name": name, "config_discovery": object{
		"config_source": ads(), "type_urls": list{c.upstreamExtension()["typed_config"].(object)["@type"]},
	}}
	codec := typed("envoy.filters.http.upstream_codec", "filters.http.upstream_codec.v3.UpstreamCodec", nil)
	return object{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": object{
		"@type":                extensions + "upstreams.http.v3.HttpProtocolOptions",
		"explicit_http_config": object{"http_protocol_options": object{}}, "http_filters": list{found, codec},
	}}
}

// injects gives a cluster a filter that asks for a secret, or takes it away.
func injects(g *Generator, f *Fleet, c *Cluster) {
	switch {
	case c.Injects != "" && g.chance(40):
		c.Injects = ""
	case c.Kind != Aggregate && c.Kind != OriginalDst:
		c.Injects = g.secretOf(f, Generic)
	}
}

// matches are ways to say which proxies the fleet is for: all of them, each time.
func matches(n int) object {
	return []object{{"cluster": "edge"}, {"id": "edge-*"}, {"cluster": "edge", "id": "edge-?"}}[n]
}

// Matches is how many there are.
const Matches = 3
