package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// A filter that only a composite filter names, for some requests, is served, and so is its next module.
func TestFilterOfACompositeIsServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	write(t, w.module, gate(t, 1))
	const filters = "type.googleapis.com/envoy.extensions.filters.http."
	const composite = `                  - name: some
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher
                      extension_config: {name: c, typed_config: {"@type": ` + filters + `composite.v3.Composite}}
                      xds_matcher:
                        matcher_tree:
                          input: {name: h, typed_config: {"@type": type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput, header_name: who}}
                          exact_match_map: {map: {me: {action: {name: a, typed_config: {"@type": ` + filters + `composite.v3.ExecuteFilterAction,
                            dynamic_config: {name: gate, config_discovery: {config_source: {ads: {}}, type_urls: [` + filters + `wasm.v3.Wasm]}}}}}}}
`
	const asks = `[{request: {headers: {token: "32323", who: me}}, expect: {status: 200}}, {request: {headers: {token: "432323", who: me}}, expect: {status: 403}}]`
	text := strings.Replace(string(w.fleetYAML(fleetOptions{Checks: asks, Rollout: straight})), "    listeners: [ingress]\n", "", 1)
	const before = "                http_filters:\n"
	write(t, w.fleet, []byte(strings.Replace(text, before, before+composite, 1)))
	w.startServer()
	p := w.startProxy("edge-0")
	p.serves(w.revisionAfter(1))
	write(t, w.module, gate(t, 2))
	p.serves(w.revisionAfter(2))
	for who, status := range map[string]int{"me": http.StatusForbidden, "you": http.StatusOK} {
		a, err := p.ask("token", "432323", "who", who)
		must(t, err)
		if a.Status != status {
			t.Errorf("%s is answered %d, want %d", who, a.Status, status)
		}
	}
	w.noneRejected()
}
