package control_test

import (
	"errors"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control/controltest"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
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

// A proxy that goes to another fleet before its own has proven what excludes it loses nothing:
// where its own fleet's revision is rejected it has what it has proven elsewhere, and where
// that of the other is, it has what it had.
func TestSwapOfWhichOneIsRejected(t *testing.T) {
	for _, refuses := range []string{"who stays", "who moves"} {
		controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
			for id, tier := range map[string]string{"a": "a", "c": "a", "b": "b"} {
				w.Proxies.Connect(controltest.Node(id, map[string]string{"tier": tier}))
			}
			w.Save(map[string]string{
				"one.yaml": controltest.YAML("one", 1, staged, matching("a")),
				"two.yaml": controltest.YAML("two", 2, staged, matching("b")),
			})
			w.Pass(2 * time.Minute)
			before := w.Fleet("one").Serving
			mustServe(t, w, "a", "one", before)

			refusing := map[string]string{"who stays": "c", "who moves": "a"}[refuses]
			w.Now(func(p *controltest.Proxy) {
				p.Takes = func(pair snapshot.Pair) error {
					if pair.Live.ID == before.ID && pair.Shadow.ID == "" {
						return nil
					}
					return errors.New("no")
				}
			}, refusing)
			w.Save(map[string]string{
				"one.yaml": controltest.YAML("one", 3, staged, "match: {cluster: edge, id: c}"),
				"two.yaml": controltest.YAML("two", 4, staged, "match: {cluster: edge, id: a}"),
			})
			w.Pass(5 * time.Minute)
			one, two := w.Fleet("one"), w.Fleet("two")
			if refuses == "who stays" {
				if one.Serving != before || len(one.Rejected) != 1 || two.Serving.Number != 2 {
					t.Errorf("fleet one serves %+v and rejected %+v, two serves %+v", one.Serving, one.Rejected, two.Serving)
				}
				mustServe(t, w, "a", "two", two.Serving)
				mustServe(t, w, "c", "one", before)
				return
			}
			if two.Serving.Number != 1 || len(two.Rejected) != 1 || one.Serving.Number != 2 {
				t.Errorf("fleet two serves %+v and rejected %+v, one serves %+v", two.Serving, two.Rejected, one.Serving)
			}
			if p := w.Node("a"); p.Fleet != "one" || p.State != api.ProxyKept || p.Served != before {
				t.Errorf("it is to keep what it ran: %+v", p)
			}
		})
	}
}
