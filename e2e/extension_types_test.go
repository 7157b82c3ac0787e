package e2e

import (
	"strings"
	"testing"
)

// extensionTypes are what the name "x" stands for: filters of four types, in three places of a
// listener. The RBAC filter lets nobody in but where the route says otherwise to "x".
var extensionTypes = map[string]struct{ place, kind, fields string }{
	"rbac":        {"http_filters", "http.rbac.v3.RBAC", "rules: {}"},
	"headers":     {"http_filters", "http.header_mutation.v3.HeaderMutation", "mutations: {}"},
	"connections": {"filters", "network.rbac.v3.RBAC", "stat_prefix: x"},
	"sockets":     {"listener_filters", "listener.http_inspector.v3.HttpInspector", ""},
}

// typesOfExtension is a fleet with a filter "x", of one of these types or Wasm.
func (w *world) typesOfExtension(name string) []byte {
	w.t.Helper()
	const quick = `{prove: 100ms, limits: {answers: off}, stages: [{name: all, percent: 100, bake: 0s, deadline: 60s}]}`
	fleet := string(w.fleetYAML(fleetOptions{Checks: checks, Rollout: quick, Tail: `
                route_config:
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes:
                        - match: {prefix: /}
                          route: {cluster: echo}
                          typed_per_filter_config: {x: {"@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute}}`}))
	if name == "wasm" {
		return []byte(strings.Replace(fleet, "filters:\n", "filters:\n  - {name: x, module: {file: "+w.module+"}, listeners: [ingress]}\n", 1))
	}
	of := extensionTypes[name]
	typeURL := "type.googleapis.com/envoy.extensions.filters." + of.kind
	slot := "- {name: x, config_discovery: {config_source: {ads: {}, resource_api_version: V3}, type_urls: [" + typeURL + "]}}\n"
	for place, before := range map[string]string{
		"http_filters":     "                http_filters:\n                  ",
		"filters":          "        - filters:\n            ",
		"listener_filters": "      filter_chains:\n",
	} {
		switch {
		case place != of.place:
		case place == "listener_filters":
			fleet = strings.Replace(fleet, before, "      listener_filters:\n        "+slot+before, 1)
		default:
			indent := before[strings.LastIndex(before, "\n")+1:]
			fleet = strings.Replace(fleet, before, before+slot+indent, 1)
		}
	}
	return []byte(strings.Replace(fleet, "  clusters:\n", "  extension_configs:\n    - {name: x, typed_config: {\"@type\": "+typeURL+", "+of.fields+"}}\n  clusters:\n", 1))
}

// The name of a filter becomes that of a filter of another type, in the same place or another,
// there and back, while users ask: each such revision is served, no request fails, and none
// passes unfiltered; nor does a restart of the server say the proxies anything else.
func TestExtensionOfAnotherType(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		write(t, w.module, gate(t, 1))
		write(t, w.fleet, w.typesOfExtension("rbac"))
		w.startServer()
		p := w.startProxy("edge-0")
		p.serves(w.revisionAfter(1))
		stop := usersEitherWay(p)
		for i, name := range []string{"headers", "wasm", "rbac", "connections", "sockets", "rbac"} {
			save(t, w.fleet, w.typesOfExtension(name))
			p.serves(w.revisionAfter(2 + i))
			if i == 2 {
				w.crashServer()
			}
		}
		asked, wrong := stop()
		t.Logf("failed requests: %d of %d", len(wrong), asked)
		if len(wrong) > 0 {
			t.Errorf("the first: %s", wrong[0])
		}
		w.noneRejected()
	})
}
