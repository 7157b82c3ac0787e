package xds

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// A proxy on its way to a fleet with other listeners has those of both. Also to a server
// that was started anew, which it only tells a version, it is known by that: nothing is
// sent to it, and it is at its target.
func TestProxyOfTwoFleetsIsKnownAfterRestart(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		old, next := listeners(t, "old:80"), listeners(t, "new:81")
		h, p := serving(t, "p", sotw, old)
		target := Target{Snapshot: next, Fleet: "b", Home: "edge", Before: []*snapshot.Snapshot{old}}
		h.Server.Assign("p", target)
		h.expect(Served, "p")
		if has := p.Has(resource.ListenerType); len(has) != 2 {
			t.Fatalf("on its way it has the listeners %v", has)
		}
		p.Close()
		h.expect(Disconnected, "p")

		h = serve(t, Limits{})
		before := len(p.Responses())
		h.connect(p)
		h.expect(Connected, "p")
		h.Server.Assign("p", target)
		h.expect(Served, "p")
		if got := sent(p, before); len(got) > 0 {
			t.Errorf("it was sent %v", got)
		}
		if has := p.Has(resource.ListenerType); len(has) != 2 {
			t.Errorf("then it has the listeners %v", has)
		}
	})
}

// Whoever decides about a proxy anew is told that it serves what it is to have, though
// that is what it was to have before.
func TestServedIsSaidAgain(t *testing.T) {
	served(t, func(t *testing.T, h *harness, sotw bool) {
		p := h.proxy("p", sotw, nil)
		snap := listeners(t, "old:80")
		h.start(p, "p", snap)
		h.Assign("p", snap)
		h.SayAgain("p")
		if e := h.expect(Served, "p"); e.Revision != snap.Pair {
			t.Errorf("served %s, want %s", e.Revision, snap.ID)
		}
		h.Assign("p", listeners(t, "next:81"))
		h.SayAgain("p")
		if e := h.expect(Served, "p"); e.Revision == snap.Pair {
			t.Errorf("it is said to serve %s, and is to have another", e.Revision)
		}
	})
}

// A proxy whose listener went, to come again with other sockets, is known by what it has
// left, also to a server that was started in between.
func TestProxyBetweenTwoUpdatesIsKnownAfterRestart(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		old, next := listeners(t, "a:80/bind_to_port: false", "b:81"), listeners(t, "a:80", "b:81")
		h := serve(t, Limits{})
		went, flipped := make(chan struct{}, 8), false
		p := h.proxy("p", sotw, func(xdstest.Response) error {
			if flipped {
				went <- struct{}{}
			}
			return nil
		})
		h.start(p, "p", old)
		flipped = true
		target := Target{Snapshot: next, Fleet: "edge", Home: "edge", Before: []*snapshot.Snapshot{old}}
		h.Server.Assign("p", target)
		<-went
		p.Close()
		h.expect(Disconnected, "p")
		if has := p.Has(resource.ListenerType); len(has) != 1 {
			t.Fatalf("between the updates it has the listeners %v", has)
		}

		h = serve(t, Limits{})
		h.connect(p)
		h.expect(Connected, "p")
		h.Server.Assign("p", target)
		h.expect(Served, "p")
		if has := p.Has(resource.ListenerType); len(has) != 2 {
			t.Errorf("then it has the listeners %v", has)
		}
	})
}

