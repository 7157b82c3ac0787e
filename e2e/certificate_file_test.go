package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// secretYAML is a fleet whose listener takes a certificate by name.
func (w *world) secretYAML(name, chain, key string) []byte {
	w.t.Helper()
	fleet := string(graph{}.yaml(w, false))
	fleet = strings.Replace(fleet, "  secrets:\n", fmt.Sprintf(
		"  secrets:\n    - {name: %s, tls_certificate: {certificate_chain: %s, private_key: %s}}\n", name, chain, key), 1)
	const router = "typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}\n"
	return []byte(strings.Replace(fleet, router, router+`          transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context: {tls_certificate_sds_secret_configs: [{name: `+name+`, sds_config: {ads: {}, resource_api_version: V3}}]}
`, 1))
}

// A listener is pointed at another secret, whose files the host lacks: handshakes go on with
// the old one, also after a restart of the server, and the proxy is in trouble until it has
// taken the new one.
func TestCertificateFileMissing(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		write(t, w.module, gate(t, 1))
		chain, key := certificate(t, 1)
		write(t, w.fleet, w.secretYAML("one.test", fmt.Sprintf("{inline_string: %q}", chain), fmt.Sprintf("{inline_string: %q}", key)))
		w.startServer()
		p := w.startProxy("edge-0")
		p.serves(w.revisionAfter(1))
		shows := func(want int64) {
			t.Helper()
			if serial, err := p.handshake("any.test"); err != nil || serial != want {
				t.Errorf("the certificate has the number %d (%v), want %d", serial, err, want)
			}
		}
		shows(2)

		dir := t.TempDir()
		pem := func(name string) string { return filepath.Join(dir, name) }
		save(t, w.fleet, w.secretYAML("two.test", "{filename: "+pem("chain")+"}", "{filename: "+pem("key")+"}"))
		p.inTrouble("Invalid path: " + pem("chain"))
		shows(2)
		first, err := p.statusOf()
		if err != nil {
			t.Fatal(err)
		}
		p.is(p.Node+" is tried again", func(s api.Proxy) bool { return s.State == api.ProxyTrouble && s.NextTry.After(first.NextTry) })
		shows(2)
		w.crashServer()
		p.inTrouble("Invalid path: " + pem("chain"))
		shows(2)

		chain, key = certificate(t, 2)
		for name, text := range map[string]string{"key": key, "chain": chain} {
			if err := os.WriteFile(pem(name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p.is(p.Node+" has taken it", func(s api.Proxy) bool { return s.State == api.ProxyServing })
		shows(3)
		w.noneRejected()
	})
}
