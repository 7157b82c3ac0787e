package fleet

import (
	"encoding/hex"
	"net/netip"
	"time"

	"google.golang.org/protobuf/proto"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	caresv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/cares/v3"
	"go.yaml.in/yaml/v3"
)

// refuseClusters reports what Envoy refuses of the parts of a cluster.
func (p *parser) refuseClusters(m proto.Message, n *yaml.Node) {
	switch m := m.(type) {
	case *clusterv3.Cluster:
		p.balancing(m, n)
		p.protocols(m, n)
		p.healthProtocol(m, n)
		p.clusterType(m, n)
	case *clusterv3.Filter:
		if kind := typeOf(m.GetTypedConfig()); endings[kind] {
			p.add(lineOf(n, "typed_config"), "filter %q: %s is one of a listener's, and none of a cluster's", m.GetName(), kind)
		}
	case *clusterv3.OutlierDetection:
		p.ejection(m, n)
	case *corev3.HealthCheck_TcpHealthCheck:
		p.payloads(n, "send", m.GetSend())
		for i, part := range m.GetReceive() {
			p.payloads(n, "receive", part, i)
		}
	case *endpointv3.ClusterLoadAssignment_Policy_DropOverload:
		if share := m.GetDropPercentage(); float64(share.GetNumerator()) > wholes[int32(share.GetDenominator())] {
			p.add(lineOf(n, "drop_percentage"), "drop_percentage: more than all can't be dropped")
		}
	case *caresv3.CaresDnsResolverConfig:
		for i, resolver := range m.GetResolvers() {
			s := resolver.GetSocketAddress()
			if s == nil {
				p.add(lineOf(n, "resolvers", i), "resolvers: of one its address is no socket_address")
			} else if _, err := netip.ParseAddr(s.GetAddress()); err != nil {
				p.add(lineOf(n, "resolvers", i, "socket_address", "address"), "resolvers: %q is not an IP address", s.GetAddress())
			}
		}
	}
}

// wholes are what the denominators of a share stand for.
var wholes = map[int32]float64{0: 100, 1: 10_000, 2: 1_000_000}

// leastEjection is for how long Envoy puts a host out where nothing is said.
const leastEjection = 30 * time.Second

func (p *parser) ejection(m *clusterv3.OutlierDetection, n *yaml.Node) {
	base := leastEjection
	if m.GetBaseEjectionTime() != nil {
		base = m.GetBaseEjectionTime().AsDuration()
	}
	if m.GetMaxEjectionTime() != nil && m.GetMaxEjectionTime().AsDuration() < base {
		p.add(lineOf(n, "max_ejection_time"), "max_ejection_time: %s is less than base_ejection_time, %s", m.GetMaxEjectionTime().AsDuration(), base)
	}
}

// payloads reports a text of a health check that is not of hexadecimal digits.
func (p *parser) payloads(n *yaml.Node, field string, payload *corev3.HealthCheck_Payload, index ...any) {
	text := payload.GetText()
	if _, err := hex.DecodeString(text); text != "" && err != nil {
		p.add(lineOf(n, append(append([]any{field}, index...), "text")...), "%s: text is of hexadecimal digits, two for each byte: %q", field, text)
	}
}

// healthProtocol reports a check by gRPC of a cluster that speaks no HTTP/2.
func (p *parser) healthProtocol(c *clusterv3.Cluster, n *yaml.Node) {
	options := httpOptions(c)
	//nolint:staticcheck // deprecated, but Envoy still reads it
	if options == nil && c.GetHttp2ProtocolOptions() != nil || options != nil && options.GetExplicitHttpConfig().GetHttpProtocolOptions() == nil {
		return
	}
	for i, check := range c.GetHealthChecks() {
		if check.GetGrpcHealthCheck() != nil {
			p.add(lineOf(n, "health_checks", i, "grpc_health_check"), "cluster %q: for a health check by gRPC it must speak HTTP/2: give it http2_protocol_options", c.GetName())
		}
	}
}

const (
	aggregateCluster = "envoy.extensions.clusters.aggregate.v3.ClusterConfig"
	logicalAddresses = "all_addresses_in_single_endpoint"
)

// clusterType reports what an extension that finds a cluster's endpoints does not go together with.
func (p *parser) clusterType(c *clusterv3.Cluster, n *yaml.Node) {
	kind := c.GetClusterType().GetTypedConfig()
	if kind == nil {
		return
	}
	if typeOf(kind) == aggregateCluster && c.GetLbPolicy() != clusterv3.Cluster_CLUSTER_PROVIDED {
		p.add(lineOf(n, "cluster_type"), "cluster %q: as an aggregate, it must say lb_policy: CLUSTER_PROVIDED", c.GetName())
	}
	dns, ok := Content(kind).(*dnsv3.DnsCluster)
	localities := c.GetLoadAssignment().GetEndpoints()
	if ok && dns.GetAllAddressesInSingleEndpoint() && (len(localities) != 1 || len(localities[0].GetLbEndpoints()) != 1) {
		p.add(lineOf(n, "load_assignment"), "cluster %q: with %s, it must have exactly one endpoint", c.GetName(), logicalAddresses)
	}
}
