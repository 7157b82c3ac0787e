package e2e

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// onDemandYAML is a fleet whose listener takes the certificate that the client names.
func (w *world) onDemandYAML(names ...string) []byte {
	w.t.Helper()
	fleet := string(graph{}.yaml(w, false))
	secrets := "  secrets:\n"
	for i, name := range names {
		chain, key := certificate(w.t, int64(i))
		secrets += fmt.Sprintf("    - name: %s\n      tls_certificate: {certificate_chain: {inline_string: %q}, private_key: {inline_string: %q}}\n", name, chain, key)
	}
	fleet = strings.Replace(fleet, "  secrets:\n", secrets, 1)
	const router = "typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}\n"
	return []byte(strings.Replace(fleet, router, router+`          transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              disable_stateless_session_resumption: true
              disable_stateful_session_resumption: true
              common_tls_context:
                custom_tls_certificate_selector:
                  name: on-demand
                  typed_config:
                    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.cert_selectors.on_demand_secret.v3.Config
                    config_source: {ads: {}, resource_api_version: V3}
                    certificate_mapper:
                      name: sni
                      typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.cert_mappers.sni.v3.SNI, default_value: nobody}
`, 1))
}

// handshake asks for a name, and returns the serial number of the certificate.
func (p *proxy) handshake(name string) (serial int64, err error) {
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: &tls.Config{ServerName: name, InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(p.w.t.Context(), "tcp", p.address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

// A handshake for a name that has no certificate fails at once, instead of waiting until
// the client gives up; and once there is one, it is served.
func TestCertificateOnDemand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	write(t, w.module, gate(t, 1))
	write(t, w.fleet, w.onDemandYAML("one.test"))
	w.startServer()
	p := w.startProxy("edge-0")
	if before(t, 37) {
		w.refused(noSelector)
		return
	}
	p.serves(w.revisionAfter(1))
	known := func(name string, want int64) {
		t.Helper()
		w.eventually(name+" is known", func() error {
			serial, err := p.handshake(name)
			if err == nil && serial != want {
				err = fmt.Errorf("the certificate has the number %d, want %d", serial, want)
			}
			return err
		})
	}
	unknown := func(name string) {
		t.Helper()
		began := time.Now()
		_, err := p.handshake(name)
		t.Logf("%s: %v, after %d ms", name, err, time.Since(began).Milliseconds())
		if timeout := net.Error(nil); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("a handshake for %s: %v, and not refused", name, err)
		}
	}
	known("one.test", 1)
	unknown("two.test")
	unknown("two.test") // asked for anew
	unknown("three.test")
	save(t, w.fleet, w.onDemandYAML("one.test", "two.test"))
	p.serves(w.revisionAfter(2))
	known("two.test", 2)
	known("one.test", 1)
	unknown("three.test")
	save(t, w.fleet, w.onDemandYAML("one.test"))
	p.serves(w.revisionAfter(3))
	known("one.test", 1)
	w.eventually("the certificate that is gone is not served", func() error {
		if _, err := p.handshake("two.test"); err == nil {
			return errors.New("it is")
		}
		return nil
	})
	unknown("two.test")
}
