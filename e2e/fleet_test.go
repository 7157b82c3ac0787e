package e2e

import (
	"net"
	"strings"
	"text/template"
)

// fleetOptions are what tests change in a fleet file.
type fleetOptions struct {
	Name     string // default "edge"
	Match    string // default {cluster: edge}
	Config   string // the filter's configuration, default none
	Module   string // default filter.wasm beside the fleet file
	Cluster  string // the upstream cluster's name, default "echo"
	Extra    string // more under resources
	Tail     string // more at the end of a listener's HTTP connection manager
	Rollout  string // default: all proxies at once
	Checks   string // of the filter, default none
	NoShadow bool
	Policy   string // failure_policy
	Echo     string
	EchoPort string
}

var fleetTemplate = template.Must(template.New("").Parse(`fleet: {{.Name}}
match: {{.Match}}
filters:
  - name: gate
    module: {file: {{.Module}}}
    {{- if .Config}}
    config: {{.Config}}
    {{- end}}
    {{- if .Checks}}
    checks: {{.Checks}}
    {{- end}}
    {{- if .Policy}}
    failure_policy: {{.Policy}}
    {{- end}}
    {{- if .NoShadow}}
    shadow: false
    {{- end}}
    listeners: [ingress]
resources:
  listeners:
    - name: ingress
      address: {socket_address: {address: 127.0.0.1, port_value: 1}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: ingress
                {{- if .Tail}}{{.Tail}}{{else}}
                route_config:
                  virtual_hosts:
                    - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: {{.Cluster}}}}]}
                {{- end}}
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  {{- if .Extra}}{{.Extra}}{{else}}
  clusters:
    - name: {{.Cluster}}
      type: STATIC
      connect_timeout: 1s
      load_assignment:
        cluster_name: {{.Cluster}}
        endpoints:
          - lb_endpoints:
              - endpoint: {address: {socket_address: {address: {{.Echo}}, port_value: {{.EchoPort}}}}}
  {{- end}}
rollout: {{.Rollout}}
`))

// fleetYAML is a fleet file with one listener, "ingress", and one filter, "gate",
// in front of the echo service.
func (w *world) fleetYAML(o fleetOptions) []byte {
	w.t.Helper()
	for field, value := range map[*string]string{
		&o.Name: "edge", &o.Match: "{cluster: edge}", &o.Module: w.module, &o.Cluster: "echo",
		&o.Rollout: "{stages: [{name: all, percent: 100, bake: 0s}]}",
	} {
		if *field == "" {
			*field = value
		}
	}
	host, port, err := net.SplitHostPort(strings.TrimPrefix(w.echo.URL, "http://"))
	if err != nil {
		w.t.Fatal(err)
	}
	o.Echo, o.EchoPort = host, port
	var text strings.Builder
	if err := fleetTemplate.Execute(&text, o); err != nil {
		w.t.Fatal(err)
	}
	return []byte(text.String())
}
