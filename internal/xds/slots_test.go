package xds

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

const shadowOfIngress = snapshot.ShadowPrefix + "ingress"

// process is a simulated proxy with the id "a", which asks for the shadow's filter, too.
func (h *harness) process(sotw bool, judge func(xdstest.Response) error) *xdstest.Proxy {
	h.t.Helper()
	p := xdstest.New(xdstest.Config{
		Node: xdstest.Node("a", "edge", nil), SotW: sotw, Judge: judge,
		Names: map[string][]string{resource.ExtensionConfigType: {"auth", snapshot.ShadowPrefix + "auth"}},
	})
	h.t.Cleanup(p.Close)
	return p
}

// beside connects a process of the id, and waits until all of them serve the target.
func (h *harness) beside(p *xdstest.Proxy, target *snapshot.Snapshot) {
	h.t.Helper()
	h.connect(p)
	h.expect(Connected, "a")
	h.Assign("a", target)
	h.expect(Served, "a")
}

// listenerPushes counts the responses with listeners that a proxy was sent.
func listenerPushes(p *xdstest.Proxy) int {
	n := 0
	for _, r := range p.Responses() {
		if r.TypeURL == resource.ListenerType {
			n++
		}
	}
	return n
}

// slots are those of the streams that are open, in the order in which they came.
func (h *harness) slots() []int {
	var out []int
	for _, s := range h.Server.proxy("a").all() {
		out = append(out, s.slot)
	}
	return out
}

// Processes with one node id have shadow listeners of their own, and keep them when they come
// back to a server that is new, in any order, and with one that has none in between.
func TestSlotsAreKept(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		target := snapshot.Compose(build(t, "echo", "module 1"), nil, "space")
		for _, order := range [][]int{{0, 1}, {1, 0}} {
			t.Run(fmt.Sprint(order), func(t *testing.T) {
				h := serve(t, Limits{})
				both := []*xdstest.Proxy{h.process(sotw, nil), h.process(sotw, nil)}
				for _, p := range both {
					h.beside(p, target)
				}
				if got := h.slots(); !slices.Equal(got, []int{0, 1}) {
					t.Fatalf("the slots are %v", got)
				}
				for _, p := range both {
					p.Close()
				}
				again := serve(t, Limits{})
				sent := []int{listenerPushes(both[0]), listenerPushes(both[1])}
				for _, i := range order {
					again.beside(both[i], target)
				}
				if got := again.slots(); !slices.Equal(got, order) {
					t.Errorf("back in the order %v they have the slots %v", order, got)
				}
				for i, p := range both {
					if n := listenerPushes(p) - sent[i]; n > 0 {
						t.Errorf("process %d was sent its listeners %d times again", i, n)
					}
				}
				third := again.process(sotw, nil)
				again.beside(third, target)
				if got := again.slots(); got[2] != 2 {
					t.Errorf("a third one has the slots %v", got)
				}
			})
		}
	})
}

// A socket that a process has which this server does not know is evaded.
func TestSlotInUseIsEvaded(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		target := snapshot.Compose(build(t, "echo", "module 1"), nil, "space")
		h := serve(t, Limits{})
		refused := 0
		p := h.process(sotw, func(r xdstest.Response) error {
			if r.TypeURL == resource.ListenerType && refused < 2 {
				refused++
				return fmt.Errorf("Error adding/updating listener(s) %s: cannot bind '@waxwing/0': Address already in use", shadowOfIngress)
			}
			return nil
		})
		h.beside(p, target)
		if got := h.slots(); got[0] != 2 {
			t.Errorf("the slots are %v", got)
		}
	})
}

// What one of two processes refuses is refused, whichever it is; a revision is served when
// all have accepted it, those that are left when one goes.
func TestEachProcessCounts(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		good, bad := build(t, "echo", "module 1"), build(t, "echo", "module 2")
		h := serve(t, Limits{})
		refused := 0
		older, newer := h.proxy("a", sotw, refusing(bad, &refused)), h.proxy("a", sotw, nil)
		h.beside(older, good)
		h.beside(newer, good)
		h.Assign("a", bad)
		if e := h.expect(Rejected, "a"); !strings.Contains(e.Message, "Unable to create") {
			t.Errorf("%+v", e)
		}
		older.Close()
		h.Assign("a", good)
		e := h.expect(Served, "a")
		if e.Revision == bad.Pair { // the one that is left may have taken it before it was refused
			e = h.expect(Served, "a")
		}
		if e.Revision != good.Pair {
			t.Errorf("%+v", e)
		}
		h.beside(older, good)
		older.Close() // which is the newest now
		h.expect(Connected, "a")
		h.Assign("a", good)
		if e := h.expect(Served, "a"); e.Revision != good.Pair {
			t.Errorf("%+v", e)
		}
	})
}
