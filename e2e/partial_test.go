package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// clustersYAML has the echo's cluster and two more, one of which Envoy refuses
// while its authorities are none.
func (w *world) clustersYAML(timeout, authorities string) []byte {
	host, port := w.service()
	return w.fleetYAML(fleetOptions{Extra: fmt.Sprintf(`
  clusters:
    - name: echo
      type: STATIC
      connect_timeout: %[3]s
      load_assignment:
        cluster_name: echo
        endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %[1]s, port_value: %[2]s}}}}]}]
    - name: with-tls
      type: STATIC
      connect_timeout: %[3]s
      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
          common_tls_context: {validation_context: {trusted_ca: {%[4]s}}}
`, host, port, timeout, authorities)})
}

// One of two clusters that change together is refused. The fleet is back on what it
// had; with that one mended both arrive, though the other's version was in what was
// refused.
func TestOneOfTwoRefused(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		root, _ := certificate(t, 0)
		w.begins(w.clustersYAML("1s", fmt.Sprintf("inline_string: %q", root)), gate(t, 1))
		p := w.proxies(1)[0]
		good := w.servingRevision(1)
		l := w.startLoad([]*proxy{p}, 2, "x-build")

		write(t, w.fleet, w.clustersYAML("2s", `inline_string: "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n"`))
		p.is("it is rejected", func(s api.Proxy) bool { return s.LastNACK != nil && s.Served.ID == good && s.State == api.ProxyServing })
		mustEqual(t, "lines that say so", w.logged(`"msg":"rejected`, "with-tls", "still_runs"), 1)

		write(t, w.fleet, w.clustersYAML("2s", fmt.Sprintf("inline_string: %q", root)))
		p.serves(w.revisionAfter(3))
		text, err := w.get("http://" + p.admin + "/config_dump?resource=dynamic_active_clusters")
		if err != nil || strings.Count(text, `"connect_timeout": "2s"`) != 2 {
			t.Errorf("both clusters are not the new ones (%v):\n%s", err, text)
		}
		l.end()
		p.leftAlone()
	})
}
