package e2e

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

// runtimeLayer is a part of a bootstrap that asks for a runtime layer, "settings".
const runtimeLayer = `
layered_runtime:
  layers:
    - {name: from-the-server, rtds_layer: {name: settings, rtds_config: {ads: {}, resource_api_version: V3}}}
`

// kindsYAML is a fleet in which a resource of each further kind is asked for: extension
// configs of a connection's, a listener's, an HTTP and a cluster's filter, scoped routes
// and, where settings is not "", a runtime layer. deny turns the extension configs round.
func (w *world) kindsYAML(scopes []string, settings string, deny bool) []byte {
	host, port := w.service()
	const ads = "config_source: {ads: {}, resource_api_version: V3}"
	const rbac = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
	listener := rig.Listener("scoped", "127.0.0.1:"+w.kinds[1], `
                scoped_routes:
                  name: scopes
                  scope_key_builder: {fragments: [{header_value_extractor: {name: x-scope, element_separator: ",", index: 0}}]}
                  rds_config_source: {ads: {}, resource_api_version: V3}
                  scoped_rds: {scoped_rds_config_source: {ads: {}, resource_api_version: V3}}`, `
                  - {name: rules, config_discovery: {`+ads+`, type_urls: [`+rbac+`]}}`)
	if scopes == nil && before(w.t, 38) {
		listener = "" // it would never ask for them
	}
	return w.fleetYAML(fleetOptions{Checks: checks, Rollout: straight, Extra: fmt.Sprintf(`
    - name: connections
      address: {socket_address: {address: 127.0.0.1, port_value: %[1]s}}
      listener_filters:
        - {name: inspector, config_discovery: {%[3]s, type_urls: [type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector]}}
      filter_chains:
        - filters:
            - {name: who, config_discovery: {%[3]s, type_urls: [type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC]}}
            - name: tcp
              typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: echo}%[2]s
  clusters:
    - name: echo
      type: STATIC
      load_assignment:
        cluster_name: echo
        endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %[4]s, port_value: %[5]s}}}}]}]
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {http_protocol_options: {}}
          http_filters:
            - {name: upstream, config_discovery: {%[3]s, type_urls: [type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation]}}
            - name: codec
              typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}
  extension_configs:
    - name: inspector
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector}
    - name: who
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC
        stat_prefix: who
        rules: {action: %[6]s, policies: {all: {permissions: [{any: true}], principals: [{any: true}]}}}
    - name: rules
      typed_config: {"@type": %[7]s, rules: {action: ALLOW, policies: {all: {permissions: [{any: true}], principals: [{any: true}]}}}}
    - name: upstream
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
        mutations: {response_mutations: [{append: {header: {key: x-upstream, value: %[6]s}}}]}
  scoped_routes:%[8]s`, w.kinds[0], listener, ads, host, port, map[bool]string{true: "DENY", false: "ALLOW"}[deny], rbac, scopesYAML(scopes, settings))})
}

// scopesYAML are a fleet's scoped routes, the routes that they name, and its runtime layer.
func scopesYAML(scopes []string, settings string) string {
	var more strings.Builder
	for _, scope := range scopes {
		fmt.Fprintf(&more, "\n    - {name: %[1]s, route_configuration_name: to-%[1]s, key: {fragments: [{string_key: %[1]s}]}}", scope)
	}
	more.WriteString("\n  routes:")
	for _, scope := range scopes {
		fmt.Fprintf(&more, `
    - {name: to-%[1]s, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: %[1]s}}}]}]}`, scope)
	}
	if settings != "" {
		fmt.Fprintf(&more, "\n  runtime: [{name: settings, layer: {colour: %s}}]", settings)
	}
	return more.String()
}

// Whatever a proxy asks for, it is given: also by those services that few use. None of them
// keeps it waiting when it starts.
func TestKindsOfResources(t *testing.T) {
	inTurn(t, func(t *testing.T, w *world) {
		w.Bootstrap = runtimeLayer
		w.kinds = []string{port(t), port(t)}
		scopesOf := func(names ...string) []string {
			if before(t, 38) { // which is tried in the end
				return nil
			}
			return names
		}
		w.begins(w.kindsYAML(scopesOf("red"), "", false), gate(t, 1))
		began := time.Now()
		p := w.startProxy("edge-0")
		p.serves(w.revisionAfter(1))
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v until it served", took)
		}
		w.haveScopes(scopesOf("red"))
		w.connects(true)

		for i, step := range []struct {
			scopes   []string
			settings string
			deny     bool
		}{
			{scopesOf("red", "blue"), "red", false},
			{scopesOf("blue"), "blue", true},
			{nil, "", false},
			{scopesOf("red"), "green", false},
		} {
			saved := time.Now()
			save(t, w.fleet, w.kindsYAML(step.scopes, step.settings, step.deny))
			p.serves(w.revisionAfter(i + 2))
			t.Logf("served after %d ms", time.Since(saved).Milliseconds())
			w.haveScopes(step.scopes)
			w.connects(!step.deny)
			w.eventually("the runtime layer is as it is saved", func() error {
				text, err := w.get("http://" + p.admin + "/runtime")
				if err == nil && strings.Contains(text, `"colour"`) != (step.settings != "") || !strings.Contains(text, step.settings) {
					err = fmt.Errorf("it is %s", text)
				}
				return err
			})
			p.eventuallyHas("x-upstream", map[bool]string{true: "DENY", false: "ALLOW"}[step.deny])
		}
		mustEqual(t, "fetches that timed out", p.stat("init_fetch_timeout$"), 0)
		if before(t, 38) {
			good := w.revisionAfter(5)
			save(t, w.fleet, w.kindsYAML([]string{"red"}, "green", true))
			w.refused(noLateScopes)
			p.serves(good)
			w.connects(true)
			p.eventuallyHas("x-upstream", "ALLOW")
		}
	})
}

// haveScopes waits until these scopes' routes answer, and no others.
func (w *world) haveScopes(names []string) {
	w.t.Helper()
	if before(w.t, 38) {
		return // there is no such listener
	}
	for _, scope := range []string{"red", "blue"} {
		w.scope(scope, map[bool]int{true: 200, false: 404}[slices.Contains(names, scope)])
	}
}

// scope waits until a scope's routes answer.
func (w *world) scope(name string, status int) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("scope %s answers %d", name, status), func() error {
		req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+w.kinds[1]+"/", nil)
		if err != nil {
			return err
		}
		req.Header.Set("X-Scope", name)
		a, err := rig.Do(rig.Briefly, req)
		if err == nil && a.Status != status {
			err = fmt.Errorf("%d %s", a.Status, a.Body)
		}
		return err
	})
}

// connects waits until the listener of plain connections lets them pass, or none.
func (w *world) connects(pass bool) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("connections pass: %t", pass), func() error {
		conn, err := net.Dial("tcp", "127.0.0.1:"+w.kinds[0])
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
			return err
		}
		n, err := conn.Read(make([]byte, 1))
		if (n == 1) != pass {
			return fmt.Errorf("%d bytes were answered: %w", n, err)
		}
		return nil
	})
}

// eventuallyHas waits until the proxy's answers have a header.
func (p *proxy) eventuallyHas(header, value string) {
	p.w.t.Helper()
	p.w.eventually(header+" is "+value, func() error {
		a, err := p.ask("token", "32323")
		if err == nil && a.Header.Get(header) != value {
			err = fmt.Errorf("it is %q", a.Header.Get(header))
		}
		return err
	})
}
