package xds

import (
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// An Envoy that asks for clusters and never for listeners has trouble of its own; one that
// asks late is over it.
func TestProxyWithoutListeners(t *testing.T) {
	h := serve(t, Limits{})
	h.listless = 50 * time.Millisecond
	stream := h.deltaStream(t)
	send := func(m *discoveryv3.DeltaDiscoveryRequest) {
		t.Helper()
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	take := func(typeURL string) {
		t.Helper()
		r, err := stream.Recv()
		if err != nil || r.GetTypeUrl() != typeURL {
			t.Fatalf("%s, %v, want %s", r.GetTypeUrl(), err, typeURL)
		}
		send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURL, ResponseNonce: r.GetNonce()})
	}
	send(&discoveryv3.DeltaDiscoveryRequest{Node: xdstest.Node("edge-1", "edge", nil), TypeUrl: resource.ClusterType})
	h.expect(Connected, "edge-1")
	target := build(t, "echo", "module 1")
	h.Assign("edge-1", target)
	take(resource.ClusterType)
	e := h.next()
	if e.Kind != Rejected || !e.Trouble || e.Revision != target.Pair || !strings.Contains(e.Message, "lds_config") {
		t.Fatalf("it is said: %+v", e)
	}
	send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.ListenerType})
	take(resource.ListenerType)
	send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.ExtensionConfigType, ResourceNamesSubscribe: []string{"auth"}})
	take(resource.ExtensionConfigType)
	h.expect(Served, "edge-1")
}
