package fleet

import (
	"fmt"
	"testing"

	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"

	"go.yaml.in/yaml/v3"
)

// ownHosts are virtual hosts that answer in each of the ways there are; routes are those of the
// host that a check comes to which says nothing of it.
const ownHosts = `
                  virtual_hosts:
                    - {name: moved, domains: [moved.example], routes: [{match: {prefix: /}, redirect: {host_redirect: a}}]}
                    - {name: safe, domains: ["*.safe.example"], require_tls: ALL, routes: [{match: {prefix: /}, route: {cluster: echo}}]}
                    - {name: outside, domains: [outside.example], require_tls: EXTERNAL_ONLY, routes: [{match: {path: /a}, route: {cluster: echo}}]}
                    - {name: tree, domains: [tree.example], matcher: {on_no_match: {action: {name: r, typed_config: {"@type": type.googleapis.com/envoy.config.route.v3.Route, match: {prefix: /}, direct_response: {status: 204}}}}}}
                    - name: mine
                      domains: [waxwing.check]
                      routes: [%s]
`

const ownFile = "fleet: edge\n" + ingressManager + `                http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
                %s
  clusters: [{name: echo}]
`

// ownOf is how the routes of a file answer a check themselves.
func ownOf(t *testing.T, routes, manager string, c Check, secure bool) OwnAnswer {
	t.Helper()
	if manager == "" {
		manager = "route_config:" + fmt.Sprintf(ownHosts, routes)
	}
	f, err := Parse("edge.yaml", fmt.Appendf(nil, ownFile, manager))
	if err != nil {
		t.Fatalf("%s: %v", routes, err)
	}
	var out OwnAnswer
	visit(f.Listeners[0], nil, func(m proto.Message, _ *yaml.Node, _ bool) {
		if hcm, ok := m.(*hcmv3.HttpConnectionManager); ok {
			out = Lookup(f.Of).Router(hcm).Answer(c, secure)
		}
	})
	return out
}

const (
	toService = "{match: {prefix: /}, route: {cluster: echo}}"
	gone      = ", direct_response: {status: 410}}"
)

// What the configuration answers itself, where that is sure; e2e.TestRoutersAnswers holds the same
// against an Envoy.
func TestOwnAnswers(t *testing.T) {
	for _, c := range []struct {
		routes string
		check  Check
		want   int
	}{
		{toService, Check{}, 0},
		{"", Check{}, 404},
		{toService, Check{Host: "elsewhere"}, 404},
		{toService, Check{Host: "elsewhere:8080"}, 0},   // whose port may be left out
		{toService, Check{Host: "Moved.Example"}, 301},  // in whichever letter case
		{toService, Check{Host: "a.safe.example"}, 301}, // require_tls
		{toService, Check{Host: "a.safe.example", Headers: []Header{{Name: "x-forwarded-proto", Value: "https"}}}, 0},
		{toService, Check{Host: "outside.example"}, 0}, // whether the proxy itself is outside is not known
		{toService, Check{Host: "tree.example"}, 0},
		{"{match: {path: /gone}" + gone + ", " + toService, Check{Path: "/gone?a=b"}, 410},
		{"{match: {path: /gone}" + gone + ", " + toService, Check{Path: "/here"}, 0},
		{"{match: {path: /gone}" + gone + ", " + toService, Check{Path: "/a/../gone"}, 0}, // may be made plain first
		{"{match: {safe_regex: {regex: '/g.*'}}" + gone + ", " + toService, Check{Path: "/gone"}, 410},
		{"{match: {prefix: /, headers: [{name: ':method', string_match: {exact: POST}}]}" + gone + ", " + toService, Check{Method: "POST"}, 410},
		{"{match: {prefix: /, headers: [{name: x-beta, string_match: {exact: sure}}]}" + gone + ", " + toService, Check{Headers: []Header{{Name: "x-beta", Value: "sure"}}}, 410},
		{"{match: {prefix: /, headers: [{name: x-beta, string_match: {exact: sure}}]}" + gone + ", " + toService, Check{}, 0}, // a filter may set it
		{"{match: {prefix: /b, headers: [{name: x-beta, string_match: {exact: sure}}]}, route: {cluster: echo}}", Check{Path: "/a"}, 404},
		{"{match: {prefix: /, headers: [{name: x-forwarded-proto, string_match: {exact: http}}]}" + gone, Check{Headers: []Header{{Name: "x-forwarded-proto", Value: "http"}}}, 0},
		{"{match: {prefix: /, runtime_fraction: {default_value: {numerator: 50}}}" + gone + ", " + toService, Check{}, 0},
		{"{match: {prefix: /}, redirect: {path_redirect: /b, response_code: TEMPORARY_REDIRECT}}", Check{}, 307},
	} {
		if c.check.Host == "" {
			c.check.Host = defaultHost
		}
		if c.check.Path == "" {
			c.check.Path = "/"
		}
		if got := ownOf(t, c.routes, "", c.check, false); got.Status != c.want || (got.Why == "") != (c.want == 0) {
			t.Errorf("%s: %s %s%s: %+v, want %d", c.routes, c.check.Method, c.check.Host, c.check.Path, got, c.want)
		}
	}
	if got := ownOf(t, toService, "", Check{Host: "a.safe.example", Path: "/"}, true); got.Status != 0 {
		t.Errorf("by TLS: %+v", got)
	}
}

// Where the router is not all that there is, or not all of it is known, nothing is said.
func TestOwnAnswersOfWhatIsKnown(t *testing.T) {
	routes := "route_config: {virtual_hosts: []}"
	for manager, want := range map[string]int{
		routes: 404,
		routes + "\n                local_reply_config: {mappers: [{filter: {status_code_filter: {comparison: {op: EQ, value: {default_value: 404, runtime_key: a}}}}, status_code: 200}]}":                                                                            0,
		"rds: {route_config_name: a, config_source: {path_config_source: {path: /etc/routes.yaml}}}":                                                                                                                                                                   0,
		"scoped_routes: {name: a, scope_key_builder: {fragments: [{header_value_extractor: {name: a}}]}, scoped_route_configurations_list: {scoped_route_configurations: [{name: a, key: {fragments: [{string_key: a}]}, route_configuration: {virtual_hosts: []}}]}}": 0,
	} {
		if got := ownOf(t, "", manager, Check{Host: defaultHost, Path: "/"}, false); got.Status != want {
			t.Errorf("%s: %+v, want %d", manager, got, want)
		}
	}
}
