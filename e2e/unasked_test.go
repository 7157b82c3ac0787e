package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/bootstrap"
)

// internalListeners is the extension of a bootstrap without which an Envoy has none.
const internalListeners = `
bootstrap_extensions:
  - name: envoy.bootstrap.internal_listener
    typed_config: {"@type": type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener}
`

// oddListeners are listeners that are not a TCP port of the proxy's host, each with what
// is said of why its filter can't be asked the checks through it; "" where it can.
func oddListeners(t *testing.T, w *world) []struct{ name, text, why string } {
	chain, key := certificate(t, 0)
	return []struct{ name, text, why string }{
		{"ingress", "address: {socket_address: {address: 127.0.0.1, port_value: 1}}", ""},
		{"internal", "internal_listener: {}", "it is internal"},
		{"unix", "address: {pipe: {path: " + filepath.Join(w.dir, "s") + ", mode: 384}}", ""},
		{"abstract", "address: {pipe: {path: '@" + filepath.Base(w.dir) + "-" + w.listen + "'}}", ""},
		{"unbound", "bind_to_port: false\n      address: {socket_address: {address: 127.0.0.1, port_value: 2}}", "it binds no port"},
		{"any-port", "address: {socket_address: {address: 127.0.0.1, port_value: 0}}", "its port is one that the proxy chooses"},
		{"both-stacks", "address: {socket_address: {address: '::', ipv4_compat: true, port_value: " + port(t) + "}}\n" +
			"      additional_addresses: [{address: {socket_address: {address: 127.0.0.2, port_value: " + port(t) + "}}}]", ""},
		{"quic", "udp_listener_config: {quic_options: {}}\n" +
			"      address: {socket_address: {protocol: UDP, address: 127.0.0.1, port_value: " + port(t) + "}}|" + fmt.Sprintf(`
          transport_socket:
            name: envoy.transport_sockets.quic
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport
              downstream_tls_context:
                common_tls_context:
                  tls_certificates: [{certificate_chain: {inline_string: %q}, private_key: {inline_string: %q}}]
`, chain, key), "it speaks UDP or QUIC"},
	}
}

func port(t *testing.T) string {
	t.Helper()
	_, port, _ := strings.Cut(freeAddress(t), ":")
	return port
}

// oddYAML is a fleet of the first n of them.
func (w *world) oddYAML(n int) []byte {
	fleet := string(w.fleetYAML(fleetOptions{Checks: checks, Rollout: strings.Replace(straight, "bake: 0s", "bake: 500ms", 1)}))
	head, rest, _ := strings.Cut(fleet, "    - name: ingress\n")
	one, tail, _ := strings.Cut(rest, "  clusters:")
	var names []string
	for _, l := range w.odd[:n] {
		names = append(names, l.name)
		where, transport, _ := strings.Cut(l.text, "|")
		text := strings.Replace(one, "address: {socket_address: {address: 127.0.0.1, port_value: 1}}", where, 1) + strings.TrimPrefix(transport, "\n")
		if l.name == "quic" {
			text = strings.Replace(text, "stat_prefix: ingress", "stat_prefix: ingress\n                codec_type: HTTP3", 1)
		}
		head += "    - name: " + l.name + "\n" + text
	}
	return []byte(strings.Replace(head, "listeners: [ingress]", "listeners: ["+strings.Join(names, ", ")+"]", 1) + "  clusters:" + tail)
}

// A listener of any kind is served. What can't be asked through it is said to be
// unproven, with the reason, and the proxy lives: a health check to such an address would
// make it abort.
func TestListenersOfAnyKind(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		w.Bootstrap = internalListeners
		w.odd = oddListeners(t, w)
		w.begins(w.oddYAML(1), gate(t, 1))
		p := w.startProxy("edge-0", func(o *bootstrap.Options) { o.Listen["internal"] = "127.0.0.1:1" })
		p.serves(w.revisionAfter(1))
		stop := usersEitherWay(p)
		for n := 2; n <= len(w.odd); n++ {
			save(t, w.fleet, w.oddYAML(n))
			p.serves(w.revisionAfter(n))
		}
		save(t, w.module, gate(t, 2))
		p.serves(w.revisionAfter(len(w.odd) + 1))
		for _, path := range []string{filepath.Join(w.dir, "s"), "@" + filepath.Base(w.dir) + "-" + w.listen} {
			if got, err := askSocket(path); err != nil || got != 200 {
				t.Errorf("%s answers %d, %v", path, got, err)
			}
		}
		asked, wrong := stop()
		t.Logf("%d of %d requests failed", len(wrong), asked)
		if len(wrong) > 0 {
			t.Errorf("the first: %s", wrong[0])
		}
		select {
		case <-p.Done():
			t.Errorf("the proxy has ended: %v", p.Err())
		default:
		}
		w.saysUnproven()
	})
}

// saysUnproven checks what the status says of the listeners.
func (w *world) saysUnproven() {
	f, err := w.onlyFleet()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, l := range w.odd {
		said := slices.IndexFunc(f.Unproven, func(s string) bool { return strings.Contains(s, "listener "+l.name+": ") })
		if (said >= 0) != (l.why != "") || said >= 0 && !strings.Contains(f.Unproven[said], l.why) {
			w.t.Errorf("of listener %s is said %q, want %q", l.name, f.Unproven, l.why)
		}
	}
}

// askSocket asks a Unix socket.
func askSocket(path string) (int, error) {
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
		DisableKeepAlives: true,
	}}
	req, err := http.NewRequest(http.MethodGet, "http://socket/", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Token", "32323")
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, errors.Join(resp.Body.Close())
}
