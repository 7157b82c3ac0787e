package snapshot

import (
	"fmt"
	"testing"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

const reservedYAML = `fleet: edge
resources:
  listeners:
    - name: connections
      address: {socket_address: {address: 127.0.0.1, port_value: 1}}
      filter_chains: [{filters: [{name: tcp, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: echo}}]}]
    - name: packets
      address: {socket_address: {address: 127.0.0.1, port_value: 2, protocol: UDP}}
%s
      listener_filters:
        - name: udp
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig
            stat_prefix: u
            matcher: {on_no_match: {action: {name: route, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.v3.Route, cluster: echo}}}}
  clusters:
    - name: echo
      type: STATIC
      load_assignment: {cluster_name: echo, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 3}}}}]}]}
`

// Addresses for packets are not reserved, whether udp_listener_config says so or only the
// address: Envoy refuses a filter chain there ("1 filter chain(s) specified for connection-less
// UDP listener"), and with it the addresses of the others would not be told apart.
func TestPacketsAreNotReserved(t *testing.T) {
	for _, config := range []string{"", "      udp_listener_config: {}"} {
		f, err := fleet.Parse("edge.yaml", fmt.Appendf(nil, reservedYAML, config))
		if err != nil {
			t.Fatal(err)
		}
		s, err := Build(f, nil)
		if err != nil {
			t.Fatal(err)
		}
		reserved, err := Reserve(s, func(string) string { return "" }, nil)
		if err != nil {
			t.Fatal(err)
		}
		if all := reserved.All(resource.ListenerType); len(all) != 1 || all[0].Name != reservePrefix+"connections" {
			t.Errorf("with %q: %d are reserved, first %q", config, len(all), all[0].Name)
		}
	}
}
