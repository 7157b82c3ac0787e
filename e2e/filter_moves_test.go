package e2e

import (
	"strings"
	"testing"
)

// placed is a fleet whose filter, "gate", is in the listener, the cluster or both. With it goes a
// filter "mark" of Envoy's own, by ECDS.
func (w *world) placed(listener, cluster bool) []byte {
	w.t.Helper()
	const mark = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
	discovered := func(name, kind string) string {
		return "{name: " + name + ", config_discovery: {config_source: {ads: {}, resource_api_version: V3}, type_urls: [" + kind + "]}}"
	}
	filters := []string{discovered("gate", "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"), discovered("mark", mark)}
	text := string(w.fleetYAML(fleetOptions{Checks: checks, Rollout: `{prove: 100ms, limits: {answers: off}, stages: [{name: all, percent: 100, bake: 0s, deadline: 60s}]}`}))
	text = strings.Replace(text, "    listeners: [ingress]\n", "", 1)
	if listener {
		const before = "                http_filters:\n"
		text = strings.Replace(text, before, before+"                  - "+strings.Join(filters, "\n                  - ")+"\n", 1)
	}
	if cluster {
		const before = "      type: STATIC\n"
		text = strings.Replace(text, before, before+`      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {http_protocol_options: {}}
          http_filters:
            - `+strings.Join(filters, "\n            - ")+`
            - {name: codec, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}}
`, 1)
	}
	return []byte(strings.Replace(text, "  clusters:\n", "  extension_configs: [{name: mark, typed_config: {\"@type\": "+mark+", mutations: {}}}]\n  clusters:\n", 1))
}

// A filter moves between a listener and a cluster and back, by way of both and at once, while users
// ask: each revision is served, none of their requests fails, and none passes unfiltered.
func TestFilterMovesBetweenListenerAndCluster(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		write(t, w.module, gate(t, 1))
		write(t, w.fleet, w.placed(true, true))
		w.startServer()
		p := w.startProxy("edge-0")
		p.serves(w.revisionAfter(1))
		stop := users([]*proxy{p, p, p, p})
		for i, in := range []struct{ listener, cluster bool }{
			{false, true}, {true, false}, {false, true}, {true, false}, {true, true}, {false, true}, {true, false},
		} {
			save(t, w.fleet, w.placed(in.listener, in.cluster))
			p.serves(w.revisionAfter(2 + i))
		}
		if wrong := stop(); len(wrong) > 0 {
			t.Errorf("%d requests failed, the first: %s", len(wrong), wrong[0])
		}
		w.noneRejected()
	})
}
