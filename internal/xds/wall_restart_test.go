package xds

import (
	"testing"

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
	variants(t, func(t *testing.T, sotw bool) {
		h := serve(t, Limits{})
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
