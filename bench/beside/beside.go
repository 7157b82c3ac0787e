// Package beside is go-control-plane's own caches as servers are measured beside them: what
// they are given is made of our snapshots.
package beside

import (
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// Messages are a snapshot's resources of a type, by name.
func Messages(s *snapshot.Snapshot, typeURL string) (map[string]types.Resource, error) {
	out := map[string]types.Resource{}
	for _, r := range s.All(typeURL) {
		m, err := r.Wire.GetResource().UnmarshalNew()
		if err != nil {
			return nil, err
		}
		out[r.Name] = m
	}
	return out, nil
}

// Snapshot is a snapshot of a snapshot cache, each of its resources marshalled once.
func Snapshot(s *snapshot.Snapshot) (*cache.Snapshot, error) {
	resources := map[resource.Type][]types.Resource{}
	for _, k := range fleet.Kinds {
		typeURL := k.Type
		all, err := Messages(s, typeURL)
		if err != nil {
			return nil, err
		}
		for _, m := range all {
			resources[typeURL] = append(resources[typeURL], m)
		}
	}
	out, err := cache.NewSnapshot(s.ID, resources)
	if err != nil {
		return nil, err
	}
	return out, out.ConstructVersionMap()
}
