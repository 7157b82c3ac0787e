package fleet

import (
	"math/big"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	maglevv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/maglev/v3"
	ringv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/ring_hash/v3"
	subsetv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/subset/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"go.yaml.in/yaml/v3"
)

// What Envoy has for a ring or a table where nothing is said.
const (
	leastRing = 1024
	mostRing  = 8 << 20
)

// balancing reports a policy that can't be, as far as the cluster makes use of it.
func (p *parser) balancing(c *clusterv3.Cluster, n *yaml.Node) {
	if c.GetLoadBalancingPolicy() != nil {
		p.policies(c, n)
		return
	}
	switch c.GetLbPolicy() { //nolint:exhaustive // the others have nothing that can be wrong
	case clusterv3.Cluster_RING_HASH:
		p.ring(n, c.GetRingHashLbConfig(), "ring_hash_lb_config")
	case clusterv3.Cluster_MAGLEV:
		p.table(n, c.GetMaglevLbConfig().GetTableSize(), "maglev_lb_config")
	case clusterv3.Cluster_LOAD_BALANCING_POLICY_CONFIG:
		p.add(lineOf(n, "lb_policy"), "cluster %q: for lb_policy: LOAD_BALANCING_POLICY_CONFIG it must have a load_balancing_policy", c.GetName())
	}
	for i, s := range c.GetLbSubsetConfig().GetSubsetSelectors() {
		if s.GetFallbackPolicy() == clusterv3.Cluster_LbSubsetConfig_LbSubsetSelector_KEYS_SUBSET {
			p.subset(s.GetKeys(), s.GetFallbackKeysSubset(), lineOf(n, "lb_subset_config", "subset_selectors", i))
		}
	}
}

const balancingTypes = "envoy.extensions.load_balancing_policies."

// policies reports a list of which Envoy would take none. It takes the first that it has:
// what is wrong in one after that, it does not see.
func (p *parser) policies(c *clusterv3.Cluster, n *yaml.Node) {
	usable := false
	for i, policy := range c.GetLoadBalancingPolicy().GetPolicies() {
		packed := policy.GetTypedExtensionConfig().GetTypedConfig()
		content := Content(packed)
		if content == nil || strings.HasPrefix(typeOf(packed), balancingTypes) {
			if usable = true; content != nil {
				at := item(child(child(n, "load_balancing_policy"), "policies"), i)
				p.policy(content, orElse(child(child(orElse(at, n), "typed_extension_config"), "typed_config"), orElse(at, n)))
			}
			break
		}
	}
	if !usable {
		p.add(lineOf(n, "load_balancing_policy", "policies"), "cluster %q: load_balancing_policy has no policy (%s…) that Envoy could take", c.GetName(), balancingTypes)
	}
}

func (p *parser) policy(m proto.Message, n *yaml.Node) {
	switch m := m.(type) {
	case *ringv3.RingHash:
		p.ring(n, m)
	case *maglevv3.Maglev:
		p.table(n, m.GetTableSize())
	case *subsetv3.Subset:
		for i, s := range m.GetSubsetSelectors() {
			if s.GetFallbackPolicy() == subsetv3.Subset_LbSubsetSelector_KEYS_SUBSET {
				p.subset(s.GetKeys(), s.GetFallbackKeysSubset(), lineOf(n, "subset_selectors", i))
			}
		}
	}
}

// ringSizes is what both ways to write a ring have.
type ringSizes interface {
	GetMinimumRingSize() *wrapperspb.UInt64Value
	GetMaximumRingSize() *wrapperspb.UInt64Value
}

func (p *parser) ring(n *yaml.Node, sizes ringSizes, path ...any) {
	least, most := uint64(leastRing), uint64(mostRing)
	if v := sizes.GetMinimumRingSize(); v != nil {
		least = v.GetValue()
	}
	if v := sizes.GetMaximumRingSize(); v != nil {
		most = v.GetValue()
	}
	if least > most {
		p.add(lineOf(n, append(path, "minimum_ring_size")...), "minimum_ring_size, %d, is more than maximum_ring_size, %d", least, most)
	}
}

func (p *parser) table(n *yaml.Node, size *wrapperspb.UInt64Value, path ...any) {
	// To Envoy one is a prime number. ProbablyPrime is exact below 2^64.
	if size != nil && size.GetValue() != 1 && !new(big.Int).SetUint64(size.GetValue()).ProbablyPrime(0) {
		p.add(lineOf(n, append(path, "table_size")...), "table_size: %d is no prime number", size.GetValue())
	}
}

// subset reports keys to fall back to that are none, all, or others.
func (p *parser) subset(keys, fallback []string, line int) {
	all := slices.Compact(slices.Sorted(slices.Values(keys)))
	some := slices.Compact(slices.Sorted(slices.Values(fallback)))
	other := slices.ContainsFunc(some, func(key string) bool { return !slices.Contains(all, key) })
	if len(some) == 0 || len(some) >= len(all) || other {
		p.add(line, "fallback_keys_subset: for KEYS_SUBSET, give some of the keys %s, and not all", strings.Join(keys, ", "))
	}
}