// A proxy that could take none of the real listeners of a first revision, its port in use,
// is known to have none, also where its fleet is to have another revision by now and the
// server was started in between: it would get no listener until it is started itself.
func TestProxyWithoutRealListenersIsKnownAfterRestart(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		first, next := build(t, "a", "1"), build(t, "b", "2")
		h := serve(t, Limits{})
		p := xdstest.New(xdstest.Config{
			Node: xdstest.Node("p", "edge", nil), SotW: sotw, Judge: portInUse,
			Names: map[string][]string{resource.ExtensionConfigType: {"auth", snapshot.ShadowPrefix + "auth"}},
		})
		t.Cleanup(p.Close)
		h.start(p, "p", snapshot.Compose(nil, first, "space"))
		h.Server.Assign("p", Target{Snapshot: snapshot.Compose(first, first, "space"), Fleet: "edge", Home: "edge"})
		if e := h.expect(Rejected, "p"); !e.Trouble {
			t.Fatalf("it refuses the revision: %+v", e)
		}
		p.Close()
		h.expect(Disconnected, "p")

		h = serve(t, Limits{})
		h.connect(p)
		h.expect(Connected, "p")
		h.Server.Assign("p", Target{Snapshot: snapshot.Compose(next, next, "another space"), Fleet: "edge", Home: "edge"})
		if e := h.expect(Rejected, "p"); !strings.Contains(e.Message, "cannot bind") {
			t.Errorf("it was not asked to open its port: %+v", e)
		}
	})
}

// portInUse refuses a real listener of a port that another process has.
func portInUse(r xdstest.Response) error {
	if r.TypeURL == resource.ListenerType && len(realOf(r.Resources)) > 0 {
		return errBusy
	}
	return nil
}

// Of a set that it refused a proxy may have taken a part, while the version it says is that
// of none: what it may have so stays, where the target has no licence to take it away.
func TestWhatMayHaveBeenTakenStaysAfterRestart(t *testing.T) {
	first, next := listeners(t, "a:80", "b:81"), listeners(t, "b:81")
	for confirmed, want := range map[bool][]string{false: {"a", "b"}, true: {"b"}} {
		h := serve(t, Limits{})
		refuses := true
		p := xdstest.New(xdstest.Config{
			Node: xdstest.Node("p", "edge", nil), SotW: true,
			Judge: func(r xdstest.Response) error {
				if refuses {
					return portInUse(r)
				}
				return nil
			},
			Names: map[string][]string{resource.ExtensionConfigType: {"auth", snapshot.ShadowPrefix + "auth"}},
		})
		t.Cleanup(p.Close)
		h.start(p, "p", snapshot.Compose(nil, first, "space"))
		h.Assign("p", first)
		h.expect(Rejected, "p")
		p.Close()
		h.expect(Disconnected, "p")

		refuses = false
		h = serve(t, Limits{})
		h.connect(p)
		h.expect(Connected, "p")
		h.Server.Assign("p", Target{
			Snapshot: snapshot.Compose(next, next, "another"), Fleet: "edge", Home: "edge", Confirmed: confirmed,
			Before: []*snapshot.Snapshot{first},
		})
		h.expect(Served, "p")
		if has := slices.Sorted(maps.Keys(realOf(p.Has(resource.ListenerType)))); !slices.Equal(has, want) {
			t.Errorf("confirmed: %t: it has the listeners %q, want %q", confirmed, has, want)
		}
	}
}

// A proxy that came back with clusters that are not known, and has never asked for listeners
// since those are not ready, has none that could lose one: it is not left with them for ever.
func TestProxyThatHasNoListenersYetGetsClusters(t *testing.T) {
	h := serve(t, Limits{})
	h.listless = 50 * time.Millisecond
	stream := h.sotwStream(t)
	if err := stream.Send(&discoveryv3.DiscoveryRequest{
		Node: xdstest.Node("p", "edge", nil), TypeUrl: resource.ClusterType, VersionInfo: "that of another server",
	}); err != nil {
		t.Fatal(err)
	}
	h.expect(Connected, "p")
	h.Server.Assign("p", Target{Snapshot: build(t, "echo", "module"), Fleet: "edge", Home: "edge"})
	r, err := stream.Recv()
	if err != nil || r.GetTypeUrl() != resource.ClusterType || len(r.GetResources()) != 1 {
		t.Fatalf("it is sent %v, %v", r, err)
	}
}
