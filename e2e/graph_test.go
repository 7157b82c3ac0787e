package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

// graph is what of a fleet's resources a step of TestResourceGraphs has, and how a
// proxy comes by it.
type graph struct {
	Cert    string // name of the listener's certificate, which comes by SDS; "" for no TLS
	Build   int    // another one has another certificate under the name
	CA      bool   // the listener takes client certificates of a CA, by SDS
	Tickets bool   // and has keys for session tickets, by SDS
	Service string // the name of the cluster's endpoints; "-" for the cluster's own, "" for a STATIC one
	Routes  string // the name of the routes; "" where they are in the listener
	Generic bool   // a filter's secret, by SDS
	Roots   string // of a cluster: its CA's certificate, by SDS
}

// injector is an HTTP filter of Envoy's that has a secret, by SDS.
func injector(secret string) string {
	return `                  - name: credentials
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector
                      overwrite: true
                      credential:
                        name: generic
                        typed_config:
                          "@type": type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic
                          credential: {name: ` + secret + `, sds_config: {ads: {}, resource_api_version: V3}}
                          header: x-injected
`
}

// neverMet is TLS of a cluster to endpoints that it does not have.
func neverMet(context string) string {
	return `      transport_socket_matches:
        - name: never
          match: {never: "true"}
          transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
              common_tls_context: {` + context + `}
`
}

var graphTemplate = template.Must(template.New("").Parse(`
                {{- if .Routes}}
                rds: {route_config_name: {{.Routes}}, config_source: {ads: {}, resource_api_version: V3}}
                {{- else}}
                route_config:
                  virtual_hosts:
                    - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: echo}}]}
                {{- end}}
                http_filters:
                {{- if .Generic}}
` + injector("password") + `                {{- end}}
                  - name: envoy.filters.http.router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          {{- if .Cert}}
          transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              {{- if .Tickets}}
              session_ticket_keys_sds_secret_config: {name: tickets, sds_config: {ads: {}, resource_api_version: V3}}
              {{- end}}
              common_tls_context:
                tls_certificate_sds_secret_configs: [{name: {{.Cert}}, sds_config: {ads: {}, resource_api_version: V3}}]
                {{- if .CA}}
                validation_context_sds_secret_config: {name: ca, sds_config: {ads: {}, resource_api_version: V3}}
                {{- end}}
          {{- end}}
  {{- if .Routes}}
  routes:
    - name: {{.Routes}}
      virtual_hosts:
        - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: echo}}]}
  {{- end}}
  clusters:
    - name: echo
      connect_timeout: 1s
      {{- if .Roots}}
` + neverMet("validation_context_sds_secret_config: {name: {{.Roots}}, sds_config: {ads: {}, resource_api_version: V3}}") + `      {{- end}}
      {{- if .Service}}
      type: EDS
      eds_cluster_config: {eds_config: {ads: {}, resource_api_version: V3}{{if ne .Service "-"}}, service_name: {{.Service}}{{end}}}
  endpoints:
    - cluster_name: {{if eq .Service "-"}}echo{{else}}{{.Service}}{{end}}
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: {{.Host}}, port_value: {{.Port}}}}}}]}]
      {{- else}}
      type: STATIC
      load_assignment:
        cluster_name: echo
        endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: {{.Host}}, port_value: {{.Port}}}}}}]}]
      {{- end}}
  secrets:
  {{- if .Cert}}
    - name: {{.Cert}}
      tls_certificate: {certificate_chain: {inline_string: {{printf "%q" .Chain}}}, private_key: {inline_string: {{printf "%q" .Key}}}}
  {{- end}}
  {{- if .CA}}
    - {name: ca, validation_context: {trusted_ca: {inline_string: {{printf "%q" .Chain}}}}}
  {{- end}}
  {{- if .Roots}}
    - {name: {{.Roots}}, validation_context: {trusted_ca: {inline_string: {{printf "%q" .Chain}}}}}
  {{- end}}
  {{- if .Tickets}}
    - {name: tickets, session_ticket_keys: {keys: [{inline_bytes: "{{.Ticket}}"}]}}
  {{- end}}
  {{- if .Generic}}
    - {name: password, generic_secret: {secret: {inline_string: secret-{{.Build}}}}}
  {{- end}}
`))

