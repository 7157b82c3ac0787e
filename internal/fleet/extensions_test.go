package fleet

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
)

// extended is a fleet of filters by ECDS in each place that has some, and what routes say to
// them. log is the format of an access log.
func extended(log string) string {
	slot := func(name, kind string) string {
		return "{name: " + name + ", config_discovery: {config_source: {ads: {}, resource_api_version: V3}, type_urls: [type.googleapis.com/envoy.extensions.filters." + kind + "]}}"
	}
	config := func(name, kind, fields string) string {
		return "    - {name: " + name + ", typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters." + kind + ", " + fields + "}}\n"
	}
	manager := func(port, filters string) string {
		return `
    - name: l` + port + `
      address: {socket_address: {address: 127.0.0.1, port_value: ` + port + `}}
      listener_filters: [` + slot("sockets", "listener.http_inspector.v3.HttpInspector") + `]
      filter_chains:
        - filters:
            - ` + slot("connections", "network.rbac.v3.RBAC") + `
            - name: hcm
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: s
                access_log: [{name: a, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog, log_format: {text_format_source: {inline_string: "` + log + `"}}}}]
                rds: {route_config_name: table, config_source: {ads: {}, resource_api_version: V3}}
                http_filters:
` + filters + `                  - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}`
	}
	return "fleet: edge\nresources:\n  listeners:" +
		manager("1", "                  - "+slot("doors", "http.rbac.v3.RBAC")+"\n                  - "+slot("authz", "http.ext_authz.v3.ExtAuthz")+"\n") +
		manager("2", `                  - {name: authz, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, max_request_bytes: 5}}`+"\n") + `
  routes:
    - name: table
      virtual_hosts:
        - name: v
          domains: ["*"]
          metadata: {filter_metadata: {doors: {a: b}}}
          routes:
            - match: {prefix: /}
              direct_response: {status: 200}
              typed_per_filter_config:
                doors: {"@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute}
                authz: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}
  extension_configs:
` + config("sockets", "listener.http_inspector.v3.HttpInspector", "") + config("connections", "network.rbac.v3.RBAC", "stat_prefix: x") +
		config("doors", "http.rbac.v3.RBAC", "rules: {}") + config("authz", "http.ext_authz.v3.ExtAuthz", "http_service: {server_uri: {uri: http://a, cluster: a, timeout: 1s}}") +
		config("bootstraps", "http.rbac.v3.RBAC", "rules: {}") + `  clusters:
    - {name: a}
`
}

// Filters by ECDS have their types in the names that proxies know, wherever these are written;
// what only a bootstrap may ask for, or others read what it writes under its name, keeps its own.
func TestExtensionNamesSayTheType(t *testing.T) {
	for log, want := range map[string]map[string]int{
		"%FILTER_STATE(authors:PLAIN)% doors": {
			`"sockets@listener.http_inspector.v3.HttpInspector"`: 3, `"connections@network.rbac.v3.RBAC"`: 3, `"doors@http.rbac.v3.RBAC"`: 4,
			`"doors"`: 1, `"authz@http.ext_authz.v3.ExtAuthz"`: 3, `"authz"`: 2, `"bootstraps"`: 1,
		},
		"%FILTER_STATE(authz:PLAIN)%": {`"authz"`: 4, `"authz@http.ext_authz.v3.ExtAuthz"`: 0},
	} {
		f, all := asProxiesKnow(t, extended(log))
		var written strings.Builder
		for _, r := range all {
			if r.Kind.NameOf(r.Message) != r.Name {
				t.Errorf("%s calls itself %s", r.Name, r.Kind.NameOf(r.Message))
			}
			if people := r.Kind.ForPeople(r.Name); strings.Contains(people, "@") || f.LineOfFilter(r.Name) == 0 && r.Kind == filterKind {
				t.Errorf("%s is %s for people, at line %d", r.Name, people, f.LineOfFilter(r.Name))
			}
			written.WriteString(protojson.Format(r.Message))
		}
		for name, n := range want {
			if got := strings.Count(written.String(), name); got != n {
				t.Errorf("with %q: %d times %s, want %d:\n%s", log, got, name, n, written.String())
			}
		}
		for _, r := range f.Resources {
			if strings.Contains(r.Name+protojson.Format(r.Message), "@http") {
				t.Errorf("what was read has changed: %s", r.Name)
			}
		}
	}
}
