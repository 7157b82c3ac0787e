package e2e

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A server that has lost its state does not know what the proxies run. They keep it, until
// they have proven and taken what is on disk, and no request fails for it.
func TestStateIsLost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		sotw bool
		lose func(state string) error
	}{
		{"the directory", false, os.RemoveAll},
		{"a damaged file by state-of-the-world", true, func(state string) error {
			return os.WriteFile(filepath.Join(state, "fleets", "edge.json"), []byte("{"), 0o600)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Variant = c.sotw
			w.begins(w.fleetYAML(fleetOptions{Rollout: prompt, Checks: checks}), gate(t, 1))
			proxies := w.proxies(2)
			w.servingRevision(2)
			l := w.startLoad(proxies, 2, "x-build")
			w.endServer(syscall.SIGTERM)
			if err := c.lose(filepath.Join(w.dir, "state")); err != nil {
				t.Fatal(err)
			}
			w.startServer()
			w.servingRevision(2)
			save(t, w.module, gate(t, 2))
			for _, p := range proxies {
				p.runs("x-build", build(2))
			}
			l.end()
		})
	}
}
