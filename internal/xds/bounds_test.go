package xds

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// refuseAndLeave is a proxy that asks, refuses what it gets, and leaves.
func (h *harness) refuseAndLeave(ctx context.Context, id string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(h.conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return err
	}
	ask := &discoveryv3.DeltaDiscoveryRequest{Node: xdstest.Node(id, "edge", nil), TypeUrl: resource.ExtensionConfigType, ResourceNamesSubscribe: []string{"auth"}}
	if err := stream.Send(ask); err != nil {
		return err
	}
	response, err := stream.Recv()
	if err != nil {
		return err
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: response.GetTypeUrl(), ResponseNonce: response.GetNonce(), ErrorDetail: &rpcstatus.Status{Code: 13, Message: errBad.Error()},
	}); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err := stream.Recv(); err == nil {
		return fmt.Errorf("%s is sent something more", id)
	}
	return nil
}

// refuseAll has proxies with ids of their own do that, some at once, and returns when
// the server knows that they have left.
func (h *harness) refuseAll(first, n int, target *snapshot.Snapshot) {
	h.t.Helper()
	var group sync.WaitGroup
	for part := range 8 {
		group.Go(func() {
			for i := part; i < n; i += 8 {
				if err := h.refuseAndLeave(h.ctx, fmt.Sprint("p", first+i)); err != nil {
					h.t.Error(err)
					return
				}
			}
		})
	}
	for left := 0; left < n; {
		e := h.next()
		switch e.Kind {
		case Connected:
			h.Assign(e.ID(), target)
			h.Probe(e.ID(), &ProbePlan{ID: PlanID{Of: "x"}, Report: time.Hour})
		case Disconnected:
			h.Probe(e.ID(), nil)
			left++
		case Served, Rejected, HealthOpened, HealthClosed, Probed, Counted, Hushed:
		}
	}
	group.Wait()
}

// Proxies with an id of their own each refuse what they are given, and leave for good:
// what is remembered of them has a limit.
func TestTablesDoNotGrowWithWhatHasLeft(t *testing.T) {
	h := serve(t, Limits{})
	bad := build(t, "echo", "module 1")
	const crowd = maxAbsent + 1000
	h.refuseAll(0, crowd, bad)
	before, heapBefore := xdstest.Tables(h.Server), heapInUse()
	h.refuseAll(crowd, crowd, bad)
	after, heapAfter := xdstest.Tables(h.Server), heapInUse()
	for path, n := range after {
		if n > before[path]+100 {
			t.Errorf("%s: %d after %d proxies, %d after %d", path, before[path], crowd, n, 2*crowd)
		}
	}
	if n := h.Stats().Proxies; n != maxAbsent {
		t.Errorf("%d proxies are remembered, want %d", n, maxAbsent)
	}
	t.Logf("%.1f MB after %d ids, %.1f MB after %d", heapBefore, crowd, heapAfter, 2*crowd)
	// The newest are remembered, and not sent it again.
	p := h.proxy(fmt.Sprint("p", 2*crowd-1), false, nil)
	h.connect(p)
	h.expect(Connected, fmt.Sprint("p", 2*crowd-1))
	h.Assign(fmt.Sprint("p", 2*crowd-1), bad)
	// The listener comes after the filter that it refused would have come.
	if err := p.Wait(h.ctx, func() bool { return p.Has(resource.ListenerType)["ingress"] != "" }); err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Responses() {
		if r.TypeURL == resource.ExtensionConfigType {
			t.Errorf("it was sent again what it refused: %+v", r)
		}
	}
}

func heapInUse() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / 1e6
}
