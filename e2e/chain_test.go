package e2e

import (
	"log/slog"
	"testing"

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
		count, err := r.Play(t.Context(), chains.NewGenerator(seed).NewChain(seed, 5))
		t.Logf("seed %d: %+v", seed, count)
		if err != nil {
			t.Error(err)
		}
		if count.Requests < 100 {
			t.Errorf("only %d requests were sent", count.Requests)
		}
	})
}
