package main

import (
	"context"
	"log/slog"
	"sync"

	"google.golang.org/grpc"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// ours is internal/xds, with the shortest loop that can drive it, and with the
// limits that bin/xds has by default.
type ours struct {
	server *xds.Server

	mu        sync.Mutex
	even, odd *snapshot.Snapshot
}

var limits = xds.Limits{MaxStreams: 20000, PushBudget: 1 << 30, PushTimeout: 120e9}

func newOurs(ctx context.Context) *ours {
	o := &ours{server: xds.NewServer(slog.New(slog.DiscardHandler), limits)}
	go o.loop(ctx)
	return o
}

func (o *ours) loop(ctx context.Context) {
	for {
		select {
		case <-o.server.Ready():
		case <-ctx.Done():
			return
		}
		for _, e := range o.server.Events() {
			if e.Kind == xds.Connected {
				o.mu.Lock()
				o.server.Assign(e.ID(), o.target(e.ID()))
				o.mu.Unlock()
			}
		}
	}
}

func (o *ours) target(id string) xds.Target {
	t := xds.Target{Snapshot: o.even, Confirmed: true}
	if number(id)%2 == 1 {
		t.Snapshot = o.odd
	}
	return t
}

func (o *ours) grpc(secure ...grpc.ServerOption) *grpc.Server {
	g := grpc.NewServer(append(o.server.Options(), secure...)...)
	o.server.Register(g)
	return g
}

func (o *ours) prepare(*snapshot.Snapshot) error { return nil }

func (o *ours) push(n int, even, odd *snapshot.Snapshot) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.even, o.odd = even, odd
	for i := range n {
		o.server.Assign(nodeID(i), o.target(nodeID(i)))
	}
	return nil
}
