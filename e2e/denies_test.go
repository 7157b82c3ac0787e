package e2e

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// A service that answers 404 while it starts is told from the filters, which the shadow has
// proven: a first revision waits for it, and is served when it is ready.
func TestServiceThatDeniesAtTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ready atomic.Bool
	echo := rig.Echo()
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !ready.Load() {
			rw.WriteHeader(http.StatusNotFound)
			return
		}
		echo.ServeHTTP(rw, r)
	}))
	write(t, w.fleet, w.fleetYAML(fleetOptions{Checks: checks}))
	write(t, w.module, gate(t, 1))
	w.startServer()
	p := w.startProxy("edge-0")
	w.awaitsService(1)
	f, err := w.onlyFleet()
	if err != nil || f.WaitsFor == nil || f.WaitsFor.Until.IsZero() {
		t.Errorf("the wait has no end: %+v, %v", f.WaitsFor, err)
	}
	p.wants(http.StatusNotFound, "", "token", "32323")
	p.wants(403, forbidden, "token", "432323")
	ready.Store(true)
	w.servingRevision(1)
	p.guards()
	for _, e := range w.history() {
		if e.Kind == api.EventRejected {
			t.Errorf("rejected: %+v", e)
		}
	}
}
