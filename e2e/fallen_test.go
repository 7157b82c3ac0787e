package e2e

import (
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// A proxy that ends as soon as it has a revision is not followed by another: its stage waits for it,
// says so, and the revision is rejected when it does not come back. The other proxy keeps what it runs.
func TestProxyThatEndsByARevision(t *testing.T) {
	t.Parallel()
	w, proxies := fleetsWorld(t)
	const rollout = `{prove: 100ms, stages: [{name: canary, proxies: 1, approve: manual, deadline: 20s}, {name: all, percent: 100}]}`
	save(t, w.file("edge"), w.fleetYAML(fleetOptions{Rollout: rollout, Checks: checks}))
	w.told("edge", api.EventReplanned, "")
	canary, rest := w.canaryOf(3, proxies)
	l := w.startLoad(rest, 2, "")
	canary.Kill()
	w.told("edge", api.EventRejected, "and has not come back for 20s: no other proxy is given what may end it, too")
	rest[0].isOfWith("edge", 1)
	canary.start()
	canary.isOfWith("edge", 1)
	l.unharmed(t)
}
