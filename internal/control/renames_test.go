package control_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control/controltest"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// twoFleets has two that served something before what they serve, each in a file and to a proxy.
func twoFleets(t *testing.T, w *controltest.World) (alpha, beta api.Fleet) {
	t.Helper()
	w.Connect("p0", "p1")
	for _, port := range []int{1, 3} {
		w.Save(map[string]string{"a.yaml": named{"alpha", "p0"}.yaml(port), "b.yaml": named{"beta", "p1"}.yaml(port + 1)})
		w.Pass(5 * time.Minute)
	}
	alpha, beta = w.Fleet("alpha"), w.Fleet("beta")
	if alpha.Serving.Number != 2 || beta.Serving.Number != 2 {
		t.Fatalf("they do not serve: %+v, %+v", alpha.Serving, beta.Serving)
	}
	return alpha, beta
}

// mustBe is whether a fleet is what another was, with its file and proxy.
func mustBe(t *testing.T, w *controltest.World, name string, was api.Fleet, proxy string) {
	t.Helper()
	f := w.Fleet(name)
	if f.Serving != was.Serving || f.Previous != was.Previous || f.File != was.File || f.Retired != nil || f.Disk.State != api.DiskServed {
		t.Errorf("%s serves %+v, before %+v, and is of %s (%s); want %+v, %+v and %s", name, f.Serving, f.Previous, f.File, f.Disk.State, was.Serving, was.Previous, was.File)
	}
	mustServe(t, w, proxy, name, was.Serving)
	entries, err := w.History(t.Context(), name)
	said := fmt.Sprintf("to %s: its proxies, its history and what was rejected go along", name)
	if err != nil || !slices.ContainsFunc(entries, func(e api.Entry) bool {
		return e.Kind == api.EventRenamed && strings.HasPrefix(e.Reason, "from "+was.Fleet) && strings.HasSuffix(e.Reason, said)
	}) {
		t.Errorf("%s has no history of it: %+v, %v", name, entries, err)
	}
}

// Names that change hands among files which are what they were but for that, in one save, are
// renames: state, history and proxies go along, no proxy is given anything, undo goes back to
// what the same fleet served; also where the server ends when half of it is on disk.
func TestRenamedTogether(t *testing.T) {
	for _, to := range [][2]string{{"beta", "gamma"}, {"beta", "alpha"}, {"gamma", "alpha"}} {
		for _, lost := range []string{"", "fleets/alpha.json", "fleets/beta.json"} {
			t.Run(fmt.Sprint(to, lost), func(t *testing.T) {
				controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
					alpha, beta := twoFleets(t, w)
					given := len(w.Proxy("p0").Given) + len(w.Proxy("p1").Given)
					crash := w.Store.Restore(lost)
					w.Save(map[string]string{"a.yaml": named{to[0], "p0"}.yaml(3), "b.yaml": named{to[1], "p1"}.yaml(4)})
					w.Pass(time.Minute)
					if lost == "" {
						crash = func() {}
					} else {
						w.Stop()
					}
					crash()
					if now := len(w.Proxy("p0").Given) + len(w.Proxy("p1").Given); lost == "" && now != given {
						t.Errorf("proxies were given something: %q, %q", w.Proxy("p0").Given, w.Proxy("p1").Given)
					}
					w.Restart()
					w.Pass(2 * time.Minute)
					mustBe(t, w, to[0], alpha, "p0")
					mustBe(t, w, to[1], beta, "p1")
					if fleets := w.Status().Fleets; len(fleets) != 2 {
						t.Errorf("there are %d fleets", len(fleets))
					}
					do(t, w, api.Command{Fleet: to[0], Verb: rollout.Undo})
					w.Pass(time.Minute)
					mustServe(t, w, "p0", to[0], alpha.Previous)
				})
			})
		}
	}
}
