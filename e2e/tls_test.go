package e2e

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crypto/tls"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/certs"
	"github.com/waxwing-xds/waxwing/internal/envoy"
)

// secured is a world whose xDS port speaks mutual TLS, with certificates of its own. The
// default of who may claim what holds.
func secured(t *testing.T, nodes ...string) *world {
	t.Helper()
	w := newWorld(t)
	w.makeCerts(certs.Options{Nodes: nodes})
	at := func(name string) string { return filepath.Join(certs.ServerDir(w.certs()), name) }
	w.Flags = []string{"--tls-cert", at(certs.CertFile), "--tls-key", at(certs.KeyFile), "--client-ca", at(certs.CAFile)}
	return w
}

func (w *world) certs() string { return filepath.Join(w.dir, "certs") }

func (w *world) makeCerts(o certs.Options) {
	w.t.Helper()
	o.Dir, o.Days, o.Now = w.certs(), 90, time.Now()
	if _, err := certs.Make(o); err != nil {
		w.t.Fatal(err)
	}
}

// securedProxies run, each with its certificate, until each serves.
func (w *world) securedProxies(nodes ...string) (all []*proxy) {
	w.t.Helper()
	for _, node := range nodes {
		p := w.newProxy(node)
		p.options.TLS = certs.ProxyDir(w.certs(), node)
		p.start()
		all = append(all, p)
	}
	for _, p := range all {
		p.serves(w.servingRevision(len(nodes)))
	}
	return all
}

// serial is that of a certificate, as Envoy's admin interface writes it.
func (w *world) serial(dir string) string {
	w.t.Helper()
	c, err := tls.LoadX509KeyPair(filepath.Join(dir, certs.CertFile), filepath.Join(dir, certs.KeyFile))
	if err != nil {
		w.t.Fatal(err)
	}
	return hex.EncodeToString(c.Leaf.SerialNumber.Bytes())
}

// took waits until an Envoy has taken the certificate and the authorities of its folder.
func (p *proxy) took() {
	p.w.t.Helper()
	want := p.w.serial(p.options.TLS)
	authorities := strings.Count(string(read(p.w.t, filepath.Join(p.options.TLS, certs.CAFile))), "BEGIN")
	p.w.eventually(p.Node+" has taken its new certificate", func() error {
		text, err := p.w.get("http://" + p.admin + "/certs")
		if err != nil {
			return err
		}
		if !strings.Contains(text, want) {
			return fmt.Errorf("no certificate %s in %s", want, text)
		}
		if got := strings.Count(text, `"ca_cert": [`); got == 0 || authorities == 0 {
			return errors.New("no authority")
		}
		return nil
	})
}

// connectedSince is when each proxy has connected.
func (w *world) connectedSince() map[string]time.Time {
	w.t.Helper()
	status, err := w.status()
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]time.Time{}
	for _, p := range status.Proxies {
		out[p.Node] = p.Connected
		if len(p.Missing) > 0 || p.Streams != 1 {
			w.t.Errorf("%s lacks %q, and has %d streams", p.Node, p.Missing, p.Streams)
		}
	}
	return out
}

// portIs waits until the xDS port is so.
func (w *world) portIs(what string, so func(api.Port) bool) {
	w.t.Helper()
	w.eventually(what, func() error {
		status, err := w.status()
		if err == nil && (status.Port == nil || !so(*status.Port)) {
			err = fmt.Errorf("%s", asJSON(status.Port))
		}
		return err
	})
}

