package e2e

import (
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"testing"
)

// badInput is what can be wrong on disk, and what the server says of it.
type badInput struct {
	name string
	want []string // in one line of the log, and in the status
	do   func(t *testing.T, w *world)
}

func badInputs(t *testing.T) []badInput {
	t.Helper()
	random := make([]byte, 5000)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	module := func(data []byte) func(*testing.T, *world) {
		return func(t *testing.T, w *world) { t.Helper(); save(t, w.module, data) }
	}
	fleet := func(change func(string) string) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			t.Helper()
			save(t, w.fleet, []byte(change(string(w.fleetYAML(fleetOptions{})))))
		}
	}
	good := gate(t, 9)
	remove := func(path func(*world) string) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			t.Helper()
			if err := os.Remove(path(w)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return []badInput{
		{"empty module", []string{"fleet.yaml:5: module", "the file is empty"}, module(nil)},
		{"truncated module", []string{"fleet.yaml:5: module", "cut short"}, module(good[:len(good)/2])},
		{"random module", []string{"fleet.yaml:5: module", "not a WebAssembly module"}, module(random)},
		{"a module of another kind", []string{"fleet.yaml:5: module", "no Proxy-Wasm filter"}, module([]byte("\x00asm\x01\x00\x00\x00"))},
		{"deleted module", []string{"fleet.yaml:5: module", "does not exist"}, remove(func(w *world) string { return w.module })},
		{"empty fleet file", []string{"fleet.yaml: the file is empty"}, fleet(func(string) string { return "" })},
		{"fleet file that is no YAML", []string{"fleet.yaml:2: "}, fleet(func(string) string { return "fleet: edge\n\tmatch: {}\n" })},
		{"unknown field", []string{`fleet.yaml:2: unknown field \"macth\"`}, fleet(func(s string) string { return strings.Replace(s, "match:", "macth:", 1) })},
		{"missing cluster", []string{`cluster \"nowhere\" does not exist`}, fleet(func(s string) string {
			return strings.Replace(s, "route: {cluster: echo}", "route: {cluster: nowhere}", 1)
		})},
		{"deleted fleet file", []string{"fleet.yaml: the fleet file does not exist"}, remove(func(w *world) string { return w.fleet })},
	}
}

// says is what the status says of it.
func (b badInput) says() string { return strings.ReplaceAll(b.want[len(b.want)-1], `\"`, `"`) }

// withEachBadInput runs a test for each, in a world with a good fleet and module on disk.
func withEachBadInput(t *testing.T, test func(t *testing.T, w *world, bad badInput)) {
	t.Helper()
	for _, bad := range badInputs(t) {
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			write(t, w.fleet, w.fleetYAML(fleetOptions{}))
			write(t, w.module, gate(t, 1))
			test(t, w, bad)
		})
	}
}

// Whatever is saved, the proxies go on with the last good revision, the error is
// clear, logged once and in the status, and the next good save heals it.
func TestBadInputLater(t *testing.T) {
	t.Parallel()
	w := started(t, gate(t, 0))
	proxies := w.proxies(2)
	l := w.startLoad(proxies, 1, "x-build")
	for i, bad := range badInputs(t) {
		t.Run(bad.name, func(t *testing.T) {
			before := w.logged(bad.want...)
			bad.do(t, w)
			w.problem(bad.says())
			lines := func() int { return w.logged(append(bad.want, `"level":"ERROR"`, "still_runs", "revision")...) - before }
			w.eventually("it is logged", func() error { // a moment after the status has it
				if lines() == 0 {
					return errors.New("it is not")
				}
				return nil
			})
			mustEqual(t, "lines that say so", lines(), 1)
			for _, p := range proxies {
				p.guards()
			}
			save(t, w.fleet, w.fleetYAML(fleetOptions{}))
			save(t, w.module, gate(t, i+1))
			for _, p := range proxies {
				p.runs("x-build", build(i+1))
			}
			w.problem("")
		})
	}
	l.end()
}

// At a first start with something wrong the server says so and waits. Until it
// heals no proxy lets anything through, the right token included.
func TestBadInputAtFirstStart(t *testing.T) {
	t.Parallel()
	withEachBadInput(t, func(t *testing.T, w *world, bad badInput) {
		bad.do(t, w)
		w.startServer()
		p := w.startProxy("edge-0")
		w.eventually("the proxy is connected", func() error { _, err := p.statusOf(); return err })
		w.problem(bad.says())
		if a, err := p.ask("token", "32323"); err == nil {
			t.Errorf("the proxy answers: %+v", a)
		}
		save(t, w.fleet, w.fleetYAML(fleetOptions{}))
		save(t, w.module, gate(t, 2))
		p.runs("x-build", build(2))
		p.guards()
	})
}

// A restarted server serves the last good revision, whatever is on disk.
func TestBadInputAtRestart(t *testing.T) {
	t.Parallel()
	withEachBadInput(t, func(t *testing.T, w *world, bad badInput) {
		w.startServer()
		first := w.proxies(1)[0]
		id := w.servingRevision(1)
		bad.do(t, w)
		w.endServer(9)
		w.startServer()
		w.problem(bad.says())
		second := w.startProxy("new") // has nothing, and gets all of it
		second.serves(id)
		first.serves(id)
		second.guards()
		first.guards()
		save(t, w.fleet, w.fleetYAML(fleetOptions{}))
		save(t, w.module, gate(t, 2))
		first.runs("x-build", build(2))
		second.runs("x-build", build(2))
	})
}
