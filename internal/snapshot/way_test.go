package snapshot

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/proxy_protocol/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"go.yaml.in/yaml/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A chain of a listener, and what may be put into it.
const (
	extension  = `"@type": type.googleapis.com/envoy.extensions.`
	tlsContext = `transport_socket: {name: tls, typed_config: {` + extension + `transport_sockets.tls.v3.DownstreamTlsContext, `
	manager    = `{name: hcm, typed_config: {` + extension + `filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: a, HCM
      http_filters: [BEFORE {name: gate, config_discovery: {config_source: {ads: {}}, type_urls: [x]}}]}}`
	filters = `filters: [` + manager + `]`
	wanted  = `listener_filters: [{name: pp, typed_config: {` + extension + `filters.listener.proxy_protocol.v3.ProxyProtocol, MORE}}]`
	inspect = `listener_filters: [{name: tls, typed_config: {` + extension + `filters.listener.tls_inspector.v3.TlsInspector}}]
`
	rbac = `{name: lan, typed_config: {` + extension + `filters.network.rbac.v3.RBAC, stat_prefix: a, rules: {action: ALLOW, policies: {lan: {permissions: [{any: true}], principals: [PRINCIPAL]}}}}}`
)

func listenerOf(t *testing.T, text string) *listenerv3.Listener {
	t.Helper()
	if !strings.Contains(text, "address:") {
		text = "address: {socket_address: {address: 0.0.0.0, port_value: 80}}\n" + text
	}
	for _, mark := range []string{"HCM", "BEFORE", ", MORE"} {
		text = strings.ReplaceAll(text, mark, "")
	}
	var document any
	if err := yaml.Unmarshal([]byte("name: ingress\n"+text), &document); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return fromYAML(t, document)
}

func fromYAML(t *testing.T, document any) *listenerv3.Listener {
	t.Helper()
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	l := &listenerv3.Listener{}
	if err := protojson.Unmarshal(text, l); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return l
}

// onDemand is a transport socket whose certificate is fetched by the name that a mapper makes.
func onDemand(mapper string) string {
	return tlsContext + "common_tls_context: {custom_tls_certificate_selector: {name: a, typed_config: {" + extension +
		"transport_sockets.tls.cert_selectors.on_demand_secret.v3.Config, config_source: {ads: {}}, certificate_mapper: {name: a, typed_config: {" +
		extension + "transport_sockets.tls.cert_mappers." + mapper + "}}}}}}}, "
}

// inspectsClients is a filter chain that speaks TLS with a common context.
func inspectsClients(context string) string {
	return "filter_chains: [{" + tlsContext + "common_tls_context: {" + context + "}}}, " + filters + "}]"
}

// gated is a snapshot with the filter "gate", and a certificate "c.d".
func gated(t *testing.T) *Snapshot {
	t.Helper()
	r, err := newResource(resource.ExtensionConfigType, "gate", &corev3.TypedExtensionConfig{Name: "gate"})
	if err != nil {
		t.Fatal(err)
	}
	r.module = "m"
	s := &Snapshot{types: map[string]*collection{}}
	s.add(r)
	for name, secret := range map[string]*tlsv3.Secret{
		"c.d": {Name: "c.d", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{}}},
		"ca":  {Name: "ca", Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{}}},
		"names": {Name: "names", Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{SanType: tlsv3.SubjectAltNameMatcher_DNS}},
		}}},
		"a.tick": {Name: "a.tick", Type: &tlsv3.Secret_SessionTicketKeys{SessionTicketKeys: &tlsv3.TlsSessionTicketKeys{}}},
	} {
		if r, err = newResource(resource.SecretType, name, secret); err != nil {
			t.Fatal(err)
		}
		s.add(r)
	}
	return s
}

