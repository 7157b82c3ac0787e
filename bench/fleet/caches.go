package main

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"

	"github.com/waxwing-xds/waxwing/bench/beside"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// controlPlane is go-control-plane's server as its documentation has it.
func controlPlane(ctx context.Context, c cache.Cache) *grpc.Server {
	g := grpc.NewServer(
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}))
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, server.NewServer(ctx, c, nil))
	return g
}

// snapshotCache has a snapshot for each node; all nodes share one.
type snapshotCache struct {
	ctx      context.Context
	cache    cache.SnapshotCache
	prepared map[*snapshot.Snapshot]*cache.Snapshot
}

func newSnapshotCache(ctx context.Context) *snapshotCache {
	return &snapshotCache{ctx, cache.NewSnapshotCache(true, cache.IDHash{}, nil), map[*snapshot.Snapshot]*cache.Snapshot{}}
}

func (c *snapshotCache) grpc(...grpc.ServerOption) *grpc.Server { return controlPlane(c.ctx, c.cache) }

func (c *snapshotCache) prepare(s *snapshot.Snapshot) (err error) {
	c.prepared[s], err = beside.Snapshot(s)
	return err
}

func (c *snapshotCache) push(n int, even, odd *snapshot.Snapshot) error {
	for i := range n {
		s := c.prepared[even]
		if i%2 == 1 {
			s = c.prepared[odd]
		}
		if err := c.cache.SetSnapshot(c.ctx, nodeID(i), s); err != nil {
			return err
		}
	}
	clear(c.prepared) // what is pushed, the cache itself keeps
	return nil
}

// linearCache has one cache for each type; every node is given the same.
type linearCache struct {
	ctx      context.Context
	caches   map[string]*cache.LinearCache
	mux      *cache.MuxCache
	prepared map[string]map[string]types.Resource // the newest revision, by type
}

func newLinearCache(ctx context.Context) *linearCache {
	c := &linearCache{ctx: ctx, caches: map[string]*cache.LinearCache{}}
	c.mux = &cache.MuxCache{
		Classify:      func(r *cache.Request) string { return r.GetTypeUrl() },
		ClassifyDelta: func(r *cache.DeltaRequest) string { return r.GetTypeUrl() },
		Caches:        map[string]cache.Cache{},
	}
	for _, k := range fleet.Kinds {
		typeURL := k.Type
		c.caches[typeURL] = cache.NewLinearCache(typeURL)
		c.mux.Caches[typeURL] = c.caches[typeURL]
	}
	return c
}

func (c *linearCache) grpc(...grpc.ServerOption) *grpc.Server { return controlPlane(c.ctx, c.mux) }

func (c *linearCache) prepare(s *snapshot.Snapshot) error {
	c.prepared = map[string]map[string]types.Resource{}
	for _, k := range fleet.Kinds {
		typeURL := k.Type
		all, err := beside.Messages(s, typeURL)
		if err != nil {
			return err
		}
		if len(all) > 0 && c.changed(typeURL, all) {
			c.prepared[typeURL] = all
		}
	}
	return nil
}

func (c *linearCache) push(_ int, even, odd *snapshot.Snapshot) error {
	if even != odd {
		return errors.ErrUnsupported
	}
	for typeURL, all := range c.prepared {
		if err := c.caches[typeURL].UpdateResources(all, nil); err != nil {
			return err
		}
	}
	return nil
}

// changed spares the linear cache the push of what it has: it does not compare.
func (c *linearCache) changed(typeURL string, all map[string]types.Resource) bool {
	have := c.caches[typeURL].GetResources()
	for name, m := range all {
		if have[name] == nil || !proto.Equal(have[name], m) {
			return true
		}
	}
	return false
}
