package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// kindsOfSecret has the name "x" stand for a secret of one kind or another, each of them in
// use: by the listener, or by the cluster of the service.
func (w *world) kindsOfSecret(kind string) []byte {
	w.t.Helper()
	fleet := string(graph{Cert: "web"}.yaml(w, false))
	chain, key := certificate(w.t, 7)
	const ads = "sds_config: {ads: {}, resource_api_version: V3}"
	upstream := func(what string) {
		fleet = strings.Replace(fleet, "      connect_timeout: 1s\n", "      connect_timeout: 1s\n"+neverMet(what), 1)
	}
	secret := ""
	switch kind {
	case "certificate":
		upstream("tls_certificate_sds_secret_configs: [{name: x, " + ads + "}]")
		secret = fmt.Sprintf("tls_certificate: {certificate_chain: {inline_string: %q}, private_key: {inline_string: %q}}", chain, key)
	case "roots":
		upstream("validation_context_sds_secret_config: {name: x, " + ads + "}")
		secret = fmt.Sprintf("validation_context: {trusted_ca: {inline_string: %q}}", chain)
	case "tickets":
		fleet = strings.Replace(fleet, "              common_tls_context:\n", "              session_ticket_keys_sds_secret_config: {name: x, "+ads+"}\n              common_tls_context:\n", 1)
		secret = "session_ticket_keys: {keys: [{inline_bytes: \"" + strings.Repeat("A", 106) + "A=\"}]}"
	case "generic":
		fleet = strings.Replace(fleet, "                http_filters:\n", "                http_filters:\n"+injector("x"), 1)
		secret = "generic_secret: {secret: {inline_string: word}}"
	}
	return []byte(strings.Replace(fleet, "  secrets:\n", "  secrets:\n    - {name: x, "+secret+"}\n", 1))
}

// The name of a secret becomes that of one of another kind, there and back, while users ask:
// each such revision is served, and no request fails; nor does a restart of the server say
// the proxies anything else.
func TestSecretOfAnotherKind(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		write(t, w.module, gate(t, 1))
		write(t, w.fleet, w.kindsOfSecret("certificate"))
		w.startServer()
		proxies := w.proxies(2)
		var stops []func() (int, []string)
		for _, p := range proxies {
			stops = append(stops, usersEitherWay(p))
		}
		for i, kind := range []string{"roots", "certificate", "generic", "roots", "tickets", "certificate"} {
			save(t, w.fleet, w.kindsOfSecret(kind))
			revision := w.revisionAfter(2 + i)
			for _, p := range proxies {
				p.serves(revision)
			}
			if i == 2 {
				w.crashServer()
			}
		}
		for i, stop := range stops {
			asked, wrong := stop()
			t.Logf("failed requests of %s: %d of %d", proxies[i].Node, len(wrong), asked)
			if len(wrong) > 0 {
				t.Errorf("the first: %s", wrong[0])
			}
		}
		w.noneRejected()
	})
}