// yaml is a fleet of them.
func (g graph) yaml(w *world, noShadow bool) []byte {
	w.t.Helper()
	host, port := w.service()
	chain, key := certificate(w.t, int64(g.Build))
	var text strings.Builder
	if err := graphTemplate.Execute(&text, struct {
		graph
		Host, Port, Chain, Key, Ticket string
	}{g, host, port, chain, key, strings.Repeat("A", 106) + "A="}); err != nil {
		w.t.Fatal(err)
	}
	fleet := string(w.fleetYAML(fleetOptions{Checks: checks, NoShadow: noShadow, Rollout: straight}))
	head, _, ok := strings.Cut(fleet, "\n                route_config:")
	_, rollout, also := strings.Cut(fleet, "\nrollout: ")
	if !ok || !also {
		w.t.Fatalf("the fleet has no place for a graph:\n%s", fleet)
	}
	return []byte(head + text.String() + "rollout: " + rollout)
}

// certificate makes one for localhost, its serial number the build.
func certificate(t *testing.T, build int64) (chain, key string) {
	t.Helper()
	c, err := rig.NewCertificate(build + 1)
	if err != nil {
		t.Fatal(err)
	}
	return c.Chain, c.Key
}

// eitherWay asks a proxy on connections of their own, in plain text or, where it does
// not speak that just now, with TLS; and returns the serial number of its certificate.
func (p *proxy) eitherWay(token string, status int) (serial int64, err error) {
	for range 2 { // what it speaks may change between the two
		for _, scheme := range []string{"http", "https"} {
			var got int
			if got, serial, err = p.over(scheme, token); err == nil && got == status {
				return serial, nil
			}
			if err == nil {
				err = fmt.Errorf("%s: %d, want %d", scheme, got, status)
			}
		}
	}
	return 0, err
}

// over asks a proxy once.
func (p *proxy) over(scheme, token string) (status int, serial int64, err error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	req, err := http.NewRequest(http.MethodGet, scheme+"://"+p.address+"/", nil)
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Token", token)
	resp, err := client.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	if resp.TLS != nil {
		serial = resp.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	return resp.StatusCode, serial, nil
}

var graphs = []struct {
	name string
	graph
}{
	{"a certificate first", graph{Cert: "cert"}},
	{"TLS taken off", graph{}},
	{"TLS added", graph{Cert: "cert"}},
	{"the certificate renamed", graph{Cert: "other", Build: 1}},
	{"the certificate rotated", graph{Cert: "other", Build: 2}},
	{"a CA and session tickets", graph{Cert: "other", Build: 3, CA: true, Tickets: true}},
	{"a filter's secret", graph{Generic: true}},
	{"which is rotated", graph{Generic: true, Build: 1}},
	{"STATIC to EDS", graph{Service: "-"}},
	{"another service name", graph{Service: "a"}},
	{"RDS", graph{Service: "a", Routes: "one"}},
	{"routes renamed, another service name", graph{Service: "b", Routes: "two"}},
	{"a cluster's CA", graph{Service: "b", Routes: "two", Roots: "roots"}},
	{"which is renamed, and EDS to STATIC", graph{Routes: "two", Roots: "more"}},
	{"all of it back, and TLS", graph{Cert: "cert", Build: 4}},
	{"all of it at once", graph{Cert: "other", Build: 5, CA: true, Tickets: true, Generic: true, Service: "-", Routes: "one", Roots: "roots"}},
}

// Whatever a proxy asks for by a service of its own (certificates, CAs, session
// tickets, secrets of filters, endpoints, routes) may come, go, change and be renamed:
// each is served within seconds, and no request fails.
func TestResourceGraphs(t *testing.T) {
	shadowed(t, func(t *testing.T, w *world, noShadow bool) {
		write(t, w.module, gate(t, 1))
		var p *proxy
		stop := func() (int, []string) { return 0, nil }
		for i, step := range graphs {
			saved := time.Now()
			save(t, w.fleet, step.yaml(w, noShadow))
			if i == 0 {
				w.startServer()
				p = w.startProxy("edge-0")
			}
			p.serves(w.revisionAfter(i + 1))
			t.Logf("%s: served after %d ms", step.name, time.Since(saved).Milliseconds())
			w.eventually("the certificate is the new one", func() error {
				serial, err := p.eitherWay("32323", 200)
				if want := map[bool]int64{true: int64(step.Build) + 1}[step.Cert != ""]; err == nil && serial != want {
					err = fmt.Errorf("it has the number %d, want %d", serial, want)
				}
				return err
			})
			if i == 0 {
				stop = usersEitherWay(p)
			}
		}
		asked, wrong := stop()
		t.Logf("%d of %d requests failed", len(wrong), asked)
		if len(wrong) > 0 {
			t.Errorf("the first: %s", wrong[0])
		}
		mustEqual(t, "fetches that timed out", p.stat("init_fetch_timeout$"), 0)
	})
}
