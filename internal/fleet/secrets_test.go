package fleet

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
)

const ads = "sds_config: {ads: {}, resource_api_version: V3}"

const secretsYAML = `fleet: edge
resources:
  listeners:
    - name: ingress
      address: {socket_address: {address: 127.0.0.1, port_value: 1}}
      filter_chains:
        - filters: [{name: tcp, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: s, cluster: echo}}]
          transport_socket:
            name: tls
            typed_config:
              "@type": type.googleapis.com/xds.type.v3.TypedStruct
              type_url: type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              value:
                session_ticket_keys_sds_secret_config: {name: tickets, ` + ads + `}
                common_tls_context:
                  tls_certificate_sds_secret_configs: [{name: web, ` + ads + `}]
                  validation_context_sds_secret_config: {name: roots, sds_config: {path_config_source: {path: /roots.yaml}, resource_api_version: V3}}
  clusters:
    - name: echo
      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
          common_tls_context:
            combined_validation_context:
              default_validation_context: {}
              validation_context_sds_secret_config: {name: roots, ` + ads + `}
  secrets:
    - {name: web, tls_certificate: {certificate_chain: {filename: /web.pem}, private_key: {filename: /web.key}}}
    - {name: roots, validation_context: {trusted_ca: {filename: /roots.pem}}}
    - {name: tickets, session_ticket_keys: {keys: [{filename: /key}]}}
    - {name: password, generic_secret: {secret: {filename: /password}}}
`

// What asks for a secret by this server asks by the name that says its kind, wherever it is
// written; certificates, and what comes from elsewhere, keep their names; and what was read
// stays as it was.
func TestSecretNamesSayTheKind(t *testing.T) {
	f, all := asProxiesKnow(t, secretsYAML)
	var names, written []string
	for _, r := range all {
		if r.Kind.Secret {
			names = append(names, r.Name)
			if got := r.Kind.ForPeople(r.Name); got != strings.Split(r.Name, "@")[0] {
				t.Errorf("%s is %s for people", r.Name, got)
			}
			if r.Kind.NameOf(r.Message) != r.Name {
				t.Errorf("%s calls itself %s", r.Name, r.Kind.NameOf(r.Message))
			}
		}
		written = append(written, strings.ReplaceAll(protojson.Format(r.Message), " ", ""))
	}
	if got := strings.Join(names, " "); got != "web roots@validation_context tickets@session_ticket_keys password@generic_secret" {
		t.Errorf("the secrets are %s", got)
	}
	for name, want := range map[string]int{`"name":"web"`: 2, `"name":"tickets@session_ticket_keys"`: 2, `"name":"roots@validation_context"`: 2, `"name":"roots"`: 1} {
		if got := strings.Count(strings.Join(written, "\n"), name); got != want {
			t.Errorf("%d times %s, want %d:\n%s", got, name, want, strings.Join(written, "\n"))
		}
	}
	for i, r := range f.Resources {
		if strings.Contains(r.Name+protojson.Format(r.Message), "@validation") {
			t.Errorf("what was read has changed: resource %d is %s", i, r.Name)
		}
	}
}
