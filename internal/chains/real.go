package chains

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/bootstrap"
	"github.com/waxwing-xds/waxwing/internal/envoy"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// A Real is a server, its services and real Envoys, each with places of its own.
type Real struct {
	log     *slog.Logger
	dir     string
	keys    *Keys
	proxies []*realProxy
	server  *exec.Cmd
	exited  chan error
	listen  string
	admin   string
	client  *api.Client
	xds     string // path of the server's binary
	modules [2]string
	backend [2][Backends]*service // plain, with TLS
	load    *load
}

// realProxy is an Envoy. All of a host have the same fleet, so that there is one.
type realProxy struct{ *envoy.Proxy }

// RealOptions are what Real needs.
type RealOptions struct {
	Log        *slog.Logger
	XDS, Envoy string // binaries
	Dir        string // an empty folder
	SotW       bool
	Drain      time.Duration // of the Envoy's listeners, 0 for its default
}

// overlay lets an Envoy have internal listeners, and asks for a runtime layer.
const overlay = `bootstrap_extensions:
  - name: envoy.bootstrap.internal_listener
    typed_config: {"@type": type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener}
layered_runtime:
  layers:
    - {name: from-the-server, rtds_layer: {name: settings, rtds_config: {ads: {}, resource_api_version: V3}}}
`

// NewReal starts everything, with nothing to serve yet. End it, also after an error.
func NewReal(ctx context.Context, o RealOptions) (*Real, error) {
	r := &Real{log: o.Log, dir: o.Dir, xds: o.XDS}
	if err := r.prepare(ctx); err != nil {
		return r, err
	}
	if err := r.startServer(); err != nil {
		return r, err
	}
	return r, r.startEnvoy(o)
}

// prepare makes what the server and the proxies need.
func (r *Real) prepare(ctx context.Context) (err error) {
	if r.keys, err = NewKeys(); err != nil {
		return err
	}
	code, err := Modules(ctx)
	if err != nil {
		return err
	}
	for i := range code {
		r.modules[i] = filepath.Join(r.dir, fmt.Sprintf("keys-%d.wasm", i))
		if err := os.WriteFile(r.modules[i], code[i], 0o600); err != nil {
			return fmt.Errorf("a module: %w", err)
		}
	}
	for i := range Backends {
		for tls := range 2 {
			if r.backend[tls][i], err = newService(i, tls == 1, r.keys); err != nil {
				return err
			}
		}
	}
	for _, address := range []*string{&r.listen, &r.admin} {
		if *address, err = rig.FreeAddress(); err != nil {
			return err
		}
	}
	r.client = api.New(r.admin)
	setting, err := r.setting()
	if err != nil {
		return err
	}
	r.load = newLoad(setting)
	return nil
}

// setting takes ports that are free.
func (r *Real) setting() (Setting, error) {
	var ports [Places + 1]int
	for i := range ports {
		address, err := rig.FreeAddress()
		if err != nil {
			return Setting{}, err
		}
		_, port, _ := strings.Cut(address, ":")
		if _, err := fmt.Sscan(port, &ports[i]); err != nil {
			return Setting{}, fmt.Errorf("the port of %s: %w", address, err)
		}
	}
	return Setting{
		Port: func(place int) int { return ports[place] },
		// An abstract one: nothing is left of it.
		Path: func(place int) string { return fmt.Sprintf("@waxwing-chains/%d", ports[place]) },
		Backend: func(i int, tls bool) int {
			if tls {
				return r.backend[1][i].port
			}
			return r.backend[0][i].port
		},
		Modules: r.modules, Content: r.keys.Content, Deadline: 30 * time.Second,
	}, nil
}