// Certificates of server, proxies and CA are rotated in turn under load: no request fails, no
// stream is lost but those of the CA that is given up, and filters are shipped as before.
func TestCertificatesRotate(t *testing.T) {
	t.Parallel()
	nodes := []string{"edge-0", "edge-1", "edge-2", "edge-3", "edge-4"}
	w := secured(t, nodes...)
	w.begins(w.fleetYAML(fleetOptions{}), gate(t, 0))
	proxies := w.securedProxies(nodes...)
	l := w.startLoad(proxies, 1, "x-build")
	for _, p := range proxies {
		p.is("it has all its streams", func(s api.Proxy) bool { return len(s.Missing) == 0 })
	}
	before := w.connectedSince()
	same := func(step string) {
		t.Helper()
		for node, since := range w.connectedSince() {
			if !since.Equal(before[node]) {
				t.Errorf("%s: the stream of %s was lost", step, node)
			}
		}
	}
	serial := w.serial(certs.ServerDir(w.certs()))
	w.makeCerts(certs.Options{Rotate: certs.Rotation{Server: true}})
	if w.serial(certs.ServerDir(w.certs())) == serial {
		t.Fatal("the server's certificate is the same")
	}
	w.eventually("the server has a new certificate", func() error { return w.loggedOnce("the xDS port has a new certificate") })
	same("server")
	w.makeCerts(certs.Options{Rotate: certs.Rotation{Proxies: true}})
	for _, p := range proxies {
		p.took()
	}
	same("proxies")
	w.makeCerts(certs.Options{Rotate: certs.Rotation{CA: true}})
	w.portIs("both CAs are in use", func(p api.Port) bool { return len(p.Certificates) == 3 })
	same("CA")
	w.makeCerts(certs.Options{Rotate: certs.Rotation{Server: true, Proxies: true}})
	for _, p := range proxies {
		p.took()
	}
	same("what the new CA has issued")

	// By design: who was let in by the old CA comes back with what the new one has issued.
	w.makeCerts(certs.Options{RetireCA: true})
	begun := time.Now()
	w.portIs("the old CA is gone", func(p api.Port) bool { return len(p.Certificates) == 2 && p.Refused["revoked"] >= int64(len(nodes)) })
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the streams of the old CA were ended after %v, want at most 10 s", took)
	}
	for _, p := range proxies {
		p.is("back", func(s api.Proxy) bool { return s.State == api.ProxyServing && s.Connected.After(before[p.Node]) })
	}
	save(t, w.module, gate(t, 1))
	l.reaches(build(1))
	l.unharmed(t)
	for _, p := range proxies {
		p.guards()
	}
	for _, reason := range []string{"untrusted", "expired", "other_node", "unmapped", "no_certificate"} {
		w.portIs("nobody was refused", func(p api.Port) bool { return p.Refused[reason] == 0 })
	}
}

// loggedOnce is nil once the server has logged something.
func (w *world) loggedOnce(what string) error {
	if w.logged(what) == 0 {
		return fmt.Errorf("the log has no %q", what)
	}
	return nil
}

// An Envoy with a certificate of another CA, or of another node, gets nothing, and says why; one
// with its own is served meanwhile, by both variants.
func TestMutualTLS(t *testing.T) {
	worlds(t, func(t *testing.T, plain *world) {
		w := secured(t, "edge-0", "edge-1")
		w.Variant = plain.Variant
		w.begins(w.fleetYAML(fleetOptions{}), gate(t, 0))
		good := w.securedProxies("edge-0")[0]
		thief := w.newProxy("edge-1")
		thief.options.TLS = certs.ProxyDir(w.certs(), "edge-0")
		thief.start()
		w.portIs("it is refused", func(p api.Port) bool { return p.Refused["other_node"] > 0 })
		strange := w.newProxy("edge-1")
		other := filepath.Join(w.dir, "other")
		if _, err := certs.Make(certs.Options{Dir: other, Days: 1, Nodes: []string{"edge-1"}, Now: time.Now()}); err != nil {
			t.Fatal(err)
		}
		strange.options.TLS = certs.ProxyDir(other, "edge-1")
		write(t, filepath.Join(strange.options.TLS, certs.CAFile), read(t, filepath.Join(w.certs(), certs.CAFile))) // it trusts the server
		must(t, os.Mkdir(filepath.Join(w.dir, "strange"), 0o700))
		strange.start(func(o *envoy.Options) { o.Dir = filepath.Join(w.dir, "strange") })
		w.portIs("it is refused", func(p api.Port) bool { return p.Refused["untrusted"] > 0 })
		for _, p := range []*proxy{thief, strange} {
			if n := p.stat("^listener_manager.listener_added$"); n != 0 {
				t.Errorf("%s has %d listeners", p.Node, n)
			}
		}
		good.is("it has all its streams", func(s api.Proxy) bool { return len(s.Missing) == 0 })
		if len(w.connectedSince()) != 1 {
			t.Error("another has connected")
		}
		good.guards()
	})
}