// How each kind of listener is asked by the proxy itself, or why it can't be.
func TestWays(t *testing.T) {
	s := gated(t)
	for _, c := range []struct{ name, listener, want string }{
		{"plain", "filter_chains: [{" + filters + "}]", "ingress: plain"},
		{"HTTP/2 only", "filter_chains: [{" + strings.Replace(filters, "HCM", "codec_type: HTTP2,", 1) + "}]", "ingress: plain h2"},
		{"TLS", "filter_chains: [{" + tlsContext + "common_tls_context: {}}}, " + filters + "}]", "ingress: TLS http/1.1"},
		{"TLS, HTTP/2 only", "filter_chains: [{" + tlsContext + "common_tls_context: {alpn_protocols: [h2]}}}, " + filters + "}]", "ingress: TLS h2, spoken"},
		{"TLS by name", inspect + "filter_chains: [{filter_chain_match: {server_names: ['*.a.b', c.d]}, " + tlsContext + "common_tls_context: {}}}, " + filters + "}]", "ingress: TLS http/1.1 for waxwing.a.b"},
		{"TLS by name that nobody looks at", "filter_chains: [{filter_chain_match: {server_names: [c.d]}, " + tlsContext + "common_tls_context: {}}}, " + filters + "}]", "ingress: not: no connection meets its filter chain, which is chosen by what is said in TLS"},
		{"a certificate by name", "filter_chains: [{" + onDemand("sni.v3.SNI, default_value: nobody") + filters + "}]", "ingress: TLS http/1.1 for c.d"},
		{"a certificate for those without a name", "filter_chains: [{" + onDemand("sni.v3.SNI, default_value: c.d") + filters + "}]", "ingress: TLS http/1.1"},
		{"one certificate", "filter_chains: [{" + onDemand("static_name.v3.StaticName, name: c.d") + filters + "}]", "ingress: TLS http/1.1"},
		{"one certificate that is none", "filter_chains: [{" + onDemand("static_name.v3.StaticName, name: a.tick") + filters + "}]", "ingress: not: which certificate a connection gets"},
		{"a certificate by what is not known", "filter_chains: [{" + onDemand("filter_state_override.v3.Config, default_value: c.d") + filters + "}]", "ingress: not: which certificate a connection gets"},
		{"a certificate by name, for another", inspect + "filter_chains: [{filter_chain_match: {server_names: [e.f]}, " + onDemand("sni.v3.SNI, default_value: c.d") + filters + "}]", "ingress: not: which certificate a connection gets"},
		{"TLS that wants a name", "filter_chains: [{" + tlsContext + "require_sni: true, common_tls_context: {tls_params: {tls_minimum_protocol_version: TLSv1_3}}}}, " + filters + "}]", "ingress: TLS http/1.1 from TLSv1_3 for waxwing.check"},
		{"TLS by protocol", inspect + "filter_chains: [{filter_chain_match: {application_protocols: [h2]}, " + tlsContext + "common_tls_context: {}}}, " + filters + "}]", "ingress: TLS h2, spoken"},
		{"TLS or not", inspect + "filter_chains: [{filter_chain_match: {transport_protocol: tls}, " + tlsContext + "common_tls_context: {}}}, " + filters + "}, {" + strings.Replace(filters, "stat_prefix: a", "stat_prefix: b", 1) + "}]",
			"ingress, filter chain #1: TLS http/1.1; ingress, filter chain #2: plain"},
		{"a tap around TLS", "filter_chains: [{transport_socket: {name: tap, typed_config: {" + extension + "transport_sockets.tap.v3.Tap, " + tlsContext + "common_tls_context: {}}}}}, " + filters + "}]", "ingress: TLS http/1.1"},
		{"PROXY protocol", wanted + "\nfilter_chains: [{" + filters + "}]", "ingress: PROXY plain"},
		{"PROXY protocol and TLS", wanted + "\nfilter_chains: [{" + tlsContext + "common_tls_context: {}}}, " + filters + "}]", "ingress: PROXY TLS http/1.1"},
		{"PROXY protocol where it is there", strings.Replace(wanted, "MORE", "allow_requests_without_proxy_protocol: true", 1) + "\nfilter_chains: [{" + filters + "}]", "ingress: plain"},
		{"PROXY protocol of the first version", strings.Replace(wanted, "MORE", "disallowed_versions: [V2]", 1) + "\nfilter_chains: [{" + filters + "}]", "ingress: not: listener filter \"pp\": it takes the PROXY protocol in version 1 only"},
		{"mutual TLS", "filter_chains: [{" + tlsContext + "require_client_certificate: true, common_tls_context: {}}}, " + filters + "}]", "ingress: not: it wants a certificate of its clients"},
		{"a CA for those that have a certificate", inspectsClients("validation_context: {trusted_ca: {inline_string: a}}"), "ingress: TLS http/1.1"},
		{"names of clients", inspectsClients("validation_context: {match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: a}}]}"), "ingress: not: it wants a certificate of its clients (mutual TLS: match_typed_subject_alt_names in"},
		{"names of clients, whoever says so", inspectsClients("validation_context: {trust_chain_verification: ACCEPT_UNTRUSTED, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: a}}]}"), "ingress: TLS http/1.1"},
		{"certificates of clients", inspectsClients("validation_context: {verify_certificate_hash: [a]}"), "ingress: not: it wants a certificate of its clients (mutual TLS: verify_certificate_hash"},
		{"keys of clients", inspectsClients("validation_context: {verify_certificate_spki: [a]}"), "ingress: not: it wants a certificate of its clients (mutual TLS: verify_certificate_spki"},
		{"SPIFFE", inspectsClients("validation_context: {trust_chain_verification: ACCEPT_UNTRUSTED, custom_validator_config: {name: envoy.tls.cert_validator.spiffe}}"), "ingress: not: it wants a certificate of its clients (mutual TLS: custom_validator_config"},
		{"names of clients by SDS", inspectsClients("validation_context_sds_secret_config: {name: names, sds_config: {ads: {}}}"), "ingress: not: it wants a certificate of its clients (mutual TLS: match_typed"},
		{"a CA by SDS", inspectsClients("validation_context_sds_secret_config: {name: ca, sds_config: {ads: {}}}"), "ingress: TLS http/1.1"},
		{"a CA by SDS, and names beside it", inspectsClients("combined_validation_context: {default_validation_context: {verify_certificate_spki: [a]}, validation_context_sds_secret_config: {name: ca, sds_config: {self: {}}}}"), "ingress: not: it wants a certificate of its clients (mutual TLS: verify_certificate_spki"},
		{"names by SDS, and a CA beside it", inspectsClients("combined_validation_context: {default_validation_context: {trusted_ca: {inline_string: a}}, validation_context_sds_secret_config: {name: names, sds_config: {ads: {}}}}"), "ingress: not: it wants a certificate of its clients (mutual TLS: match_typed"},
		{"names by SDS, whoever says so", inspectsClients("combined_validation_context: {default_validation_context: {trust_chain_verification: ACCEPT_UNTRUSTED}, validation_context_sds_secret_config: {name: names, sds_config: {ads: {}}}}"), "ingress: TLS http/1.1"},
		{"a context of the host", inspectsClients("validation_context_sds_secret_config: {name: ca, sds_config: {path_config_source: {path: /a}}}"), "ingress: not: it wants a certificate of its clients (mutual TLS, perhaps"},
		{"ALTS", "filter_chains: [{transport_socket: {name: alts, typed_config: {" + extension + "transport_sockets.alts.v3.Alts, handshaker_service: a}}, " + filters + "}]", "ingress: not: its connections have a transport socket by which"},
		{"a network of clients", "filter_chains: [{filter_chain_match: {source_prefix_ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]}, " + filters + "}]", "ingress: not: its filter chain is for clients of other addresses"},
		{"a network that the proxy is of", "filter_chains: [{filter_chain_match: {source_prefix_ranges: [{address_prefix: 127.0.0.0, prefix_len: 8}]}, " + filters + "}]", "ingress: plain"},
		{"clients of other hosts", "filter_chains: [{filter_chain_match: {source_type: EXTERNAL}, " + filters + "}]", "ingress: not: its filter chain is for clients of other hosts"},
		{"users, and others", "filter_chains: [{filter_chain_match: {direct_source_prefix_ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]}, " + filters + "}]\ndefault_filter_chain: {" + strings.Replace(filters, "stat_prefix: a", "stat_prefix: b", 1) + "}",
			"ingress, filter chain default: plain; ingress, filter chain #1: not: its filter chain is for clients of other addresses"},
		{"RBAC for others", "filter_chains: [{filters: [" + strings.Replace(rbac, "PRINCIPAL", "{direct_remote_ip: {address_prefix: 10.0.0.0, prefix_len: 8}}", 1) + ", " + manager + "]}]", "ingress: not: its network filter \"lan\": it lets no connection in"},
		{"RBAC for all but others", "filter_chains: [{filters: [" + strings.Replace(rbac, "PRINCIPAL", "{not_id: {remote_ip: {address_prefix: 10.0.0.0, prefix_len: 8}}}", 1) + ", " + manager + "]}]", "ingress: plain"},
		{"RBAC by certificate", "filter_chains: [{filters: [" + strings.Replace(rbac, "PRINCIPAL", "{authenticated: {}}", 1) + ", " + manager + "]}]", "ingress: not: its network filter \"lan\": it lets no connection in"},
		{"RBAC by what is not known", "filter_chains: [{filters: [" + strings.Replace(rbac, "PRINCIPAL", "{metadata: {filter: a, path: [{key: a}], value: {present_match: true}}}", 1) + ", " + manager + "]}]", "ingress: not: its network filter \"lan\": whether it lets"},
		{"RBAC of HTTP for others", "filter_chains: [{" + strings.Replace(filters, "BEFORE", `{name: web, typed_config: {`+extension+`filters.http.rbac.v3.RBAC, rules: {action: ALLOW, policies: {lan: {permissions: [{any: true}], principals: [{direct_remote_ip: {address_prefix: 10.0.0.0, prefix_len: 8}}]}}}}},`, 1) + "}]", "ingress: not: its HTTP filter \"web\" refuses"},
		{"a limit", "filter_chains: [{filters: [{name: limit, typed_config: {" + extension + "filters.network.connection_limit.v3.ConnectionLimit, stat_prefix: a, max_connections: 5}}, " + manager + "]}]", "ingress: not: its network filter \"limit\": it limits"},
		{"a matcher", "filter_chain_matcher: {}\nfilter_chains: [{" + filters + "}]", "ingress: not: its filter_chain_matcher"},
		{"alike", inspect + "filter_chains: [{filter_chain_match: {server_names: [a]}, " + tlsContext + "common_tls_context: {}}}, " + filters + "}, {filter_chain_match: {server_names: [b]}, " + tlsContext + "common_tls_context: {}}}, " + filters + "}]", "ingress, filter chain a: TLS http/1.1 for a"},
		{"alike in why", inspect + "filter_chains: [{filter_chain_match: {server_names: [a]}, " + tlsContext + "require_client_certificate: true}}, " + filters + "}, {filter_chain_match: {server_names: [b]}, " + tlsContext + "require_client_certificate: true}}, " + filters + "}]", "ingress, filter chain a (and 1 more): not: it wants"},
	} {
		var got []string
		for _, e := range s.ways(listenerOf(t, c.listener)) {
			got = append(got, e.Way()+": "+wayText(t, e))
		}
		if text := strings.Join(got, "; "); !strings.HasPrefix(strings.ReplaceAll(text, "not: its listener", "not: listener"), c.want) || !strings.Contains(c.want, "not: ") && text != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, text, c.want)
		}
	}
}

