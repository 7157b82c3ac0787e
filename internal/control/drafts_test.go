package control

import (
	"strings"
	"testing"

	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/waxwing-xds/waxwing/internal/watch"
)

const filteredYAML = `fleet: edge
filters: [{name: gate, module: {file: gate.wasm}, listeners: [ingress]}]
resources:
  listeners:
    - name: ingress
      address: {socket_address: {address: 127.0.0.1, port_value: 1}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: in
                route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}]}
                http_filters: [{name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
`

// Drafts come before anything that they are of is known, are what no one would
// serve, or are never followed by what they held: only what settles counts.
func TestDraftsSayNothing(t *testing.T) {
	c := idle(t)
	draft := func(path, data string) {
		t.Helper()
		c.changed(t.Context(), watch.Change{Path: path, Data: []byte(data), Draft: true})
		if len(c.problems) > 0 || len(c.fleets) > 0 && c.fleets["edge"].attempt > 1 {
			t.Fatalf("a draft of %s was taken: %v", path, c.problems)
		}
	}
	draft("fleet.yaml", filteredYAML)
	draft("fleet.yaml", "fleet: [")
	draft("gate.wasm", "no module of any fleet")
	c.changed(t.Context(), watch.Change{Path: "fleet.yaml", Data: []byte(filteredYAML)})
	draft("gate.wasm", "not a module")
	c.changed(t.Context(), watch.Change{Path: "gate.wasm", Data: []byte("\x00asm\x01\x00\x00\x00")})
	c.finished(nextBuild(t, c))
	if p := c.problems["edge"]; !strings.Contains(p, "Proxy-Wasm") {
		t.Errorf("what has settled is no filter, and the problem is %q", p)
	}
}

// A build has what the draft of the same bytes has made, and nothing of another's.
func TestDraftIsTaken(t *testing.T) {
	c := idle(t)
	c.changed(t.Context(), watch.Change{Path: "fleet.yaml", Data: []byte(fleetYAML), Draft: true})
	drafted := c.makings["edge"]
	c.changed(t.Context(), watch.Change{Path: "fleet.yaml", Data: []byte(fleetYAML)})
	b := nextBuild(t, c)
	if made, err := drafted.revision(); err != nil || b.snapshot != made {
		t.Errorf("the build made its own revision beside the draft's (%v)", err)
	}
	c.finished(b)
	other := strings.Replace(fleetYAML, "STATIC", "STRICT_DNS", 1)
	c.changed(t.Context(), watch.Change{Path: "fleet.yaml", Data: []byte(other), Draft: true})
	drafted = c.makings["edge"]
	c.changed(t.Context(), watch.Change{Path: "fleet.yaml", Data: []byte(strings.Replace(other, "1s", "2s", 1))})
	b = nextBuild(t, c)
	if made, err := drafted.revision(); err != nil || b.err != nil || b.snapshot.ID == made.ID {
		t.Errorf("the build took a draft of what is not in the file (%v, %v)", err, b.err)
	}
}
