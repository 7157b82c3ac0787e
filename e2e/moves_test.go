package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// fleetsWorld is a folder of fleet files, in which edge.yaml serves two proxies.
func fleetsWorld(t *testing.T, change ...func(*world)) (*world, []*proxy) {
	t.Helper()
	w := newWorld(t)
	for _, c := range change {
		c(w)
	}
	mkdir(t, filepath.Join(w.dir, "fleets"))
	write(t, w.file("edge"), w.fleetYAML(fleetOptions{Rollout: staged, Checks: checks}))
	write(t, w.module, gate(t, 1))
	w.startServer()
	return w, w.proxies(2)
}

func (w *world) file(name string) string { return filepath.Join(w.dir, "fleets", name+".yaml") }

// moduleFile writes another build of the small filter.
func (w *world) moduleFile(name string, module []byte) string {
	path := filepath.Join(w.dir, name+".wasm")
	write(w.t, path, module)
	return path
}

// canaries is a fleet file that claims one of the proxies of edge.
func (w *world) canaries(o fleetOptions) []byte {
	o.Name, o.Match, o.Rollout = "canaries", "{cluster: edge, id: edge-0}", staged
	if o.Checks == "" {
		o.Checks = checks
	}
	return w.fleetYAML(o)
}

// isOf waits until a proxy is of a fleet, and of that alone.
func (p *proxy) isOf(fleet string) {
	p.w.t.Helper()
	p.w.eventually(p.Node+" is of "+fleet, func() error {
		s, err := p.statusOf()
		if err == nil && (s.Fleet != fleet || s.Arriving != "" || s.State != control.StateServing) {
			err = fmt.Errorf("it is of %q, on its way to %q, %s", s.Fleet, s.Arriving, s.State)
		}
		return err
	})
}

// told waits until the history of a fleet has an entry of a kind, which names a proxy.
func (w *world) told(fleet string, kind rollout.Kind, what string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("the history of %s says %q of %s", fleet, kind, what), func() error {
		text, err := w.get("http://" + w.admin + "/v1/history?fleet=" + fleet)
		var entries []rollout.Entry
		if err == nil {
			err = json.Unmarshal([]byte(text), &entries)
		}
		if err == nil && !slices.ContainsFunc(entries, func(e rollout.Entry) bool { return e.Kind == kind && strings.Contains(e.Reason, what) }) {
			err = fmt.Errorf("it has %s", text)
		}
		return err
	})
}

// unharmed says how many of the requests of a test failed; none may.
func (l *load) unharmed(t *testing.T) {
	t.Helper()
	failed := 0
	l.mu.Lock()
	for _, n := range l.wrong {
		failed += n
	}
	l.mu.Unlock()
	l.end()
	t.Logf("failed requests: %d of %d", failed, l.requests.Load())
}

// A proxy that another file claims keeps what it runs until it has proven that fleet's
// revision, and is given back when the file is gone; one that fails keeps it for good.
func TestClaimedProxy(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		w, proxies := fleetsWorld(t, func(w *world) { w.Variant = sotw })
		l := w.startLoad(proxies, 2, "")
		// One that preflight refuses, and one that nobody can read, move nobody.
		bad := w.moduleFile("bad", fault{name: "forbids all", request: "(return (call $deny))"}.module(t))
		save(t, w.file("canaries"), w.canaries(fleetOptions{Module: bad}))
		w.problem("403")
		save(t, w.file("canaries"), []byte("fleet: canaries\nnonsense: 1\n"))
		w.problem("nonsense")
		proxies[0].isOf("edge")

		save(t, w.file("canaries"), w.canaries(fleetOptions{Module: w.moduleFile("other", gate(t, 101))}))
		proxies[0].runs("x-build", build(101))
		proxies[0].isOf("canaries")
		proxies[1].isOf("edge")
		w.told("canaries", rollout.MovedIn, "edge-0")
		w.told("edge", rollout.MovedOut, "edge-0")
		l.unharmed(t)
		if err := os.Remove(w.file("canaries")); err != nil {
			t.Fatal(err)
		}
	})
}
