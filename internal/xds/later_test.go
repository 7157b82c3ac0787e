package xds

import (
	"testing"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// Listeners change places, which takes two updates, while the port of another is in use: that
// one is refused with the first, and the second comes at once all the same.
func TestBusyPortOfOneClosesNoOther(t *testing.T) {
	for name, list := range map[string][]string{
		"two that change places":                  {"a:81", "b:80", "c:82"},
		"one that moves, one that is opened anew": {"a:80/enable_reuse_port: false", "b:83", "c:82"},
	} {
		t.Run(name, func(t *testing.T) {
			variants(t, func(t *testing.T, sotw bool) {
				h := newHost(t, sotw)
				before, after := listeners(t, "a:80", "b:81"), listeners(t, list...)
				h.await(Connected)
				h.Assign("a", before)
				h.await(Served)
				h.busy.Store(true)
				h.Assign("a", after)
				if e := h.await(Rejected); !e.Trouble || e.Revision != after.Pair {
					t.Fatalf("rejected: %+v", e)
				}
				for !h.has(after, "a", "b") {
					select {
					case <-h.changed:
					case <-h.ctx.Done():
						t.Fatalf("it has %v", h.Listeners())
					}
				}
				h.busy.Store(false)
				h.Retry("a")
				h.await(Served)
				if !h.has(after, "a", "b", "c") {
					t.Errorf("it has %v", h.Listeners())
				}
			})
		})
	}
}

// has reports whether it has listeners as a target has them.
func (h *host) has(target *snapshot.Snapshot, names ...string) bool {
	there := h.Listeners()
	for _, name := range names {
		if there[name] == nil || string(there[name].GetValue()) != string(target.Get(resource.ListenerType, name).Wire.GetResource().GetValue()) {
			return false
		}
	}
	return true
}