func wayText(t *testing.T, e Entry) string {
	t.Helper()
	if e.Why != "" {
		return "not: " + e.Why
	}
	socket, text := e.Socket, ""
	if socket != nil {
		if err := socket.Validate(); err != nil {
			t.Error(err)
		}
		if p, is := fleet.Content(socket.GetTypedConfig()).(*proxyprotocolv3.ProxyProtocolUpstreamTransport); is {
			text, socket = "PROXY ", p.GetTransportSocket()
		}
	}
	if tls, is := fleet.Content(socket.GetTypedConfig()).(*tlsv3.UpstreamTlsContext); is {
		params := tls.GetCommonTlsContext().GetTlsParams()
		text += "TLS " + strings.Join(tls.GetCommonTlsContext().GetAlpnProtocols(), " ")
		if e.HTTP2 {
			text += ", spoken"
		}
		if at := params.GetTlsMinimumProtocolVersion(); at != tlsv3.TlsParameters_TLS_AUTO {
			text += " from " + at.String()
		}
		if params.GetTlsMaximumProtocolVersion() != tlsv3.TlsParameters_TLSv1_3 {
			text += fmt.Sprintf(" to %s", params.GetTlsMaximumProtocolVersion())
		}
		if tls.GetSni() != "" {
			text += " for " + tls.GetSni()
		}
		return text
	}
	text += "plain"
	if e.HTTP2 {
		text += " h2"
	}
	return text
}

// Each type that turns connections away is one of Envoy's.
func TestTurnAwayIsEnvoys(t *testing.T) {
	for kind := range TurnAway {
		if _, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(kind)); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
