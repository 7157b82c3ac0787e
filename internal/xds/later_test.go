package xds

import (
	"slices"
	"strings"
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
				h, after := busyHost(t, sotw, list...)
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

// busyHost is a host with listeners a and b, that is given others while the port of one is in use.
func busyHost(t *testing.T, sotw bool, list ...string) (h *host, after *snapshot.Snapshot) {
	h, after = newHost(t, sotw), listeners(t, list...)
	h.await(Connected)
	h.Assign("a", listeners(t, "a:80", "b:81"))
	h.await(Served)
	h.busy.Store(true)
	h.Assign("a", after)
	return h, after
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

// A listener is renamed at its address while the port of another is in use: whenever it is tried
// again, the old and the new one are not named together, which an Envoy refuses for good.
func TestRenamedBesideABusyPort(t *testing.T) {
	for name, list := range map[string][]string{
		"renamed":           {"c:80", "d:82"},
		"handed on":         {"a:81", "b:80", "d:82"},
		"renamed, and more": {"c:80", "d:82", "e:83"},
	} {
		t.Run(name, func(t *testing.T) {
			variants(t, func(t *testing.T, sotw bool) {
				for tries := range 4 {
					h, after := busyHost(t, sotw, list...)
					for try := range tries {
						if e := h.await(Rejected); !e.Trouble || e.Revision != after.Pair {
							t.Fatalf("try %d: %+v", try+1, e)
						}
						h.busy.Store(try+1 < tries)
						h.Retry("a")
					}
					h.busy.Store(false)
					h.Retry("a")
					h.served()
					if there := h.Listeners(); len(there) != len(list) {
						t.Errorf("after %d tries it has %v", tries, there)
					}
				}
			})
		})
	}
}

// What is yet to be proven is taken whole: while the port of a new listener is in use the proxy
// goes on with what it has, whatever else the revision changes, and however often it is tried. A
// first revision of several listeners opens none. What is known to be good is taken in part.
func TestTakenWholeOrNotAtAll(t *testing.T) {
	for name, c := range map[string]struct {
		before, after []string
		good          bool
		has           []string // while the port is in use
	}{
		"changed and new":        {[]string{"a:80", "b:81"}, []string{"a:80/freebind: true", "b:81", "c:82"}, false, []string{"a", "b"}},
		"renamed and new":        {[]string{"a:80", "b:81"}, []string{"d:80", "b:81/freebind: true", "c:82"}, false, []string{"a", "b"}},
		"moved there":            {[]string{"a:80", "b:81"}, []string{"a:80/freebind: true", "b:82"}, false, []string{"a", "b"}},
		"one more address":       {[]string{"a:80", "b:81"}, []string{"a:80/freebind: true", "b:81/additional_addresses: [{address: {socket_address: {address: 0.0.0.0, port_value: 82}}}]"}, false, []string{"a", "b"}},
		"alone, with others new": {[]string{"a:80"}, []string{"a:80/freebind: true", "b:83", "c:82/enable_reuse_port: false"}, false, []string{"a"}},
		"first":                  {nil, []string{"a:80", "c:82"}, false, nil},
		"good":                   {[]string{"a:80", "b:81"}, []string{"a:80/freebind: true", "b:81", "c:82"}, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			variants(t, func(t *testing.T, sotw bool) {
				h := newHost(t, sotw)
				h.await(Connected)
				var before *snapshot.Snapshot
				if c.before != nil {
					before = listeners(t, c.before...)
					h.Assign("a", before)
					h.await(Served)
				}
				h.busy.Store(true)
				after := listeners(t, c.after...)
				h.Server.Assign("a", Target{Snapshot: after, Fleet: "edge", Home: "edge", Confirmed: c.good, Whole: !c.good})
				for range 3 {
					e := h.await(Rejected)
					if !e.Trouble || before != nil && e.Whole == c.good || strings.Contains(e.Message+e.Resource, "waxwing") {
						t.Fatalf("%+v", e)
					}
					if before != nil && h.has(before, c.before[0][:1]) == c.good {
						t.Fatalf("it has %v", h.Listeners())
					}
					for name := range h.Listeners() {
						if !c.good && !snapshot.InTrial(name) && !slices.Contains(c.has, name) {
							t.Fatalf("it has %s", name)
						}
					}
					h.Retry("a")
				}
				h.busy.Store(false)
				h.Retry("a")
				h.served()
				h.Assign("a", after)
				if there := h.Listeners(); before == nil && len(there) != len(c.after) {
					t.Errorf("it has %v", there)
				}
			})
		})
	}
}
