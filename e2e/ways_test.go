package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

const (
	proxyProtocol = `
      listener_filters:
        - {name: pp, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol%s}}`
	inspector = `
      listener_filters:
        - {name: tls, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}}`
	network = `
            - {name: before, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.%s}}`
	elsewhere = "{policies: {lan: {permissions: [{any: true}], principals: [{remote_ip: {address_prefix: 10.0.0.0, prefix_len: 8}}]}}}"
)

// A way is a listener that connections are made to otherwise than in plain text, or not by all.
type way struct {
	name            string
	listener, chain string // more of the listener, and of its filter chain
	network, http   string // filters before that of HTTP, and before the fleet's
	manager         string // fields of the HTTP connection manager
	why             string // why the checks can't be asked through it; "" where they can
}

func waysOf(t *testing.T) []way {
	chain, key := certificate(t, 0)
	tls := func(more, common string) string {
		return fmt.Sprintf(`
          transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              %s
              common_tls_context:
                %s
                tls_certificates: [{certificate_chain: {inline_string: %q}, private_key: {inline_string: %q}}]`, more, common, chain, key)
	}
	return []way{
		{name: "TLS", chain: tls("", "")},
		{name: "TLS 1.3 by name and HTTP 2 only", listener: inspector, chain: "\n          filter_chain_match: {server_names: ['*.example.com', localhost]}" +
			tls("require_sni: true", "tls_params: {tls_minimum_protocol_version: TLSv1_3}\n                alpn_protocols: [h2]"), manager: "codec_type: HTTP2"},
		{name: "TLS 1.2 by protocol with one cipher", listener: inspector, chain: "\n          filter_chain_match: {application_protocols: [h2]}" +
			tls("", "tls_params: {tls_maximum_protocol_version: TLSv1_2, cipher_suites: [ECDHE-ECDSA-AES256-GCM-SHA384]}\n                alpn_protocols: [h2, http/1.1]")},
		{name: "PROXY protocol", listener: fmt.Sprintf(proxyProtocol, "")},
		{name: "PROXY protocol and TLS", listener: fmt.Sprintf(proxyProtocol, ""), chain: tls("", "")},
		{name: "PROXY protocol of version 1", listener: fmt.Sprintf(proxyProtocol, ", disallowed_versions: [V2]"), why: "in version 1 only"},
		{name: "mutual TLS", chain: tls("require_client_certificate: true", "validation_context: {trusted_ca: {inline_string: "+fmt.Sprintf("%q", chain)+"}}"), why: "mutual TLS"},
		{name: "a CA for clients that have a certificate", chain: tls("", "validation_context: {trusted_ca: {inline_string: "+fmt.Sprintf("%q", chain)+"}}")},
		{name: "names of clients", chain: tls("", "validation_context: {trusted_ca: {inline_string: "+fmt.Sprintf("%q", chain)+
			"}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: client}}]}"), why: "match_typed_subject_alt_names"},
		{name: "clients of a network", chain: "\n          filter_chain_match: {source_prefix_ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]}", why: "source_prefix_ranges"},
		{name: "a network's RBAC", network: "rbac.v3.RBAC, stat_prefix: a, rules: " + elsewhere, why: "it lets no connection in"},
		{name: "an RBAC of HTTP", http: `{name: web, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC, rules: ` + elsewhere + "}}", why: "refuses all requests"},
		{name: "a limit of connections", network: "local_ratelimit.v3.LocalRateLimit, stat_prefix: a, token_bucket: {max_tokens: 1, fill_interval: 60s}", why: "it limits connections"},
		{name: "a service that says who may connect", network: "ext_authz.v3.ExtAuthz, stat_prefix: a, grpc_service: {envoy_grpc: {cluster_name: echo}}", why: "it asks another service"},
	}
}

// wayYAML is a fleet whose listener is such a one.
func (w *world) wayYAML(l way, o fleetOptions) []byte {
	o.Checks, o.Rollout = checks, "{prove: 300ms, stages: [{name: all, percent: 100, bake: 500ms}]}"
	text := string(w.fleetYAML(o))
	insert := func(before, what string) {
		at := strings.Index(text, before)
		text = text[:at] + what + text[at:]
	}
	if l.network != "" {
		insert("\n            - name: envoy.filters.network.http_connection_manager", fmt.Sprintf(network, l.network))
	}
	if l.chain != "" {
		text = strings.Replace(text, "        - filters:", "        - "+strings.TrimSpace(l.chain)+"\n          filters:", 1)
	}
	if l.listener != "" {
		insert("\n      filter_chains:", l.listener)
	}
	if l.manager != "" {
		insert("\n                stat_prefix:", "\n                "+l.manager)
	}
	if l.http != "" {
		insert("\n                  - name: envoy.filters.http.router", "\n                  - "+l.http)
	}
	return []byte(text)
}

// A good filter is served whichever way its listener is connected to: where the proxy can't ask
// the checks through it, that is said, and is no evidence, of a first revision or a later one.
func TestListenersAreAskedTheirWay(t *testing.T) {
	t.Parallel()
	for _, l := range waysOf(t) {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.begins(w.wayYAML(l, fleetOptions{}), gate(t, 1))
			p := w.startProxy("edge-0")
			for n := 1; n <= 2; n++ {
				save(t, w.module, gate(t, n))
				w.fleetIs(fmt.Sprintf("revision %d is served, or rejected", n), func(f api.Fleet) bool { return f.Serving.Number == n || len(f.Rejected) > 0 })
				w.noneRejected()
			}
			if f, err := w.onlyFleet(); err != nil || strings.Contains(strings.Join(f.Unproven, "\n"), "listener ingress: ") != (l.why != "") || !strings.Contains(strings.Join(f.Unproven, "\n"), l.why) {
				t.Errorf("of what is not proven is said %q, %v; want %q", f.Unproven, err, l.why)
			}
			select {
			case <-p.Done():
				t.Errorf("the proxy has ended: %v", p.Err())
			default:
			}
		})
	}
}

// Through a listener that can be asked a fault is found: that the checks hold there says something.
func TestFaultIsFoundTheListenersWay(t *testing.T) {
	t.Parallel()
	for _, l := range waysOf(t) {
		if l.why != "" {
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.NoPreflight = true
			w.begins(w.wayYAML(l, fleetOptions{NoShadow: true}), allowsAll(t))
			w.startProxy("edge-0")
			if r := w.rejection(0); !strings.Contains(r.Reason, "it was answered 200") {
				t.Errorf("rejected: %s", r.Reason)
			}
		})
	}
}
