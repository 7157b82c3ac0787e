package e2e

import (
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// A save has all requests go to a cluster that leads nowhere. It is rejected for what is around
// it, and tried again and again: each time on one of the three proxies, and for a moment.
func TestTriesAgainAreBounded(t *testing.T) {
	t.Parallel()
	w, proxies := stagedWorld(t, 3, func(_ *world, o *fleetOptions) {
		o.Rollout = `{stages: [{name: all, percent: 100, bake: 1s}]}`
	})
	_, port := w.service()
	text := strings.ReplaceAll(string(w.fleetYAML(fleetOptions{Rollout: `{stages: [{name: all, percent: 100, bake: 1s}]}`, Checks: checks})), "port_value: "+port, "port_value: 1")
	save(t, w.fleet, []byte(text))
	if r := w.rejection(0); !r.Surroundings {
		t.Fatalf("rejected for %+v", r)
	}
	w.fleetIs("it is rejected", func(f api.Fleet) bool { return len(f.Rejected) == 1 })
	stop := users(proxies)
	w.fleetIs("it was tried four times more", func(f api.Fleet) bool {
		return len(f.Rejected) == 1 && f.Rejected[0].Tries >= 4
	})
	wrong := stop()
	at := map[string]int{}
	for _, one := range wrong {
		node, _, _ := strings.Cut(one, ":")
		at[node]++
	}
	t.Logf("%d wrong answers in four tries: %v", len(wrong), at)
	if len(wrong) > 120 {
		t.Errorf("%d wrong answers in four tries, the first: %s", len(wrong), wrong[0])
	}
}
