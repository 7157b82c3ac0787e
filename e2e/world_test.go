package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/bootstrap"
	"github.com/waxwing-xds/waxwing/internal/envoy"
	"github.com/waxwing-xds/waxwing/internal/rig"
	"github.com/waxwing-xds/waxwing/internal/rig/process"
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

// serve has another service behind the proxies.
func (w *world) serve(handler http.Handler) {
	w.t.Helper()
	var err error
	if w.echo, err = rig.StartService(handler); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.echo.Stop)
}

// log is that of every server that ran.
func (w *world) log() string {
	text, err := os.ReadFile(w.server.File("xds.log"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Error(err)
	}
	return string(text)
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

// begins runs the server with a fleet and a module.
func (w *world) begins(fleet, module []byte) {
	w.t.Helper()
	write(w.t, w.fleet, fleet)
	write(w.t, w.module, module)
	w.startServer()
}

// startServer runs the server and waits until it answers.
func (w *world) startServer() {
	w.t.Helper()
	w.server.Fleet = w.fleetPath()
	w.server.Flags = slices.Concat(w.Flags, []string{"--log-format", "json", "--preflight", map[bool]string{false: "on", true: "off"}[w.NoPreflight]})
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	err := w.server.Start(ctx)
	if running := w.server.Process; running != nil {
		w.t.Cleanup(func() { w.endProcess(running, syscall.SIGTERM) })
	}
	if err != nil {
		w.t.Fatalf("waiting until the server answers: %v", err)
	}
}

// fleetPath is the fleet file, or the folder of several.
func (w *world) fleetPath() string {
	if dir := filepath.Join(w.dir, "fleets"); exists(dir) {
		return dir
	}
	return w.fleet
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// endServer ends the server: SIGKILL for a crash.
func (w *world) endServer(s syscall.Signal) { w.endProcess(w.server.Process, s) }

func (w *world) endProcess(server *process.Process, s syscall.Signal) {
	server.Signal(s)
	<-server.Done()
	if err := server.Ended(); s == syscall.SIGTERM && err != nil && !strings.Contains(err.Error(), "killed") {
		w.t.Errorf("the server ended with %v", err)
	}
}

// proxy is a running Envoy and where it listens.
type proxy struct {
	*envoy.Proxy // another one after each start

	Node    string // stays, so that others may read it meanwhile
	w       *world
	address string
	admin   string
	options bootstrap.Options
	envoy   string // path of the binary
}

// startProxy runs an Envoy of the cluster "edge". It does not wait for it to serve.
func (w *world) startProxy(id string, change ...func(*bootstrap.Options)) *proxy {
	w.t.Helper()
	p := w.newProxy(id)
	for _, c := range change {
		c(&p.options)
	}
	p.start()
	return p
}

// newProxy is a proxy of which no Envoy runs yet.
func (w *world) newProxy(id string) *proxy {
	w.t.Helper()
	p := &proxy{Node: id, w: w, address: freeAddress(w.t), envoy: w.envoy, options: bootstrap.Options{SotW: w.Variant, Command: w.t.Name()}}
	p.options.Listen = map[string]string{"ingress": p.address}
	return p
}

// start runs the proxy's Envoy, with its files in the world's folder if it is not told another.
func (p *proxy) start(change ...func(*envoy.Options)) {
	t := p.w.t
	t.Helper()
	o := envoy.Options{Path: p.envoy, NodeID: p.Node, Dir: p.w.dir, LogLevel: "info", Overlay: p.w.Bootstrap}
	for _, c := range change {
		c(&o)
	}
	e, err := p.w.server.StartEnvoy(o, p.options)
	if err != nil {
		t.Fatal(err)
	}
	p.Proxy = e
	t.Cleanup(func() {
		e.Stop()
		if t.Failed() {
			t.Logf("the log of %s:\n%s", p.Node, e.Tail(30))
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if p.admin, err = e.Admin(ctx); err != nil {
		t.Fatal(err)
	}
}

// proxies runs several and waits until each serves.
func (w *world) proxies(n int) []*proxy {
	w.t.Helper()
	var all []*proxy
	for i := range n {
		all = append(all, w.startProxy(fmt.Sprintf("edge-%d", i)))
	}
	for _, p := range all {
		p.serves(w.servingRevision(n))
	}
	return all
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
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := rig.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}
