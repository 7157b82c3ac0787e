package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/bootstrap"
	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/envoy"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// patience is how long the tests wait for anything; none of them is about speed.
const patience = 2 * time.Minute

// world is a server, its files, an echo service and proxies, for one test.
type world struct {
	t      *testing.T
	dir    string
	fleet  string // path of the fleet file
	module string // path of the module that it names
	listen string // of the server
	admin  string
	echo   *httptest.Server
	log    *syncBuffer // of every server that ran
	server *exec.Cmd
	exited chan error

	Variant     bool     // true: proxies speak state-of-the-world
	NoPreflight bool     // a bad filter is to reach a proxy
	Flags       []string // more of the server's command line
	// Bootstrap is more of the proxies' bootstraps, in YAML.
	Bootstrap string

	stderr *os.File // of the server, where it is not to be the log

	envoy string // the Envoy that proxies are of, from now on

	odd   []struct{ name, text, why string } // see oddListeners
	kinds []string                           // ports: see kindsYAML
}

// newWorld prepares a world in which nothing runs but the echo service.
func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{
		t: t, dir: dir, fleet: filepath.Join(dir, "fleet.yaml"), module: filepath.Join(dir, "filter.wasm"),
		listen: freeAddress(t), admin: freeAddress(t), log: &syncBuffer{},
		envoy: envoyPath,
	}
	w.echo = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("X-Token-Seen", strconv.FormatBool(r.Header.Get("Token") != ""))
		fmt.Fprintln(rw, "Welcome to WASM land")
	}))
	t.Cleanup(w.echo.Close)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log:\n%s", w.log.String())
		}
	})
	return w
}

// started is a world with a running server, a fleet and a module.
func started(t *testing.T, module []byte, change ...func(*world)) *world {
	t.Helper()
	w := newWorld(t)
	for _, c := range change {
		c(w)
	}
	write(t, w.fleet, w.fleetYAML(fleetOptions{}))
	write(t, w.module, module)
	w.startServer()
	return w
}

// startServer runs the server and waits until it answers.
func (w *world) startServer() {
	w.t.Helper()
	w.server = exec.Command(xdsPath, slices.Concat([]string{
		"serve", "--config", os.DevNull, "--fleet", w.fleetPath(), "--state", filepath.Join(w.dir, "state"),
		"--listen", w.listen, "--admin", w.admin, "--log-format", "json",
		"--preflight", map[bool]string{false: "on", true: "off"}[w.NoPreflight],
	}, w.Flags)...)
	w.server.Stdout, w.server.Stderr = w.log, w.log
	if w.stderr != nil {
		w.server.Stderr = w.stderr
	}
	if err := w.server.Start(); err != nil {
		w.t.Fatal(err)
	}
	exited, server := make(chan error, 1), w.server
	w.exited = exited
	go func() { exited <- server.Wait() }()
	w.t.Cleanup(func() { w.stopServer(server, exited, syscall.SIGTERM) })
	w.eventually("the server answers", func() error {
		_, err := w.get("http://" + w.admin + "/healthz")
		return err
	})
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
func (w *world) endServer(s syscall.Signal) { w.stopServer(w.server, w.exited, s) }

func (w *world) stopServer(server *exec.Cmd, exited chan error, s syscall.Signal) {
	_ = server.Process.Signal(s) // it may have ended
	err := <-exited
	exited <- err // for the cleanup
	if s == syscall.SIGTERM && err != nil && !strings.Contains(err.Error(), "killed") {
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
	p := &proxy{w: w, address: freeAddress(w.t), envoy: w.envoy, options: bootstrap.Options{
		NodeID: id, Cluster: "edge", Server: w.listen, Admin: "127.0.0.1:0", SotW: w.Variant, Command: w.t.Name(),
	}}
	p.options.Listen = map[string]string{"ingress": p.address}
	for _, c := range change {
		c(&p.options)
	}
	p.Node = p.options.NodeID
	p.start()
	return p
}

func (p *proxy) start() {
	t := p.w.t
	t.Helper()
	var text strings.Builder
	if err := bootstrap.Write(&text, p.options); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.w.dir, p.Node+".yaml")
	write(t, file, []byte(text.String()+p.w.Bootstrap))
	e, err := envoy.Start(envoy.Options{Path: p.envoy, Bootstrap: file, NodeID: p.Node, Dir: p.w.dir, LogLevel: "info"})
	if err != nil {
		t.Fatal(err)
	}
	p.Proxy = e
	t.Cleanup(func() {
		e.Stop()
		if t.Failed() {
			t.Logf("the log of %s:\n%s", p.Node, tail(p.LogFile, 30))
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
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("waiting until %s: %v", what, err)
		}
	}
}

// status asks the server.
func (w *world) status() (control.Status, error) {
	text, err := w.get("http://" + w.admin + "/v1/status")
	if err != nil {
		return control.Status{}, err
	}
	var s control.Status
	return s, json.Unmarshal([]byte(text), &s)
}

// get is a plain GET.
func (w *world) get(url string) (string, error) {
	resp, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return string(body), err
}

// freeAddress is an address that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := xdstest.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// syncBuffer is a buffer that a process writes while a test reads.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
