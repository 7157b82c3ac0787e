package e2e

import (
	"bytes"
	"strings"
	"testing"
)

// sourceForms are ways to write that something comes from this server; with none secrets have no source.
var sourceForms = []struct{ name, is string }{
	{"as long as it takes", "{ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}"},
	{"two seconds", "{ads: {}, resource_api_version: V3, initial_fetch_timeout: 2s}"},
	{"by default", usualSource},
	{"self", "{self: {transport_api_version: V3}, resource_api_version: V3}"},
	{"as a bootstrap's secrets", ""},
	{"three seconds", "{ads: {}, resource_api_version: V3, initial_fetch_timeout: 3s}"},
}

const usualSource = "{ads: {}, resource_api_version: V3}"

// withSources is a fleet with each kind of resource that a proxy asks for by name, and with filters of
// two kinds by discovery: where they come from is written in a form. One whose filter is bound by
// itself has its slot in Waxwing's own form.
func (w *world) withSources(form string, bound, noShadow bool) []byte {
	w.t.Helper()
	const mark = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
	g := graph{Cert: "cert", CA: true, Tickets: true, Generic: true, Service: "a", Routes: "one", Roots: "roots"}
	text := string(g.yaml(w, noShadow))
	const before = "                http_filters:\n"
	slot := func(name, kind string) string {
		return "                  - {name: " + name + ", config_discovery: {config_source: " + usualSource + ", type_urls: [" + kind + "]}}\n"
	}
	slots := slot("mark", mark)
	if !bound {
		slots += slot("gate", "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm")
		text = strings.Replace(text, "    listeners: [ingress]\n", "", 1)
	}
	text = strings.Replace(text, before, before+slots, 1)
	text = strings.Replace(text, "  clusters:\n", "  extension_configs: [{name: mark, typed_config: {\"@type\": "+mark+", mutations: {}}}]\n  clusters:\n", 1)
	if form == "" {
		return bytes.ReplaceAll([]byte(text), []byte(", sds_config: "+usualSource), nil)
	}
	return bytes.ReplaceAll([]byte(text), []byte(usualSource), []byte(form))
}

// Where something comes from is written in other ways, a filter's slot by Waxwing and by its user, while
// users ask: an Envoy that took these for other subscriptions would wait for what it has already.
func TestSourcesInOtherForms(t *testing.T) {
	shadowed(t, func(t *testing.T, w *world, noShadow bool) {
		write(t, w.module, gate(t, 1))
		write(t, w.fleet, w.withSources(usualSource, true, noShadow))
		w.startServer()
		p := w.startProxy("edge-0")
		p.serves(w.revisionAfter(1))
		stop := usersEitherWay(p)
		for i, form := range sourceForms {
			save(t, w.fleet, w.withSources(form.is, i%2 == 1, noShadow))
			p.serves(w.revisionAfter(i + 2))
		}
		asked, wrong := stop()
		t.Logf("%d of %d requests failed", len(wrong), asked)
		if len(wrong) > 0 {
			t.Errorf("the first: %s", wrong[0])
		}
		mustEqual(t, "fetches that timed out", p.stat("init_fetch_timeout$"), 0)
		w.noneRejected()
	})
}
