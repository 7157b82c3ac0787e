package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// asked is what filters by ECDS ask for: a secret for requests, one for what goes to the service,
// none where that filter is not there, and routes for an HTTP connection manager.
type asked struct{ secret, upstream, routes, header, approve string }

// askingYAML is a fleet with such filters. The manager is the listener "managed", at an address.
func (w *world) askingYAML(address string, a asked) []byte {
	w.t.Helper()
	const (
		injector = "type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector"
		manager  = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
	)
	discovered := func(name, typeURL string) string {
		return "{name: " + name + ", config_discovery: {config_source: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}, type_urls: [" + typeURL + "]}}"
	}
	injects := func(name, secret string) string {
		return fmt.Sprintf(`
    - name: %s
      typed_config:
        "@type": %s
        credential:
          name: generic
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic
            credential: {name: %s, sds_config: {ads: {}, resource_api_version: V3}}
            header: %s`, name, injector, secret, a.header)
	}
	host, port := w.service()
	at, atPort, _ := strings.Cut(address, ":")
	secrets, upstream, configs := []string{a.secret}, "", injects("injector", a.secret)
	if a.upstream != "" {
		if configs += injects("upstream", a.upstream); a.upstream != a.secret {
			secrets = append(secrets, a.upstream)
		}
		upstream = `
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {http_protocol_options: {}}
          http_filters:
            - ` + discovered("upstream", injector) + `
            - {name: codec, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}}`
	}
	var more strings.Builder
	for _, secret := range secrets {
		fmt.Fprintf(&more, "\n    - {name: %s, generic_secret: {secret: {inline_string: hush}}}", secret)
	}
	rollout := `{prove: 100ms, stages: [{name: all, percent: 100, bake: 0s, deadline: 30s` + a.approve + `}]}`
	fleet := string(w.fleetYAML(fleetOptions{Checks: checks, Rollout: rollout, Extra: fmt.Sprintf(`
    - name: managed
      address: {socket_address: {address: %s, port_value: %s}}
      filter_chains: [{filters: [%s]}]
  clusters:
    - name: echo
      load_assignment: {cluster_name: echo, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]}%s
  routes: [{name: %s, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: echo}}]}]}]
  secrets:%s
  extension_configs:
    - name: manager
      typed_config:
        "@type": %s
        stat_prefix: %s
        rds: {route_config_name: %[7]s, config_source: {ads: {}, resource_api_version: V3}}
        http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]%[11]s
`, at, atPort, discovered("manager", manager), host, port, upstream, a.routes, more.String(), manager, a.header, configs)}))
	const before = "                http_filters:"
	return []byte(strings.Replace(fleet, before, before+"\n                  - "+discovered("injector", injector), 1))
}

// What a filter by ECDS asks for is renamed, changed otherwise, added to a cluster and taken from
// it, given up half way and taken back, while users ask: each is served, and no request fails.
func TestExtensionAsksForAnother(t *testing.T) {
	t.Parallel()
	variants(t, func(t *testing.T, sotw bool) {
		w := newWorld(t)
		w.Variant = sotw
		managed := freeAddress(t)
		write(t, w.module, gate(t, 1))
		first := asked{"a", "", "first", "x-a", ""}
		write(t, w.fleet, w.askingYAML(managed, first))
		w.startServer()
		p := w.startProxy("edge-0")
		p.serves(w.revisionAfter(1))
		p.wants(http.StatusOK, "Welcome to WASM land\n", "token", "32323")
		atManaged := func(int) error {
			_, err := answerAt(managed)
			return err
		}
		stop, other := usersEitherWay(p), w.asking(atManaged)
		for i, a := range []asked{
			{"b", "", "first", "x-a", ""},
			{"b", "", "second", "x-a", ""},
			{"b", "c", "second", "x-a", ""},
			{"b", "d", "second", "x-b", ""},
			{"d", "b", "first", "x-b", ""},
			{"d", "", "first", "x-b", ""},
			{"d", "e", "third", "x-b", ""},
		} {
			save(t, w.fleet, w.askingYAML(managed, a))
			p.serves(w.revisionAfter(2 + i))
		}
		w.givesUp(managed, asked{"f", "g", "fourth", "x-c", ", approve: manual"})
		p.serves(w.revisionAfter(8))
		save(t, w.fleet, w.askingYAML(managed, first))
		p.serves(w.revisionAfter(10))
		p.wants(http.StatusOK, "Welcome to WASM land\n", "token", "32323")
		asked, wrong := stop()
		f := other.End()
		t.Logf("failed requests: %d of %d, %d of %d", len(wrong), asked, len(f.Wrong), f.Asked)
		if len(wrong)+len(f.Wrong) > 0 {
			t.Errorf("they failed: %q, %q", wrong, f.Wrong)
		}
		w.noneRejected()
	})
}

// givesUp has a revision tried, and aborts it when its proxy has it.
func (w *world) givesUp(address string, a asked) {
	w.t.Helper()
	save(w.t, w.fleet, w.askingYAML(address, a))
	w.fleetIs("waits for a person", func(f api.Fleet) bool { return f.Rollout != nil && f.Rollout.Awaiting })
	if err := w.command("abort"); err != nil {
		w.t.Fatal(err)
	}
}
