package e2e

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/chains"
)

// Ten random changes, one after another, of an Envoy under load: each ends in serving, and
// no request fails that the change does not explain. `make chains` makes more of them.
func TestChainOfChanges(t *testing.T) {
	t.Parallel()
	variants(t, func(t *testing.T, sotw bool) {
		seed := map[bool]uint64{false: 1, true: 3}[sotw]
		r, err := chains.NewReal(t.Context(), chains.RealOptions{
			Log: slog.New(slog.NewTextHandler(t.Output(), nil)), XDS: xdsPath, Envoy: envoyPath, Dir: t.TempDir(), SotW: sotw,
		})
		t.Cleanup(r.End)
		if err != nil {
			t.Fatal(err)
		}
		g := chains.NewGenerator(seed)
		g.Delta, g.InPlace = !sotw && !before(t, 37), before(t, 38)
		count, err := r.Play(t.Context(), g.NewChain(seed, 5))
		t.Logf("seed %d: %+v", seed, count)
		if err != nil {
			t.Error(err)
		}
		if count.Requests < 100 {
			t.Errorf("only %d requests were sent", count.Requests)
		}
	})
}

// A listener whose routes are by scope goes and comes again when nothing is left of it: an
// Envoy asks for scopes once, and not again for the new one, which would wait for them. And
// scopes that are renamed, or whose keys others get, are taken in one update.
func TestScopedListenerThatComesAgain(t *testing.T) {
	t.Parallel()
	scoped := func(listeners int, scopes ...chains.Scope) chains.Step {
		f := chains.Fleet{
			Listeners: []chains.Listener{
				{Name: "other", Kind: chains.Plain, Port: 2, Route: chains.Route{To: "c", Mark: 2}},
				{Name: "scoped", Kind: chains.Plain, Port: 1, Scoped: chains.BySRDS, Route: chains.Route{To: "c", Mark: 1}},
			},
			Clusters: []chains.Cluster{{Name: "c", Kind: chains.Static}},
			Routes:   []chains.Routes{{Name: "r", Route: chains.Route{To: "c", Mark: 5}}, {Name: "q", Route: chains.Route{To: "c", Mark: 6}}},
			Scopes:   scopes, Rollout: chains.Rollout{Stages: 1},
		}
		f.Listeners = f.Listeners[:listeners]
		return chains.Step{What: "another", Fleet: f}
	}
	a, b := chains.Scope{Name: "a", Key: "a", Routes: "r"}, chains.Scope{Name: "b", Key: "b", Routes: "q"}
	renamed := chains.Scope{Name: "c", Key: "a", Routes: "r"}
	swapped := []chains.Scope{{Name: "a", Key: "b", Routes: "q"}, {Name: "b", Key: "a", Routes: "r"}}
	gone := scoped(1, a, b)
	steps := []chains.Step{scoped(2, a, b), scoped(2, swapped...), scoped(2, renamed, b), gone, gone, gone, gone, gone, gone, scoped(2, a, b)}
	variants(t, func(t *testing.T, sotw bool) {
		r, err := chains.NewReal(t.Context(), chains.RealOptions{
			Log: slog.New(slog.NewTextHandler(t.Output(), nil)), XDS: xdsPath, Envoy: envoyPath, Dir: t.TempDir(), SotW: sotw, Drain: time.Second,
		})
		defer r.End()
		if err != nil {
			t.Fatal(err)
		}
		count, err := r.Play(t.Context(), chains.Chain{Steps: steps})
		t.Logf("%+v", count)
		switch late := before(t, 38); {
		case late && (err == nil || !strings.Contains(err.Error(), noLateScopes)):
			t.Errorf("it ends with %v, want %q", err, noLateScopes)
		case !late && err != nil:
			t.Error(err)
		}
	})
}
