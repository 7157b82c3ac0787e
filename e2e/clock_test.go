package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/envoy"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// clockOf is the environment of an Envoy whose clock is wrong, by a library of our own.
func clockOf(t *testing.T, offset time.Duration) []string {
	t.Helper()
	library := filepath.Join(t.TempDir(), "clock.so")
	if err := command(nil, "cc", "-shared", "-fPIC", "-O1", "-o", library, "testdata/clock.c"); err != nil {
		t.Fatalf("a C compiler is needed (apt install gcc libc6-dev): %v", err)
	}
	return []string{"LD_PRELOAD=" + library, fmt.Sprintf("CLOCK_OFFSET=%d", int(offset.Seconds()))}
}

// issued is a certificate of its own, which is its own CA, in PEM, for a service on loopback.
func issued(t *testing.T, from, to time.Time) (text string, pair tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(from.UnixNano()), NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return text, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// byTLS is the fleet file with the service behind TLS, of which the CA is a secret.
func (w *world) byTLS(ca string, o fleetOptions) []byte {
	text := string(w.fleetYAML(o))
	text = strings.Replace(text, "resources:\n", fmt.Sprintf("resources:\n  secrets:\n    - {name: roots, validation_context: {trusted_ca: {inline_string: %q}}}\n", ca), 1)
	return []byte(strings.Replace(text, "      connect_timeout: 1s\n", `      connect_timeout: 1s
      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
          common_tls_context: {validation_context_sds_secret_config: {name: roots, sds_config: {ads: {}, resource_api_version: V3}}}
`, 1))
}

// The clock of one of three proxies is 400 days behind: the CA of the service is not valid by
// it, and no request reaches that. It is the proxy's trouble and said with its reason, stages
// go on without it, no revision is blamed, and with the clock set it serves.
func TestWrongClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ca, pair := issued(t, time.Now().AddDate(0, 0, -30), time.Now().AddDate(1, 0, 0))
	service := httptest.NewUnstartedServer(rig.Echo())
	service.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	service.StartTLS()
	t.Cleanup(service.Close)
	w.echo.Stop()
	w.echo.Address = strings.TrimPrefix(service.URL, "https://")
	o := fleetOptions{Rollout: staged, Checks: checks}
	write(t, w.fleet, w.byTLS(ca, o))
	write(t, w.module, gate(t, 1))
	w.startServer()
	proxies := []*proxy{w.startProxy("edge-0"), w.startProxy("edge-1")}
	late := w.newProxy("edge-2")
	late.start(func(o *envoy.Options) { o.Env = clockOf(t, -400*24*time.Hour) })
	const why = "its clock is 400 days behind the server's: the trusted CA of secret roots is not valid before"
	late.inTrouble(why)
	for number := 1; number < 4; number++ {
		save(t, w.module, gate(t, number))
		for _, p := range proxies {
			p.runs("x-build", build(number))
			p.guards()
		}
		w.happened(api.EventServing, number)
	}
	late.inTrouble(why)
	if a, err := late.ask("token", "32323"); err == nil && a.Status == http.StatusOK {
		t.Errorf("its clock makes no difference: %+v", a)
	}
	w.noneRejected()
	late.Stop()
	late.start()
	late.runs("x-build", build(3))
	late.guards()
	w.noneRejected()
}

// What is not valid by the server's own clock is said at the save, with the line, and in the status.
func TestExpiredCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ca, _ := issued(t, time.Now().AddDate(-1, 0, 0), time.Now().AddDate(0, 0, -1))
	write(t, w.fleet, w.byTLS(ca, fleetOptions{}))
	write(t, w.module, gate(t, 1))
	w.startServer()
	w.eventually("the status says that it has expired", func() error {
		f, err := w.onlyFleet()
		if err == nil && !strings.Contains(strings.Join(f.Notices, "\n"), "the trusted CA of secret roots in revision 1 is not valid after") {
			err = fmt.Errorf("it says %q", f.Notices)
		}
		return err
	})
	if w.logged("fleet.yaml:") == 0 || w.logged("this trusted CA is not valid after") != 1 {
		t.Error("the save did not say so")
	}
}
