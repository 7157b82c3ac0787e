package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/bootstrap"
)

// A filter that looks at the client's address is proven where shadow listeners have ports of the
// loopback interface. On Unix sockets, where a client has none, its check fails, and no user meets it.
func TestClientAddress(t *testing.T) {
	t.Parallel()
	for name, ports := range map[string]bool{"ports": true, "sockets": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			write(t, w.fleet, w.fleetYAML(fleetOptions{Checks: `[{request: {path: /}, expect: {status: 200}}]`, Rollout: straight}))
			write(t, w.module, assemble(t, "local_only"))
			w.startServer()
			p := w.startProxy("edge-0", func(o *bootstrap.Options) {
				if ports {
					o.Shadow = freeAddresses(t, 16)
				}
			})
			if ports {
				w.servingRevision(1)
				p.wants(http.StatusOK, welcome)
				return
			}
			if r := w.rejection(0); !strings.Contains(r.Reason, "in its shadow listener") {
				t.Errorf("rejected for %s", r.Reason)
			}
		})
	}
}
