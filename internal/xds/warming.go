package xds

import (
	"maps"
	"slices"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// An Envoy answers no clusters while one of them warms, for 15 s by default, or for as long as what
// they ask for says. So what they wait for goes out while they do, of whatever turn it is: their
// endpoints and secrets, which are of their own, and the filters that they ask for by ECDS, with
// what these ask for. And until they have it the proxy can be sent no others: a target that is
// given up between clusters and their secrets would hold up the next one.

// sendBehind sends what clusters wait for that are under way, of the turns that are yet to come.
func (s *session) sendBehind() {
	if s.clustersAwaited() == nil {
		return
	}
	for _, k := range fleet.Kinds {
		st := s.types[k.Type]
		if st == nil || k.Unasked || k.Turn == fleet.KindOf(resource.ClusterType).Turn || st.inFlight() {
			continue
		}
		behind := s.behind(st.url)
		p := s.additionsOf(st, func(st *typeState) []*snapshot.Resource {
			return slices.DeleteFunc(slices.Clone(s.offered(st)), func(r *snapshot.Resource) bool { return behind[r.Name] == nil })
		})
		if p != nil && len(p.add) > 0 {
			s.send(st, p)
		}
	}
}

// stillWarming are the resources of a type that clusters wait for which were sent of another
// target, and that the present one lacks.
func (s *session) stillWarming(st *typeState) (out []*snapshot.Resource) {
	clusters := s.clustersAwaited()
	if clusters == nil || clusters.of == s.target || fleet.KindOf(st.url).Unasked {
		return nil
	}
	behind := s.behind(st.url)
	for _, name := range slices.Sorted(maps.Keys(behind)) {
		if s.target.Get(st.url, name) == nil {
			out = append(out, behind[name])
		}
	}
	return out
}

// clustersAwaited are the clusters that the proxy is yet to answer; nil for none.
func (s *session) clustersAwaited() *push {
	st := s.types[resource.ClusterType]
	if st == nil || st.awaited == nil || st.awaited.of == nil {
		return nil
	}
	return st.awaited
}

// behind are the resources of a type that these clusters ask for, or what they ask for does, by name.
func (s *session) behind(url string) map[string]*snapshot.Resource {
	clusters := s.clustersAwaited()
	out, seen := map[string]*snapshot.Resource{}, map[*snapshot.Resource]bool{}
	open := slices.Clone(clusters.add)
	for len(open) > 0 {
		r := open[len(open)-1]
		open = open[:len(open)-1]
		if seen[r] {
			continue
		}
		seen[r] = true
		for _, k := range fleet.Kinds {
			for _, need := range r.Asks(k.Type) {
				below := clusters.of.Get(k.Type, need.Name)
				if below == nil {
					continue
				}
				if open = append(open, below); k.Type == url {
					out[need.Name] = below
				}
			}
		}
	}
	return out
}
