package e2e

import (
	"net/http"
	"sync"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// tallied counts the probes that reach the service, by the check that they ask.
type tallied struct {
	next   http.Handler
	mu     sync.Mutex
	probes map[string]int
}

func (c *tallied) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if name := r.Header.Get("X-Waxwing-Check"); name != "" {
		c.mu.Lock()
		c.probes[name]++
		c.mu.Unlock()
	}
	c.next.ServeHTTP(rw, r)
}

// While a stage bakes, a service is asked each check a hundred times at the interval of the fleet file,
// here 20 ms, and then at ten times that: some 120 times in six seconds, and not 300.
func TestServiceIsAskedLessOften(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	service := &tallied{next: rig.Echo(), probes: map[string]int{}}
	w.serve(service)
	const rollout = "{probes: {interval: 20ms}, watch: 0s, stages: [{name: all, percent: 100, bake: 6s}]}"
	w.begins(w.fleetYAML(fleetOptions{Checks: checks, Rollout: rollout}), gate(t, 1))
	w.startProxy("edge-0")
	w.servingRevision(1)
	save(t, w.module, gate(t, 2))
	w.happened(api.EventServing, 2)
	service.mu.Lock()
	defer service.mu.Unlock()
	t.Log(service.probes)
	// Those of the first revision's stage, of its shadow's and of a baseline beside them.
	if n := service.probes["gate#1"]; n < 100 || n > 200 {
		t.Errorf("the service was asked %d times in a bake of six seconds", n)
	}
}
