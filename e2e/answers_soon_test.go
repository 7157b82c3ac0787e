package e2e

import (
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// A path is opened to all as soon as another revision is served, so that little is known of what
// users are answered by that: it is found on the canary, by what the other proxies go on answering.
// A proxy that is alone answers for some seconds first, and its status says so.
func TestAnswersRightAfterAnotherRollout(t *testing.T) {
	t.Parallel()
	const route, found, forbidden = "route: {cluster: echo}", "direct_response: {status: 200}", "direct_response: {status: 403}"
	for name, proxies := range map[string]int{"alone": 1, "with others": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Answers = true
			w.begins(w.answering(route, forbidden, ""), gate(t, 1))
			all := w.proxies(proxies)
			stop := visiting(all, "/", "/denied", "/denied")
			defer stop()
			w.flushes(5)

			save(t, w.fleet, w.answering(found, forbidden, "")) // its answers are of the same class
			w.happened(api.EventServing, 2)
			save(t, w.fleet, w.answering(found, route, ""))
			if proxies == 1 {
				w.fleetIs("it says what it waits for", func(f api.Fleet) bool {
					return f.WaitsFor != nil && f.WaitsFor.Kind == api.WaitBaseline &&
						strings.Contains(f.WaitsFor.Text, "no other proxies to compare with")
				})
			}
			r := w.rejection(0)
			if !strings.Contains(r.Reason, "are 4xx") {
				t.Errorf("rejected for %s", r.Reason)
			}
			for _, e := range w.history() {
				if e.Revision.Number == r.Number && e.Kind == api.EventFlipped && !strings.HasPrefix(e.Reason, "1 proxy") {
					t.Errorf("not on the canary alone: %s", e.Reason)
				}
			}
			t.Log(r.Reason)
		})
	}
}
