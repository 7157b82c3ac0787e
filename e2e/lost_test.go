package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
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
		{"the directory by state-of-the-world", true, os.RemoveAll},
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

// The same, where what is on disk has changed meanwhile, with its listener. By delta a proxy
// says what it has, and proves the change beside that. By state-of-the-world it does not, and
// keeps it all, which is said, until another proxy has confirmed the change.
func TestStateIsLostAndFilesChanged(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		// Both proxies may be in trouble: else the revision is rejected for now, and tried again
		// for the one that joins.
		options := fleetOptions{Rollout: strings.Replace(prompt, "prove:", "limits: {troubled: 1}, prove:", 1), Checks: checks}
		w.begins(w.fleetYAML(options), gate(t, 1))
		proxies := w.proxies(2)
		w.servingRevision(2)
		stops := []func() (int, []string){keepers(proxies[0]), keepers(proxies[1])}
		w.endServer(syscall.SIGTERM)
		if err := os.RemoveAll(filepath.Join(w.dir, "state")); err != nil {
			t.Fatal(err)
		}
		if !w.Variant {
			options.Cluster = "renamed"
		}
		w.begins(bytes.Replace(w.fleetYAML(options), []byte("stat_prefix: ingress"), []byte("stat_prefix: changed"), 1), gate(t, 2))
		if w.Variant {
			for _, p := range proxies {
				p.inTrouble("it speaks state-of-the-world, and came back with clusters or listeners that this server does not know")
			}
			w.startProxy("edge-2").runs("x-build", build(2))
		}
		for i, p := range proxies {
			p.runs("x-build", build(2))
			p.serves(w.revisionAfter(1))
			unharmed(t, stops[i])
		}
	})
}
