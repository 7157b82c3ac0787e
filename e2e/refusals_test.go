package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// refusalWords stand for what is the same in many cases of testdata/refusals*.txt.
var refusalWords = map[string]string{
	"ADDRESS":  `{socket_address: {address: 127.0.0.1, port_value: 0}}`,
	"UDP":      `{socket_address: {address: 127.0.0.1, port_value: 0, protocol: 1}}`, // UDP
	"ECHO":     `{name: echo, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}}`,
	"TCP":      `{name: tcp, typed_config: {"@type": TYPE/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: x, cluster: a}}`,
	"ROUTER":   `{name: router, typed_config: {"@type": TYPE/envoy.extensions.filters.http.router.v3.Router}}`,
	"CORS":     `{name: cors, typed_config: {"@type": TYPE/envoy.extensions.filters.http.cors.v3.Cors}}`,
	"STDOUT":   `"@type": TYPE/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog`,
	"POINT":    `{endpoint: {address: {socket_address: {address: 1.1.1.1, port_value: 80}}}}`,
	"ROUTES":   `{virtual_hosts: [{name: x, domains: ["*"]}]}`,
	"TYPE":     `type.googleapis.com`,
	"HTTP":     `"@type": TYPE/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: x`,
	"FROM":     `{path_config_source: {path: /dev/null}}`,
	"LONGEST":  strings.Repeat("b", 4096),
	"PIPE":     "/" + strings.Repeat("c", 106), // the longest that a path may be
	"ABSTRACT": "@" + strings.Repeat("c", 106),
	"INNER":    `bootstrap_extensions: [{name: envoy.bootstrap.internal_listener, typed_config: {"@type": TYPE/envoy.extensions.bootstrap.internal_listener.v3.InternalListener}}]`,
	"DATAGRAM": `listener_filters: [{name: u, typed_config: {"@type": TYPE/envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig, stat_prefix: a, matcher: {on_no_match: {action: {name: route, typed_config: {"@type": TYPE/envoy.extensions.filters.udp.udp_proxy.v3.Route, cluster: a}}}}}}]`,
	"OCT":      `{"kty": "oct", "k": "c2VjcmV0"}`,
	"JWKS":     `http_filters: [{name: f, typed_config: {"@type": TYPE/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication, providers: {a: {issuer: x, local_jwks: {inline_string: `,
	"ENDS":     `}}}}}, ROUTER]`,
	"TEMPLATE": `route_config: {virtual_hosts: [{name: x, domains: ["*"], routes: [{route: {cluster: a}, match: {path_match_policy: {name: t, typed_config: {"@type": TYPE/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig, path_template: `,
	"REWRITE":  `route_config: {virtual_hosts: [{name: x, domains: ["*"], routes: [{match: {path_match_policy: {name: t, typed_config: {"@type": TYPE/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig, path_template: "/{x}/{y=a/*}"}}}, route: {cluster: a, path_rewrite_policy: {name: t, typed_config: {"@type": TYPE/envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig, path_template_rewrite: `,
	"DONE":     `}}}}]}]}`,
}

var refusalWord = regexp.MustCompile(`\b[A-Z]{3,}\b`)

func expand(text string) string {
	for range 3 { // words in words
		text = refusalWord.ReplaceAllStringFunc(text, func(word string) string {
			if long, ok := refusalWords[word]; ok {
				return long
			}
			return word
		})
	}
	return text
}

// refusalCases reads testdata/refusals*.txt: after `== NAME` a line each of a listener, of
// an HTTP connection manager's fields, of a cluster, of the rest of the bootstrap.
func refusalCases(t *testing.T) []configuration {
	t.Helper()
	files, err := filepath.Glob("testdata/refusals*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases: ", err)
	}
	var all []configuration
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split(string(text), "\n== ")[1:] {
			name, body, _ := strings.Cut(part, "\n")
			if slices.ContainsFunc(all, func(c configuration) bool { return c.name == name }) {
				t.Fatalf("%s: a case %q is there already", file, name)
			}
			all = append(all, configuration{name, refusalCase(expand(body))})
		}
	}
	return all
}

func refusalCase(body string) string {
	cluster, rest := "{name: a}", "!ignore nothing: {}"
	listener := expand(`{name: l, address: ADDRESS, filter_chains: [{filters: [ECHO]}]}`)
	for line := range strings.SplitSeq(strings.TrimSpace(body), "\n") {
		switch kind, value, _ := strings.Cut(line, ": "); kind {
		case "cluster":
			cluster = value
		case "listener":
			listener = value
		case "rest":
			rest = value
		case "http":
			if !strings.Contains(value, "route_config") {
				value = "route_config: ROUTES, " + value
			}
			if !strings.Contains(value, "http_filters") {
				value = "http_filters: [ROUTER], " + value
			}
			listener = expand("{name: l, address: ADDRESS, filter_chains: [{filters: [{name: hcm, typed_config: {HTTP, " + value + "}}]}]}")
		}
	}
	return certificates.Replace("static_resources:\n  clusters:\n  - " + cluster + "\n  listeners:\n  - " + listener + "\n" + rest + "\n")
}

// forClients is a listener of gRPC clients, which is no place to listen at.
const forClients = `listener: {name: l, api_listener: {api_listener: {HTTP, route_config: ROUTES, http_filters: [ROUTER]}}}`

// A listener of gRPC clients is taken, with an address or without: an Envoy that is sent
// one takes it, too, and does nothing with it. In a bootstrap no Envoy of this build has
// what it is for, which is another matter.
func TestListenersOfClientsAreTaken(t *testing.T) {
	all := []configuration{{"without", refusalCase(expand(forClients))}, {"with", refusalCase(expand(strings.Replace(forClients, "name: l", "name: l, address: ADDRESS", 1)))}}
	refused, said := envoyTakes(t, all), checkTakes(t, all)
	for _, c := range all {
		if len(said[c.name]) > 0 || !strings.Contains(refused[c.name], "missing the API listener extension") {
			t.Errorf("%s an address: xds check says %v, Envoy %s", c.name, said[c.name], refused[c.name])
		}
	}
}

// What `xds check` refuses beyond the rules of Envoy's API Envoy refuses too, and what
// comes near it both take.
func TestRefusalsAreEnvoys(t *testing.T) {
	agree(t, refusalCases(t))
}
