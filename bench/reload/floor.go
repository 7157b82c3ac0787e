package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"

	_ "github.com/waxwing-xds/waxwing/internal/extensions"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// serveFloor is the floor: go-control-plane's server and snapshot cache and
// nothing else. It reads commands from its standard input, a line each, and
// answers each with a line:
//
//	prepare FILE  take the revision that FILE holds into memory, marshalled
//	push          give it to the proxies; nothing is read or built any more
//
// Its arguments are its address and, by node id, where each proxy listens.
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
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		word, file, _ := strings.Cut(lines.Text(), " ")
		var err error
		switch word {
		case "prepare":
			prepared, err = prepareFloor(file, args[1:])
		case "push":
			for node, s := range prepared {
				if err == nil {
					err = snapshots.SetSnapshot(ctx, node, s)
				}
			}
		}
		fmt.Println("done", err)
	}
	return nil
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
		resources := map[resource.Type][]types.Resource{}
		for _, typeURL := range snapshot.Types {
			for _, r := range own.All(typeURL) {
				m, err := r.Wire.GetResource().UnmarshalNew()
				if err != nil {
					return nil, err
				}
				resources[typeURL] = append(resources[typeURL], m)
			}
		}
		s, err := cache.NewSnapshot(own.ID, resources)
		if err != nil {
			return nil, err
		}
		if err := s.ConstructVersionMap(); err != nil {
			return nil, err
		}
		out[node] = s
	}
	return out, nil
}
