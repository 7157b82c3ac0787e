package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"

	"github.com/waxwing-xds/waxwing/bench/beside"
	_ "github.com/waxwing-xds/waxwing/internal/extensions"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/rig"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// command is what the floor is told.
type command struct {
	// Revision is a file whose revision it is to take into memory, marshalled. Where there
	// is none, it is to give what it has to the proxies; nothing is read or built any more.
	Revision string
}

// serveFloor is the floor: go-control-plane's server and snapshot cache and
// nothing else. Its arguments are its address and, by node id, where each proxy listens.
func serveFloor(ctx context.Context, args []string) error {
	listener, err := net.Listen("tcp", args[0])
	if err != nil {
		return fmt.Errorf("the floor: %w", err)
	}
	snapshots := cache.NewSnapshotCache(true, cache.IDHash{}, nil)
	g := grpc.NewServer(grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 1, PermitWithoutStream: true}))
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, server.NewServer(ctx, snapshots, nil))
	go g.Serve(listener) //nolint:errcheck // ends with the process
	prepared := map[string]*cache.Snapshot{}
	return rig.Obey(func(c command) (done struct{}, err error) {
		if c.Revision != "" {
			prepared, err = prepareFloor(c.Revision, args[1:])
			return done, err
		}
		for node, s := range prepared {
			if err := snapshots.SetSnapshot(ctx, node, s); err != nil {
				return done, err
			}
		}
		return done, nil
	})
}

func prepareFloor(file string, nodes []string) (map[string]*cache.Snapshot, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	revision, err := snapshot.Decode("edge", data)
	if err != nil {
		return nil, err
	}
	out := map[string]*cache.Snapshot{}
	for _, word := range nodes {
		node, at, _ := strings.Cut(word, "=")
		address, err := fleet.ParseAddress(at)
		if err != nil {
			return nil, err
		}
		own, err := revision.Listening(map[string]*corev3.Address{"ingress": address})
		if err != nil {
			return nil, err
		}
		if out[node], err = beside.Snapshot(own); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// tell gives the floor a command and waits until it is carried out.
func (b *bench) tell(c command) error {
	_, err := rig.Tell[struct{}](b.floor, c)
	return err
}

// prepare builds a state for the floor and has it take that into memory.
func (b *bench) prepare(s state) error {
	built, err := rig.Snapshot(b.server.File("fleet.yaml"), b.fleet(s).YAML(), map[string][]byte{b.server.File("filter.wasm"): s.wasm})
	if err != nil {
		return err
	}
	data, err := built.Encode()
	if err != nil {
		return err
	}
	if err := b.server.Save("revision", data); err != nil {
		return err
	}
	return b.tell(command{b.server.File("revision")})
}
