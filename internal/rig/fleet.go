package rig

import (
	"cmp"
	"fmt"
	"strings"
	"text/template"

	// What a Listener is made of.
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

// A Fleet is what a fleet file with one listener, "ingress", and one filter says. What is
// "" is as most want it.
type Fleet struct {
	Name    string // "edge"
	Match   string // "{cluster: edge}"
	Filter  string // its name, "gate"
	Module  string // its file, filter.wasm beside the fleet file
	Config  string // its configuration, none
	Checks  string // none
	Policy  string // its failure_policy, none
	Hostile string // how hostile requests count, as they do by default
	Rollout string // to all proxies at once

	NoShadow bool
	NoFilter bool

	Service string // address of the service behind it; "" for the listener to answer 200 itself
	Cluster string // the name of the service's cluster, "echo"
	Extra   string // more under resources, in place of that cluster
	Tail    string // in place of the routes of the listener's HTTP connection manager
}

var fleetTemplate = template.Must(template.New("").Parse(`fleet: {{.Name}}
match: {{.Match}}
{{- if not .NoFilter}}
filters:
  - name: {{.Filter}}
    module: {file: {{.Module}}}
    {{- range $field, $value := .Optional}}
    {{- if $value}}
    {{$field}}: {{$value}}
    {{- end}}
    {{- end}}
    listeners: [ingress]
{{- end}}
resources:
  listeners:{{.Listener}}
  {{- if .Extra}}{{.Extra}}{{else if .Service}}
  clusters:
    - name: {{.Cluster}}
      type: STATIC
      connect_timeout: 1s
      load_assignment:
        cluster_name: {{.Cluster}}
        endpoints:
          - lb_endpoints:
              - endpoint: {address: {socket_address: {address: {{.Host}}, port_value: {{.Port}}}}}
  {{- end}}
rollout: {{.Rollout}}
`))

// YAML is the fleet file.
func (f Fleet) YAML() []byte {
	for field, value := range map[*string]string{
		&f.Name: "edge", &f.Match: "{cluster: edge}", &f.Filter: "gate", &f.Module: "filter.wasm", &f.Cluster: "echo",
		&f.Rollout: "{stages: [{name: all, percent: 100, bake: 0s}]}",
	} {
		if *field == "" {
			*field = value
		}
	}
	routes := Answers
	if f.Service != "" {
		routes = everything("route: {cluster: " + f.Cluster + "}")
	}
	routes = cmp.Or(f.Tail, routes)
	host, port, _ := strings.Cut(f.Service, ":")
	var text strings.Builder
	if err := fleetTemplate.Execute(&text, struct {
		Fleet
		Host, Port, Listener string
		Optional             map[string]string
	}{f, host, port, Listener("ingress", "127.0.0.1:1", routes, ""), f.optional()}); err != nil {
		panic(err) // the template and its values are here
	}
	return []byte(text.String())
}

// optional are the fields of the filter that not every fleet file has.
func (f Fleet) optional() map[string]string {
	fields := map[string]string{"config": f.Config, "checks": f.Checks, "failure_policy": f.Policy, "hostile": f.Hostile}
	if f.NoShadow {
		fields["shadow"] = "false"
	}
	return fields
}

// Answers has a Listener answer each request itself, 200.
var Answers = everything("direct_response: {status: 200}")

// everything are the routes of a listener that does the same with every request.
func everything(what string) string {
	return `
                route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, ` + what + `}]}]}`
}

// Listener is a listener of a fleet file, an HTTP connection manager. Its fields, and its
// filters before the last, are lines of YAML that begin with a line break.
func Listener(name, address, fields, filters string) string {
	host, port, _ := strings.Cut(address, ":")
	return fmt.Sprintf(`
    - name: %[1]s
      address: {socket_address: {address: %[2]s, port_value: %[3]s}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: %[1]s%[4]s
                http_filters:%[5]s
                  - name: envoy.filters.http.router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}`, name, host, port, fields, filters)
}
