package xds

import (
	"testing"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// A cluster that a target lacks stays for as long as listeners that named it drain; what is
// served does not wait for that, and one that comes back is not taken away.
func TestClusterStaysWhileListenersDrain(t *testing.T) {
	served(t, func(t *testing.T, h *harness, sotw bool) {
		h.drain = time.Hour
		p := h.proxy("a", sotw, nil)
		h.start(p, "a", build(t, "one", "module"))
		h.Assign("a", build(t, "two", "module"))
		h.expect(Served, "a")
		if has := p.Has(resource.ClusterType); len(has) != 2 {
			t.Errorf("it has the clusters %v", has)
		}
		h.Assign("a", build(t, "one", "module"))
		h.expect(Served, "a")
		session := h.sessionOf("a")
		session.mu.Lock()
		lacks := session.types[resource.ClusterType].lacks
		h.drain = time.Millisecond
		session.mu.Unlock()
		if _, ok := lacks["two"]; !ok || len(lacks) != 1 {
			t.Errorf("the clusters that are to go: %v", lacks)
		}
		session.again()
		if !xdstest.Until(h.ctx, func() bool { has := p.Has(resource.ClusterType); return len(has) == 1 && has["one"] != "" }) {
			t.Fatalf("it has the clusters %v", p.Has(resource.ClusterType))
		}
	})
}
