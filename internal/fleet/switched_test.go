package fleet

import (
	"fmt"
	"testing"
)

// ingressManager is of a fleet file: a listener, as far as the fields of its connection manager.
const ingressManager = `resources:
  listeners:
    - name: ingress
      address: {socket_address: {address: 0.0.0.0, port_value: 80}}
      filter_chains:
        - filters:
            - name: http
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: ingress
`

const switchedFile = `fleet: edge
filters: [{name: auth, module: {file: auth.wasm}, listeners: [ingress]}, {name: other, module: {file: auth.wasm}, listeners: [ingress]}]
` + ingressManager + `                http_filters:
                  - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
                rds: {route_config_name: table, config_source: {ads: {}}}
  routes:
    - name: table
      virtual_hosts:
        - name: quiet
          domains: [off.example, "*.off.example"]
          typed_per_filter_config: {auth: &off {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}
          routes:
            - {match: {path: /on}, direct_response: {status: 200}, typed_per_filter_config: {auth: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, config: {}}}}
            - {match: {prefix: /}, direct_response: {status: 200}}
        - name: all
          domains: ["*"]
          routes:
%s
            - {match: {prefix: /}, direct_response: {status: 200}}
`

// Where a route of the file switches a filter off, as Envoy finds the route; what can't be
// told counts as on.
func TestSwitchedOff(t *testing.T) {
	for _, c := range []struct {
		match string // of a route of the host "*" that switches it off
		check Check
		off   bool
	}{
		{"{path: /health}", Check{Path: "/health?deep=1"}, true},
		{"{path: /health}", Check{Path: "/healthy"}, false},
		{"{path: /Health, case_sensitive: false}", Check{Path: "/hEALTH"}, true},
		{"{prefix: /health}", Check{Path: "/healthy"}, true},
		{"{path_separated_prefix: /health}", Check{Path: "/healthy"}, false},
		{"{path_separated_prefix: /health}", Check{Path: "/health/a"}, true},
		{"{safe_regex: {regex: '/h.*h'}}", Check{Path: "/health"}, true},
		{"{safe_regex: {regex: '/h'}}", Check{Path: "/health"}, false},
		{"{prefix: /, headers: [{name: x-probe}]}", Check{Path: "/", Headers: []Header{{Name: "x-probe", Value: "1"}}}, true},
		{"{prefix: /, headers: [{name: x-probe}]}", Check{Path: "/"}, false},
		{"{prefix: /, headers: [{name: x-probe, invert_match: true, present_match: true}]}", Check{Path: "/"}, true},
		{"{prefix: /, headers: [{name: ':method', string_match: {exact: post, ignore_case: true}}]}", Check{Path: "/", Method: "POST"}, true},
		{"{prefix: /, headers: [{name: a, string_match: {exact: b}, invert_match: true}]}", Check{Path: "/"}, false},
		{"{prefix: /, query_parameters: [{name: deep, string_match: {prefix: ye}}]}", Check{Path: "/?deep=yes"}, true},
		{"{prefix: /, query_parameters: [{name: deep, present_match: false}]}", Check{Path: "/"}, true},
		{"{prefix: /, runtime_fraction: {default_value: {numerator: 50}}}", Check{Path: "/"}, false}, // not sure
		{"{prefix: /, grpc: {}}", Check{Path: "/", Headers: []Header{{Name: "content-type", Value: "application/grpc+proto"}}}, true},
		{"{path: /health}", Check{Path: "/", Host: "off.example"}, true},
		{"{path: /health}", Check{Path: "/", Host: "A.off.example"}, true},
		{"{path: /health}", Check{Path: "/on", Host: "off.example"}, false},
		{"{path: /health}", Check{Path: "/", Host: "off.example:8080"}, false}, // another domain
	} {
		if c.check.Host == "" {
			c.check.Host = "waxwing.check"
		}
		f, err := Parse("edge.yaml", fmt.Appendf(nil, switchedFile, "            - {match: "+c.match+", direct_response: {status: 200}, typed_per_filter_config: {auth: *off}}"))
		if err != nil {
			t.Fatalf("%s: %v", c.match, err)
		}
		if got := f.SwitchedOff(f.Filters[0], c.check); got != c.off {
			t.Errorf("%s: off for %s %s%s: %v", c.match, c.check.Method, c.check.Host, c.check.Path, got)
		}
		if f.SwitchedOff(f.Filters[1], c.check) {
			t.Errorf("%s switches another filter off", c.match)
		}
	}
}
