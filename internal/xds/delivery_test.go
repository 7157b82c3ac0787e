package xds

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

func TestDelivery(t *testing.T) {
	served(t, func(t *testing.T, h *harness, sotw bool) {
		p := h.proxy("a", sotw, nil)
		first := build(t, "echo", "module 1")
		h.start(p, "a", first)
		check(t, "from nothing", sent(p, 0), []string{"Cluster echo", "Listener ingress", "TypedExtensionConfig auth"})

		h.Assign("a", build(t, "echo", "module 1")) // the same content, built again
		h.Assign("a", build(t, "echo", "module 2"))
		h.expect(Served, "a")
		check(t, "a new module", sent(p, 3), []string{"TypedExtensionConfig auth"})

		h.Assign("a", nil) // nothing to say: it keeps what it has
		h.Assign("a", first)
		h.expect(Served, "a")
		check(t, "and back", sent(p, 4), []string{"TypedExtensionConfig auth"})
	})
}

// A new Envoy asks for listeners only when it has heard of its clusters, or after
// 15 s. State-of-the-world says when it comes back that it has; delta can't.
func TestNoClusters(t *testing.T) {
	served(t, func(t *testing.T, h *harness, sotw bool) {
		p := h.proxy("a", sotw, nil)
		text, _, _ := strings.Cut(fleetYAML, "  clusters:")
		target := buildOf(t, strings.Replace(text, "route: {cluster: %s}", "direct_response: {status: 200}", 1), "module")
		h.start(p, "a", target)
		check(t, "from nothing", sent(p, 0), []string{"Cluster ", "Listener ingress", "TypedExtensionConfig auth"})
		p.Close()
		h.expect(Disconnected, "a")
		h.start(p, "a", target)
		if sotw {
			check(t, "back", sent(p, 3), nil)
		}
		h.Assign("a", build(t, "echo", "module"))
		h.expect(Served, "a")
		h.clusters(p, "echo")
	})
}

// What refers is moved before what it referred to is taken away.
func TestMakeBeforeBreak(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		h, p := serving(t, "a", sotw, build(t, "old", "module"))
		target := build(t, "new", "module")
		h.Assign("a", target)
		h.expect(Served, "a")
		want := []string{"Cluster new", "Listener ingress", "Cluster -old"}
		if sotw {
			want = []string{"Cluster new old", "Listener ingress", "Cluster new"}
		}
		check(t, "a cluster replaced", sent(p, 3), want)
		h.clusters(p, "new")
	})
}

// A proxy that comes back is sent nothing that it has, by the same server or
// by a restarted one.
func TestReconnect(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		h, p := serving(t, "a", sotw, build(t, "echo", "module 1"))
		p.Close()
		h.expect(Disconnected, "a")
		before := len(p.Responses())

		h.start(p, "a", build(t, "echo", "module 1"))
		check(t, "back on the same server", sent(p, before), nil)
		p.Close()

		restarted := serve(t, Limits{})
		restarted.start(p, "a", build(t, "echo", "module 1"))
		check(t, "back on a restarted server", sent(p, before), nil)
		p.Close()
		restarted.expect(Disconnected, "a")

		restarted.start(p, "a", build(t, "echo", "module 2"))
		check(t, "back when one thing has changed", sent(p, before), []string{"TypedExtensionConfig auth"})
	})
}

// A listener or cluster that went while the proxy was away is taken from it.
func TestReconnectAfterRemoval(t *testing.T) {
	h, p := serving(t, "a", false, build(t, "old", "module"))
	p.Close()
	h.expect(Disconnected, "a")
	h.start(p, "a", build(t, "new", "module"))
	check(t, "delta", sent(p, 3), []string{"Cluster new", "Listener ingress", "Cluster -old"})
}

