package main

import (
	"context"
	"log/slog"
	"sync"

	"google.golang.org/grpc"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// ours is internal/xds, with the shortest loop that can drive it.
type ours struct {
	server *xds.Server

	mu        sync.Mutex
	even, odd *snapshot.Snapshot
	served_   map[string]bool // nodes that accepted all of what they have
	changed   chan struct{}
}

func newOurs(ctx context.Context) *ours {
	o := &ours{
		server:  xds.NewServer(slog.New(slog.DiscardHandler), xds.Limits{}),
		served_: map[string]bool{}, changed: make(chan struct{}, 1),
	}
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
			o.event(e)
		}
		select {
		case o.changed <- struct{}{}:
		default:
		}
	}
}

func (o *ours) event(e xds.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	id := e.Node.GetId()
	switch e.Kind {
	case xds.Connected:
		o.server.Assign(id, o.target(id))
	case xds.Disconnected:
		delete(o.served_, id)
	case xds.Served:
		o.served_[id] = e.Revision == o.target(id).ID
	case xds.Rejected: // these proxies refuse nothing
	}
}

func (o *ours) target(id string) *snapshot.Snapshot {
	if number(id)%2 == 1 {
		return o.odd
	}
	return o.even
}

func (o *ours) grpc() *grpc.Server {
	g := grpc.NewServer(o.server.Options()...)
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

func (o *ours) served(ctx context.Context, n int) error {
	for {
		o.mu.Lock()
		count := 0
		for _, ok := range o.served_ {
			if ok {
				count++
			}
		}
		o.mu.Unlock()
		if count == n {
			return nil
		}
		select {
		case <-o.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
