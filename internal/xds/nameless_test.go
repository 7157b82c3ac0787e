package xds

import (
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// An Envoy of state-of-the-world that connects again while nothing in it needs a filter
// names none, and says the version that it had when something did. When something does
// again, it has to be sent it: it has forgotten it.
func TestNamedLaterThanTheVersion(t *testing.T) {
	h := serve(t, Limits{})
	target := build(t, "a", "one")
	first := h.proxy("p", true, nil)
	h.start(first, "p", target)
	responses := first.Responses()
	var version string
	for _, r := range responses {
		if r.TypeURL == resource.ExtensionConfigType {
			version = r.Version
		}
	}
	first.Close()
	h.expect(Disconnected, "p")

	stream := h.sotwStream(t)
	ask := func(names ...string) {
		t.Helper()
		if err := stream.Send(&discoveryv3.DiscoveryRequest{
			Node: xdstest.Node("p", "edge", nil), TypeUrl: resource.ExtensionConfigType, ResourceNames: names, VersionInfo: version,
		}); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	h.expect(Connected, "p")
	h.Assign("p", target)
	ask("auth")
	r, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if r.GetTypeUrl() != resource.ExtensionConfigType || len(r.GetResources()) != 1 {
		t.Errorf("it is sent %s with %d resources, want the filter", r.GetTypeUrl(), len(r.GetResources()))
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
	h.expect(Disconnected, "p")
}