// A proxy that does not answer holds nobody up, and skips to the newest.
func TestStalledProxy(t *testing.T) {
	served(t, func(t *testing.T, h *harness, sotw bool) {
		release := make(chan struct{})
		stalled := h.proxy("stalled", sotw, func(r xdstest.Response) error {
			if r.TypeURL == resource.ExtensionConfigType {
				<-release
			}
			return nil
		})
		quick := h.proxy("quick", sotw, nil)
		h.start(quick, "quick", build(t, "echo", "module 0"))
		h.connect(stalled)
		h.expect(Connected, "stalled")
		for _, text := range []string{"module 1", "module 2", "module 3"} {
			target := build(t, "echo", text)
			h.Assign("stalled", target)
			if err := stalled.Wait(h.ctx, func() bool { return len(sent(stalled, 0)) >= 2 }); err != nil {
				t.Fatal(err)
			}
			h.Assign("quick", target)
			if e := h.expect(Served, "quick"); e.Revision != target.Pair {
				t.Fatalf("served %s", e.Revision)
			}
		}
		close(release)
		e := h.expect(Served, "stalled")
		if want := build(t, "echo", "module 3"); e.Revision != want.Pair {
			t.Errorf("the stalled proxy ends at %s, want %s", e.Revision, want.ID)
		}
		filters := slices.DeleteFunc(sent(stalled, 0), func(s string) bool { return !strings.HasPrefix(s, "Typed") })
		if len(filters) > 2 {
			t.Errorf("it was sent %d versions of the filter, and not just the first and the newest", len(filters))
		}
	})
}

func TestIdentity(t *testing.T) {
	h := serve(t, Limits{})
	for name, c := range map[string]struct {
		nodes []*corev3.Node
		want  string
	}{
		"no node":       {[]*corev3.Node{nil}, "must have a node with an id"},
		"no id":         {[]*corev3.Node{{Cluster: "edge"}}, "must have a node with an id"},
		"another id":    {[]*corev3.Node{{Id: "x"}, {Id: "y"}}, `the stream of node "x" can't become that of "y"`},
		"other cluster": {[]*corev3.Node{{Id: "x", Cluster: "a"}, {Id: "x", Cluster: "b"}}, "can't become"},
		"bad address":   {[]*corev3.Node{listening("x", "ingress", "not an address")}, "node metadata: listen.ingress"},
	} {
		stream := h.deltaStream(t)
		for _, node := range c.nodes {
			if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node, TypeUrl: resource.ClusterType}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := stream.Recv()
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func listening(id, listener, address string) *corev3.Node {
	return &corev3.Node{Id: id, Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{
		fleet.ListenKey: structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
			listener: structpb.NewStringValue(address),
		}}),
	}}}
}

// Proxies that share a host get the same revision at addresses of their own.
func TestListenAddresses(t *testing.T) {
	h := serve(t, Limits{})
	target := build(t, "echo", "module")
	client := discoveryv3.NewAggregatedDiscoveryServiceClient(h.conn)
	versions := map[string]bool{}
	for address, port := range map[string]uint32{"18001": 18001, "127.0.0.1:18002": 18002, ":18003": 18003} {
		stream, err := client.DeltaAggregatedResources(h.ctx)
		if err != nil {
			t.Fatal(err)
		}
		node := listening("at "+address, "ingress", address)
		if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node, TypeUrl: resource.ListenerType}); err != nil {
			t.Fatal(err)
		}
		h.expect(Connected, node.GetId())
		h.Assign(node.GetId(), target)
		resp, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		var l listenerv3.Listener
		if err := resp.GetResources()[0].GetResource().UnmarshalTo(&l); err != nil {
			t.Fatal(err)
		}
		if got := l.GetAddress().GetSocketAddress().GetPortValue(); got != port {
			t.Errorf("%s: the listener is at port %d", address, got)
		}
		versions[resp.GetResources()[0].GetVersion()] = true
	}
	if len(versions) != 3 {
		t.Errorf("%d versions of 3 different listeners", len(versions))
	}
}

func TestMaxStreams(t *testing.T) {
	h := serve(t, Limits{MaxStreams: 1})
	p := h.proxy("a", false, nil)
	h.start(p, "a", build(t, "echo", "module"))
	other := h.proxy("b", false, nil)
	h.connect(other)
	h.full(other)
	if s := h.Stats(); s.Streams != 1 || s.Clients.Refused["max-streams"] != 1 {
		t.Errorf("%+v", s)
	}
	p.Close()
	h.expect(Disconnected, "a")
	h.start(other, "b", build(t, "echo", "module"))
}
