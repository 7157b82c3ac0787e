package control_test

import (
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/control/controltest"
)

func matching(tier string) string { return "match: {cluster: edge, labels: {tier: " + tier + "}}" }

// Two fleets whose matches are swapped, with new content in both, change proxies: each of
// these is served throughout, and proven in its new fleet; also where the server is
// restarted in between.
func TestSwappedMatches(t *testing.T) {
	for _, how := range []string{"matches", "matches, restart", "names"} {
		controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
			for _, tier := range []string{"a", "b"} {
				w.Proxies.Connect(controltest.Node(tier, map[string]string{"tier": tier}))
			}
			w.Save(map[string]string{
				"one.yaml": controltest.YAML("one", 1, staged, matching("a")),
				"two.yaml": controltest.YAML("two", 2, staged, matching("b")),
			})
			w.Pass(2 * time.Minute)
			mustServe(t, w, "a", "one", w.Fleet("one").Serving)
			mustServe(t, w, "b", "two", w.Fleet("two").Serving)
			files := map[string]string{
				"one.yaml": controltest.YAML("one", 3, staged, matching("b")),
				"two.yaml": controltest.YAML("two", 4, staged, matching("a")),
			}
			if how == "names" {
				files["one.yaml"], files["two.yaml"] = files["two.yaml"], files["one.yaml"]
			}
			w.Save(files)
			if how == "matches, restart" {
				w.Restart()
			}
			w.Pass(5 * time.Minute)
			for fleet, id := range map[string]string{"one": "b", "two": "a"} {
				f := w.Fleet(fleet)
				if f.Serving.Number != 2 || f.WaitsFor != nil {
					t.Errorf("%s: fleet %s serves %d, waits for %+v, notices %q", how, fleet, f.Serving.Number, f.WaitsFor, f.Notices)
				}
				mustServe(t, w, id, fleet, f.Serving)
			}
		})
	}
}
