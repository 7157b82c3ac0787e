package xds

import (
	"fmt"
	"slices"
	"testing"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// labelled is a simulated proxy with the id "a" and labels.
func (h *harness) labelled(sotw bool, labels map[string]string) *xdstest.Proxy {
	h.t.Helper()
	node := xdstest.Node("a", "edge", labels)
	p := xdstest.New(xdstest.Config{Node: node, SotW: sotw, Names: map[string][]string{resource.ExtensionConfigType: {"auth"}}})
	h.t.Cleanup(p.Close)
	return p
}

// came connects a proxy and returns under which name it is known.
func (h *harness) came(p *xdstest.Proxy) string {
	h.t.Helper()
	h.connect(p)
	e := h.next()
	for ; e.Kind != Connected; e = h.next() {
	}
	if said := fleet.SaidID(e.Node); said != "a" {
		h.t.Errorf("it is said to call itself %q", said)
	}
	return e.ID()
}

func (h *harness) left(p *xdstest.Proxy, name string) {
	h.t.Helper()
	p.Close()
	for e := h.next(); e.Kind != Disconnected || e.ID() != name; e = h.next() {
	}
}

// Processes with one node id and different labels are each given what is theirs, and have
// the names that they had when they come back, also to a server that is new, in any order.
func TestTwins(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		for _, order := range [][]int{{0, 1}, {1, 0}} {
			t.Run(fmt.Sprint(order), func(t *testing.T) {
				h := serve(t, Limits{})
				both := []*xdstest.Proxy{h.labelled(sotw, map[string]string{"tier": "a"}), h.labelled(sotw, map[string]string{"tier": "b"})}
				names := []string{h.came(both[0]), h.came(both[1])}
				if names[0] != "a" || names[1] == "a" {
					t.Fatalf("they are known as %q", names)
				}
				for i, name := range names {
					h.Assign(name, build(t, fmt.Sprint("echo-", i), "module"))
					h.expect(Served, name)
					h.clusters(both[i], fmt.Sprint("echo-", i))
				}
				noted := h.Twins()
				for _, i := range order {
					h.left(both[i], names[i])
				}
				again := serve(t, Limits{})
				again.SetTwins(noted)
				for _, i := range order {
					if got := again.came(both[i]); got != names[i] {
						t.Errorf("process %d comes back as %q, and was %q", i, got, names[i])
					}
				}
			})
		}
	})
}

// Where no other process of the id is there, one that is new has the id for its name, whatever
// its labels are; and those with the same labels are one proxy.
func TestNoTwins(t *testing.T) {
	h := serve(t, Limits{})
	first := h.labelled(false, map[string]string{"tier": "a"})
	name := h.came(first)
	if got := h.came(h.labelled(false, map[string]string{"tier": "a"})); got != "a" || name != "a" || len(h.Twins()) > 0 {
		t.Errorf("with the same labels they are %q and %q", name, got)
	}

	h = serve(t, Limits{})
	first, second := h.labelled(false, map[string]string{"tier": "a"}), h.labelled(false, map[string]string{"tier": "b"})
	h.came(first)
	twin := h.came(second)
	h.left(first, "a")
	h.left(second, twin)
	if got := h.came(h.labelled(false, map[string]string{"tier": "c"})); got != "a" || len(h.Twins()) > 0 {
		t.Errorf("alone, and new, it is %q; noted: %v", got, h.Twins())
	}
}

// What is noted of twins is bounded; those who are there keep their names.
func TestTwinsAreBounded(t *testing.T) {
	h := serve(t, Limits{})
	names := []string{h.came(h.labelled(false, map[string]string{"tier": "a"})), h.came(h.labelled(false, map[string]string{"tier": "b"}))}
	h.mu.Lock()
	for i := range 2 * maxTwins {
		h.noteTwin(fmt.Sprint("gone-", i), "x")
	}
	n, owner := len(h.twins), h.twins["a"]
	h.mu.Unlock()
	if n > maxTwins || owner == "" || slices.Contains(names[1:], "a") {
		t.Errorf("%d are noted, of a %q; they are %q", n, owner, names)
	}
}
