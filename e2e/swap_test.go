package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// Two fleets swap their proxies, with other code in both, by their matches and then by their
// names: each proxy is served throughout, and is of the other fleet when it has proven what
// that has.
func TestFleetsSwapProxies(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		mkdir(t, filepath.Join(w.dir, "fleets"))
		file := func(name, id string, n int) []byte {
			return w.fleetYAML(fleetOptions{
				Name: name, Match: "{cluster: edge, id: " + id + "}", Rollout: prompt, Checks: checks, Module: w.moduleFile(fmt.Sprint("gate-", n), gate(t, n)),
			})
		}
		write(t, w.file("one"), file("one", "edge-0", 1))
		write(t, w.file("two"), file("two", "edge-1", 2))
		w.startServer()
		proxies := []*proxy{w.startProxy("edge-0"), w.startProxy("edge-1")}
		proxies[0].isOf("one")
		proxies[1].isOf("two")
		l := w.startLoad(proxies, 2, "")

		save(t, w.file("one"), file("one", "edge-1", 3))
		save(t, w.file("two"), file("two", "edge-0", 4))
		for i, fleet := range []string{"two", "one"} {
			proxies[i].isOf(fleet)
			proxies[i].runs("x-build", build(4-i))
			w.told(fleet, api.EventMovedIn, proxies[i].Node)
		}

		save(t, w.file("one"), []byte(strings.Replace(string(file("one", "edge-1", 5)), "fleet: one", "fleet: two", 1)))
		save(t, w.file("two"), []byte(strings.Replace(string(file("two", "edge-0", 6)), "fleet: two", "fleet: one", 1)))
		for i, fleet := range []string{"one", "two"} {
			proxies[i].runs("x-build", build(6-i))
			proxies[i].isOf(fleet)
		}
		l.unharmed(t)
	})
}
