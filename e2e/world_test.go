package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// patience is how long the tests wait for anything; none of them is about speed.
const patience = 2 * time.Minute

// world is a server, its files, an echo service and proxies, for one test.
type world struct {
	t      *testing.T
	dir    string
	fleet  string // path of the fleet file
	module string // path of the module that it names
	server *rig.Server
	listen string // of the server
	admin  string
	echo   *rig.Service

	Variant     bool     // true: proxies speak state-of-the-world
	NoPreflight bool     // a bad filter is to reach a proxy
	Answers     bool     // what users are answered is judged
	Flags       []string // more of the server's command line
	// Bootstrap is more of the proxies' bootstraps, in YAML.
	Bootstrap string

	envoy string // the Envoy that proxies are of, from now on

	odd   []struct{ name, text, why string } // see oddListeners
	kinds []string                           // ports: see kindsYAML
}

// newWorld prepares a world in which nothing runs but the echo service.
func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	server, err := rig.NewServer(xdsPath, dir)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, dir: dir, fleet: server.File("fleet.yaml"), module: server.File("filter.wasm"),
		server: server, listen: server.Listen, admin: server.Admin, envoy: envoyPath,
	}
	w.serve(rig.Echo())
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log:\n%s", w.log())
		}
	})
	return w
}

// unraced has a server without the race detector: a filter that was built by Go keeps the sandbox
// busy, and so the processors.
func (w *world) unraced() { w.server.Path = plainPath }

// serve has another service behind the proxies.
func (w *world) serve(handler http.Handler) {
	w.t.Helper()
	var err error
	if w.echo, err = rig.StartService(handler); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.echo.Stop)
}

// started is a world with a running server, a fleet and a module.
func started(t *testing.T, module []byte, change ...func(*world)) *world {
	t.Helper()
	w := newWorld(t)
	for _, c := range change {
		c(w)
	}
	w.begins(w.fleetYAML(fleetOptions{}), module)
	return w
}

// begun is a world with a running server, a fleet of options and a module.
func begun(t *testing.T, o fleetOptions, module []byte) *world {
	t.Helper()
	w := newWorld(t)
	w.begins(w.fleetYAML(o), module)
	return w
}

// begunGo is one with a module that was built by Go.
func begunGo(t *testing.T, o fleetOptions, module []byte) *world {
	t.Helper()
	w := newWorld(t)
	w.unraced()
	w.begins(w.fleetYAML(o), module)
	return w
}

// begins runs the server with a fleet and a module, and waits until it has read them: what is
// saved after that is another revision.
func (w *world) begins(fleet, module []byte) {
	w.t.Helper()
	write(w.t, w.fleet, fleet)
	write(w.t, w.module, module)
	w.startServer()
	w.eventually("the first files are read", func() error {
		s, err := w.status()
		if err != nil {
			return err
		}
		if s.Unsettled || len(s.Fleets)+len(s.Problems) == 0 ||
			slices.ContainsFunc(s.Fleets, func(f api.Fleet) bool { return f.Pending || f.Disk.State == api.DiskReading }) {
			return fmt.Errorf("the status is %v", s)
		}
		return nil
	})
}

// eventually asks until it is so.
func (w *world) eventually(what string, ok func() error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := rig.Until(ctx, ok); err != nil {
		w.t.Fatalf("waiting until %s: %v", what, err)
	}
}

// status asks the server.
func (w *world) status() (api.Status, error) { return w.server.API.Status(w.t.Context()) }

// get is a plain GET.
func (w *world) get(url string) (string, error) {
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	a, err := rig.Do(http.DefaultClient, req)
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("%d: %s", a.Status, a.Body)
	}
	return a.Body, err
}

// freeAddress is an address that nothing listens on.
func freeAddress(t *testing.T) string { return freeAddresses(t, 1) }

// freeAddresses is the first of some with consecutive ports.
func freeAddresses(t *testing.T, n int) string {
	t.Helper()
	address, err := rig.FreeAddresses(n)
	if err != nil {
		t.Fatal(err)
	}
	return address
}
