package fleet

import (
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	aggregatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
)

// aggregates reports clusters that are made of others and answer no request: of the clusters
// that an aggregate lists Envoy takes the hosts, and an aggregate has none of its own. So one
// of aggregates only, itself among them or not, answers 503 for ever. Envoy takes it.
// (Envoy 1.40.0: AggregateClusterLoadBalancer in source/extensions/clusters/aggregate/cluster.cc;
// e2e/aggregates_test.go holds it against a real one.)
func (p *parser) aggregates() {
	made := map[string]bool{}
	for _, r := range p.placed {
		if aggregateOf(r) != nil {
			made[r.name] = true
		}
	}
	for _, r := range p.placed {
		c := aggregateOf(r)
		if real := func(name string) bool { return !made[name] }; len(c.GetClusters()) > 0 && !slices.ContainsFunc(c.GetClusters(), real) {
			p.add(lineOf(r.node, "cluster_type", "typed_config", "clusters"), "cluster %q: it lists aggregates only, which have no hosts of their own for it: "+
				"each request would be answered with 503. List clusters that have endpoints", r.name)
		}
	}
}

// aggregateOf is the list of clusters that a cluster is made of, or nil.
func aggregateOf(r placed) *aggregatev3.ClusterConfig {
	c, ok := r.msg.(*clusterv3.Cluster)
	if !ok || c.GetClusterType().GetTypedConfig() == nil {
		return nil
	}
	list, _ := Content(c.GetClusterType().GetTypedConfig()).(*aggregatev3.ClusterConfig)
	return list
}