func (r *Real) startServer() error {
	out, err := os.OpenFile(filepath.Join(r.dir, "xds.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("the server's log: %w", err)
	}
	defer out.Close()                                                                                              //nolint:errcheck // the process has its own descriptor
	r.server = exec.Command(r.xds, "serve", "--config", os.DevNull, "--fleet", filepath.Join(r.dir, "fleet.yaml"), //nolint:noctx // End ends it
		"--state", filepath.Join(r.dir, "state"), "--listen", r.listen, "--admin", r.admin)
	r.server.Stdout, r.server.Stderr = out, out
	if err := r.server.Start(); err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	r.exited = make(chan error, 1)
	go func() { r.exited <- r.server.Wait() }()
	return nil
}

func (r *Real) startEnvoy(o RealOptions) error {
	var text strings.Builder
	if err := bootstrap.Write(&text, bootstrap.Options{
		NodeID: "edge-0", Cluster: "edge", Server: r.listen, Admin: "127.0.0.1:0", SotW: o.SotW, Command: "chains",
	}); err != nil {
		return err
	}
	file := filepath.Join(r.dir, "envoy.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("a bootstrap: %w", err)
	}
	p, err := envoy.Start(envoy.Options{Path: o.Envoy, Bootstrap: file, NodeID: "edge-0", Dir: r.dir, Overlay: overlay, Drain: o.Drain, LogLevel: "info"})
	if err != nil {
		return err
	}
	r.proxies = append(r.proxies, &realProxy{p})
	return nil
}

// End ends everything.
func (r *Real) End() {
	if r.load != nil {
		r.load.end()
	}
	for _, p := range r.proxies {
		p.Stop()
	}
	if r.exited != nil {
		_ = r.server.Process.Signal(syscall.SIGTERM) // it may have ended
		<-r.exited                                   //nolint:errcheck // it was told to end
	}
	for _, of := range r.backend {
		for _, s := range of {
			if s != nil {
				s.close()
			}
		}
	}
}

// A Count is what came of a chain's requests.
type Count struct {
	Changes  int
	Requests int
	Between  int // answered with neither what was before nor what was after, and explained
	Refused  int // not answered where before and after answer, and explained: the gap
	Failed   int // not explained
}

// Add adds another chain's.
func (c *Count) Add(other Count) {
	c.Changes += other.Changes
	c.Requests += other.Requests
	c.Between += other.Between
	c.Refused += other.Refused
	c.Failed += other.Failed
}

// Play saves one state after another, each when the one before is served, under load. It
// stops at the first that does not end in serving or fails a request.
func (r *Real) Play(ctx context.Context, c Chain) (Count, error) {
	r.load.begin()                             //nolint:contextcheck // requests have an end of their own
	noise := rand.New(rand.NewPCG(c.Seed, 77)) //nolint:gosec // a test's choice
	for i, step := range c.Steps {
		kill := time.Duration(0)
		if c.Noise && noise.IntN(3) == 0 {
			kill = time.Duration(1+noise.IntN(1500)) * time.Millisecond
		}
		if err := r.save(ctx, c.Steps, i, kill); err != nil {
			return r.load.count(i), fmt.Errorf("step %d (%s): %w", i, step.What, err)
		}
		r.log.Info("served", "step", i, "change", step.What)
	}
	return r.load.count(len(c.Steps) - 1), nil
}

// save saves one state and waits until it is served. The server is killed so long after the
// save and started again, if at all: its proxies connect anew, wherever they are on the way.
func (r *Real) save(ctx context.Context, steps []Step, i int, kill time.Duration) error {
	after, before := &steps[i].Fleet, &steps[max(i-1, 0)].Fleet
	text, err := after.Render(r.load.setting)
	if err != nil {
		return err
	}
	if i == 0 {
		before = &Fleet{}
	}
	r.load.between(Transition{before, after})
	file := filepath.Join(r.dir, "fleet.yaml")
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return fmt.Errorf("saving the fleet: %w", err)
	}
	saved := time.Now()
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("saving the fleet: %w", err)
	}
	if kill > 0 {
		if err := r.killAfter(ctx, kill); err != nil {
			return err
		}
	}
	if err := r.until(ctx, func() error { return r.serves(ctx, saved) }); err != nil {
		return err
	}
	if err := r.until(ctx, func() error { return r.load.agrees(after) }); err != nil { //nolint:contextcheck // as above
		return err
	}
	r.load.between(Transition{after, after})
	return r.load.wrong()
}

// killAfter has the server end without notice, and another go on with what it left.
func (r *Real) killAfter(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := r.server.Process.Kill(); err != nil {
		return fmt.Errorf("killing the server: %w", err)
	}
	<-r.exited //nolint:errcheck // it was killed
	return r.startServer()
}

// patience is how long one change may take.
const patience = 60 * time.Second

// errRejected ends the wait: it will not be served.
var errRejected = errors.New("rejected")

func (r *Real) until(ctx context.Context, ok func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil || errors.Is(err, errRejected) {
			return err
		}
		select {
		case <-tick.C:
		case <-r.proxies[0].Done():
			return r.proxies[0].Err()
		case <-ctx.Done():
			return err
		}
	}
}

// settling is longer than the server takes to notice a save.
const settling = 300 * time.Millisecond

// serves says why what was saved is not served yet.
func (r *Real) serves(ctx context.Context, saved time.Time) error {
	status, err := r.client.Fleets(ctx)
	if err != nil {
		return err
	}
	if len(status.Fleets) != 1 {
		return fmt.Errorf("%d fleets", len(status.Fleets))
	}
	f := status.Fleets[0]
	if f.Rollout != nil && f.Rollout.Awaiting { // what a person does to a stage that is to be approved
		err := r.client.Do(ctx, api.Command{Verb: api.VerbPromote, By: "chains"})
		if err != nil && !errors.Is(err, api.ErrRefused) { // it may be over meanwhile
			return fmt.Errorf("approving a stage: %w", err)
		}
	}
	switch {
	case f.Problem != "":
		return fmt.Errorf("%w: %s", errRejected, f.Problem)
	case len(f.Rejected) > 0:
		return fmt.Errorf("%w: %s", errRejected, f.Rejected[0].Reason)
	case f.Pending || f.Rollout != nil || f.Serving.ID == "" || f.OnDisk != f.Serving.ID || time.Since(saved) < settling:
		return fmt.Errorf("not served: %+v", f.Rollout)
	}
	return nil
}

// A service says which one it is.
type service struct {
	port   int
	server *http.Server
}

// BackendHeader of an answer tells which service made it.
const BackendHeader = "x-backend"

func newService(i int, secure bool, keys *Keys) (*service, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not wait for anything
	if err != nil {
		return nil, fmt.Errorf("a service: %w", err)
	}
	s := &service{port: l.Addr().(*net.TCPAddr).Port, server: &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(BackendHeader, fmt.Sprint(i))
		}),
	}}
	if secure {
		l = keys.listener(l)
	}
	go s.server.Serve(l) //nolint:errcheck // close ends it
	return s, nil
}

func (s *service) close() { _ = s.server.Close() }
