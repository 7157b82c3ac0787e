package fleet

import (
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"go.yaml.in/yaml/v3"
)

// cluster reports what does not go together in a cluster.
func (p *parser) cluster(c *clusterv3.Cluster, n *yaml.Node) {
	p.numeric(c.GetUpstreamBindConfig().GetSourceAddress(), n, "", "upstream_bind_config", "source_address")
	if c.GetClusterType() != nil {
		return // what such a cluster needs, its extension knows
	}
	p.provided(c, n)
	if c.GetLoadBalancingPolicy() != nil && c.GetLbSubsetConfig() != nil {
		p.add(lineOf(n, "lb_subset_config"), "cluster %q: lb_subset_config can't be combined with load_balancing_policy", c.GetName())
	}
	isEDS := c.GetType() == clusterv3.Cluster_EDS
	switch {
	case isEDS && c.GetEdsClusterConfig().GetEdsConfig() == nil:
		p.add(lineOf(n, "type"), "cluster %q has its endpoints by EDS, but no eds_cluster_config that says from where", c.GetName())
	case !isEDS && c.GetEdsClusterConfig() != nil:
		p.add(lineOf(n, "eds_cluster_config"), "cluster %q has an eds_cluster_config, but is not of type EDS", c.GetName())
	}
	p.discovery(c, n)
}

// provided reports a load balancing policy that the kind of cluster does not have.
func (p *parser) provided(c *clusterv3.Cluster, n *yaml.Node) {
	original, provided := c.GetType() == clusterv3.Cluster_ORIGINAL_DST, c.GetLbPolicy() == clusterv3.Cluster_CLUSTER_PROVIDED
	switch {
	case original && !provided:
		p.add(lineOf(n, "lb_policy"), "cluster %q: of type ORIGINAL_DST, it must say lb_policy: CLUSTER_PROVIDED", c.GetName())
	case !original && provided && c.GetLoadBalancingPolicy() == nil:
		p.add(lineOf(n, "lb_policy"), "cluster %q: of type %s, it provides no load balancing of its own", c.GetName(), c.GetType())
	}
}

// discovery reports endpoints that can't be found in the way that the cluster says.
func (p *parser) discovery(c *clusterv3.Cluster, n *yaml.Node) {
	assignment := child(n, "load_assignment")
	localities := c.GetLoadAssignment().GetEndpoints()
	switch c.GetType() { //nolint:exhaustive // EDS has them elsewhere
	case clusterv3.Cluster_STATIC:
		if assignment != nil {
			p.fixedEndpoints(c.GetLoadAssignment(), assignment, "; for a name to be looked up, the cluster's type is STRICT_DNS or LOGICAL_DNS")
		}
	case clusterv3.Cluster_STRICT_DNS:
		p.resolvers(c, n)
	case clusterv3.Cluster_LOGICAL_DNS:
		if len(localities) != 1 || len(localities[0].GetLbEndpoints()) != 1 {
			p.add(lineOf(n, "load_assignment"), "cluster %q: of type LOGICAL_DNS, it must have exactly one endpoint", c.GetName())
		}
	case clusterv3.Cluster_ORIGINAL_DST:
		if c.GetLoadAssignment() != nil {
			p.add(lineOf(n, "load_assignment"), "cluster %q: of type ORIGINAL_DST, it can have no load_assignment", c.GetName())
		}
	}
}

// resolvers reports endpoints that are to be looked up by something else than DNS.
func (p *parser) resolvers(c *clusterv3.Cluster, n *yaml.Node) {
	for i, locality := range c.GetLoadAssignment().GetEndpoints() {
		for j, e := range locality.GetLbEndpoints() {
			if name := e.GetEndpoint().GetAddress().GetSocketAddress().GetResolverName(); name != "" {
				p.add(lineOf(n, "load_assignment", "endpoints", i, "lb_endpoints", j, "endpoint", "address", "socket_address", "resolver_name"),
					"cluster %q: of type STRICT_DNS, its endpoints can have no resolver_name", c.GetName())
			}
		}
	}
}

// fixedEndpoints reports endpoints without an address, and with one that is a name.
func (p *parser) fixedEndpoints(a *endpointv3.ClusterLoadAssignment, n *yaml.Node, advice string) {
	for i, locality := range a.GetEndpoints() {
		for j, e := range locality.GetLbEndpoints() {
			address := e.GetEndpoint().GetAddress()
			if address == nil {
				p.add(lineOf(n, "endpoints", i, "lb_endpoints", j), "an endpoint of %q has no address", a.GetClusterName())
			}
			path := []any{"endpoints", i, "lb_endpoints", j, "endpoint"}
			p.socketPath(e.GetEndpoint().GetHealthCheckConfig().GetAddress().GetPipe(), n, append(slices.Clone(path), "health_check_config", "address")...)
			p.fixed(address, n, advice, append(slices.Clone(path), "address")...)
			for k, more := range e.GetEndpoint().GetAdditionalAddresses() {
				p.fixed(more.GetAddress(), n, advice, append(slices.Clone(path), "additional_addresses", k, "address")...)
			}
		}
	}
}

// fixed reports an address that is none as it stands.
func (p *parser) fixed(a *corev3.Address, n *yaml.Node, advice string, path ...any) {
	p.socketPath(a.GetPipe(), n, path...)
	p.numeric(a.GetSocketAddress(), n, advice, append(path, "socket_address")...)
}
