package xds

import (
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// stillWarming are the resources of a type that clusters wait for which were sent of another
// target, and that the present one lacks. An Envoy answers no clusters while one of them warms,
// for 15 s by default, and until it has it can be sent no others: a target that is given up
// between clusters and their secrets would hold up the next one.
func (s *session) stillWarming(st *typeState) (out []*snapshot.Resource) {
	clusters := s.types[resource.ClusterType]
	if clusters == nil || clusters.awaited == nil || clusters.awaited.of == nil || clusters.awaited.of == s.target {
		return nil
	}
	if k := fleet.KindOf(st.url); k.Unasked || k.Turn != fleet.KindOf(resource.ClusterType).Turn {
		return nil
	}
	for _, cluster := range clusters.awaited.add {
		for _, need := range cluster.Asks(st.url) {
			r := clusters.awaited.of.Get(st.url, need.Name)
			if r != nil && s.target.Get(st.url, need.Name) == nil {
				out = append(out, r)
			}
		}
	}
	return out
}
