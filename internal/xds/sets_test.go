package xds

import (
	"fmt"
	"slices"
	"testing"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// A proxy that comes back to another revision than it left keeps the clusters that its
// listeners go to until these are replaced, also of a server that was started anew.
func TestClustersStayOverAReconnect(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		variants(t, func(t *testing.T, sotw bool) {
			t.Run(fmt.Sprintf("restarted=%t", restarted), func(t *testing.T) {
				h := serve(t, Limits{})
				first, second := build(t, "a", "one"), build(t, "b", "one")
				p := h.proxy("p", sotw, nil)
				h.start(p, "p", first)
				p.Close()
				h.expect(Disconnected, "p")
				if restarted {
					h = serve(t, Limits{})
					h.Remember(first)
				}
				before := len(p.Responses())
				h.start(p, "p", second)
				got := slices.DeleteFunc(sent(p, before), func(one string) bool { return one == "TypedExtensionConfig auth" })
				want := []string{"Cluster b", "Listener ingress", "Cluster -a"}
				if sotw {
					want = []string{"Cluster a b", "Listener ingress", "Cluster b"}
				}
				check(t, "after it came back", got, want)
				if has := p.Has(resource.ClusterType); len(has) != 1 {
					t.Errorf("in the end it has the clusters %v", has)
				}
			})
		})
	}
}
