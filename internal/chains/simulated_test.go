package chains

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
	runtimev3 "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/confine"
	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/control/controltest"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/store"
	"github.com/waxwing-xds/waxwing/internal/xds"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// fleetFile is the fleet file's path.
const fleetFile = "fleet.yaml"

// simWorld is a server and its simulated proxies, all in one process and without a
// socket. In a synctest bubble its time costs nothing.
type simWorld struct {
	root    string // the fleet file, or the folder of them
	setting Setting
	dir     string
	log     *controltest.Log
	content map[string][]byte

	mu       sync.Mutex
	listener *bufconn.Listener // of the running server
	control  *control.Control
	files    *files
	stop     func() error // ends the server

	delta   bool // all proxies speak it
	proxies []*simProxy
	certs   map[string]int // by its text, the turn and one

	stateMu    sync.Mutex
	transition Transition
	wrong      []string
}

type simProxy struct {
	*xdstest.Envoy
	conn   *grpc.ClientConn
	cancel context.CancelFunc
	done   chan struct{}
	fresh  bool // a new process: it may answer nothing yet
}

func newSimWorld(t *testing.T, setting Setting, modules [2][]byte, dir string) *simWorld {
	t.Helper()
	w := &simWorld{root: fleetFile, setting: setting, dir: dir, log: &controltest.Log{}, content: map[string][]byte{}, certs: map[string]int{}}
	for i, file := range setting.Modules {
		w.content[file] = modules[i]
	}
	for turn := range Turns {
		chain := setting.Content(Certificate, turn).(object)["tls_certificate"].(object)["certificate_chain"].(object)
		w.certs[chain["inline_string"].(string)] = turn + 1
	}
	return w
}

// start starts the server over what the last one left.
func (w *simWorld) start() error {
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	dir, err := store.Open(filepath.Join(w.dir, "state"))
	if err != nil {
		return err
	}
	server, files := xds.NewServer(log, xds.Limits{}), newFiles(w.content)
	source := build.NewFiles(w.root, files, build.NewMaker(build.Inspect{}, confine.Rule{}))
	loop, err := control.New(control.Config{Log: log, Source: source, XDS: server, Store: dir})
	if err != nil {
		return errors.Join(err, dir.Close())
	}
	l := bufconn.Listen(1 << 20)
	g := grpc.NewServer(server.Options()...)
	server.Register(g)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = source.Run(ctx) })
	running.Go(func() { _ = loop.Run(ctx) })
	running.Go(func() { _ = g.Serve(l) })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listener, w.control, w.files = l, loop, files
	w.stop = func() error {
		cancel()
		g.Stop()
		running.Wait()
		return dir.Close()
	}
	return nil
}

func (w *simWorld) dial(ctx context.Context, _ string) (net.Conn, error) {
	w.mu.Lock()
	l := w.listener
	w.mu.Unlock()
	return l.DialContext(ctx)
}

// startProxy starts a new process of the i-th proxy.
func (w *simWorld) startProxy(i int, sotw bool, drain time.Duration) error {
	p, err := w.launch(xdstest.EnvoyConfig{Node: simNode(i), Layers: []string{"settings"}[:(i+1)%2], SotW: sotw, Drain: drain}, w.look)
	switch {
	case err != nil:
		return err
	case i < len(w.proxies):
		w.proxies[i].end()
		w.proxies[i] = p
	default:
		w.proxies = append(w.proxies, p)
	}
	return nil
}

// launch starts a proxy, and has it looked at whenever something of it has changed.
func (w *simWorld) launch(config xdstest.EnvoyConfig, look func(*simProxy)) (*simProxy, error) {
	conn, err := grpc.NewClient("passthrough:///server", grpc.WithContextDialer(w.dial), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)), grpc.WithNoProxy(), grpc.WithIdleTimeout(0))
	if err != nil {
		return nil, err
	}
	p := &simProxy{conn: conn, done: make(chan struct{}), fresh: true}
	config.Filter, config.Changed = keysFilter, func(*xdstest.Envoy) { look(p) }
	p.Envoy = xdstest.NewEnvoy(config)
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go func() {
		defer close(p.done)
		p.Run(ctx, conn)
	}()
	return p, nil
}

func (p *simProxy) end() {
	p.cancel()
	<-p.done
	_ = p.conn.Close()
}

func simNode(i int) *corev3.Node {
	evidence := structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{structpb.NewStringValue("health")}})
	return &corev3.Node{Id: fmt.Sprintf("edge-%d", i), Cluster: "edge", Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{
		"waxwing": structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"evidence": evidence}}),
	}}}
}

// keysFilter does what keys.wat does.
func keysFilter(plugin *wasmv3.PluginConfig, headers map[string]string) int {
	var config wrapperspb.StringValue
	if err := plugin.GetConfiguration().UnmarshalTo(&config); err != nil {
		return 500
	}
	header, value, _ := strings.Cut(config.GetValue(), "=")
	if headers[header] == value {
		return 0
	}
	code := string(plugin.GetVmConfig().GetCode().GetLocal().GetInlineBytes())
	_, digits, _ := strings.Cut(code, "status: ")
	if len(digits) < 3 {
		return 500
	}
	status, _ := strconv.Atoi(digits[:3])
	return status
}

// ask asks a simulated proxy.
func (w *simWorld) ask(p *simProxy, place int, l *Listener, r Request) (Answer, string) {
	address := fmt.Sprintf("127.0.0.1:%d", w.setting.Port(place))
	if l != nil && l.Kind == Pipe {
		address = "unix:" + w.setting.Path(place)
	}
	a := p.Ask(address, xdstest.SimRequest{TLS: r.TLS, Headers: r.Headers()})
	if a.Failed != "" {
		return Answer{}, a.Failed
	}
	out := Answer{Status: a.Status, Mark: a.Headers[MarkHeader], Cert: w.certs[a.Certificate]}
	if out.Status == 0 {
		out.Status = 200
	}
	if _, port, err := net.SplitHostPort(a.Endpoint); err == nil {
		n, _ := strconv.Atoi(port)
		out.Backend = strconv.Itoa(n % 100)
	}
	return out, ""
}

// look asks a proxy all there is to ask, and notes what nothing explains.
func (w *simWorld) look(p *simProxy) {
	w.stateMu.Lock()
	defer w.stateMu.Unlock()
	if w.transition.Before != nil {
		w.explains(w.transition, p)
	}
}

// explains asks a proxy all there is to ask while one fleet follows another. stateMu is held.
func (w *simWorld) explains(t Transition, p *simProxy) {
	for place := 1; place <= Places; place++ {
		l := t.After.At(place)
		if l == nil {
			l = t.Before.At(place)
		}
		for _, r := range t.Requests(place) {
			got, failed := w.ask(p, place, l, r)
			if got.Status == 0 && p.fresh {
				continue
			}
			if wrong := t.Explain(place, r, got); wrong != "" {
				w.note("%s, place %d, %+v: %s %s", p.Node(), place, r, wrong, failed)
			}
		}
	}
}

func (w *simWorld) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(w.wrong, text) {
		w.wrong = append(w.wrong, text)
	}
}

// agrees waits until the fleet is served by every proxy.
func (w *simWorld) agrees(f *Fleet) error {
	var last error
	for range 1800 { // of 100 ms, none of which costs anything
		if last = w.serves(f); last == nil || strings.Contains(last.Error(), "rejected") {
			return last
		}
		time.Sleep(100 * time.Millisecond) //nolint:forbidigo // of a bubble
	}
	return last
}

// serves says why the fleet is not served, nil if it is.
func (w *simWorld) serves(f *Fleet) error {
	if w.files.Unsettled() {
		return errors.New("the save was not taken")
	}
	status, err := w.control.Status(context.Background(), len(w.proxies)+1)
	if err != nil {
		return err
	}
	if len(status.Fleets) != 1 {
		return fmt.Errorf("there are %d fleets; problems: %v", len(status.Fleets), status.Problems)
	}
	s := status.Fleets[0]
	if s.Rollout != nil && s.Rollout.Awaiting {
		if err := w.control.Do(context.Background(), api.Command{Verb: rollout.Promote, By: "a test"}); err != nil && !errors.Is(err, control.ErrRefused) {
			return err
		}
	}
	switch {
	case s.Problem != "":
		return fmt.Errorf("rejected: what is on disk can't be served: %s", s.Problem)
	case len(s.Rejected) > 0:
		return fmt.Errorf("rejected: %s: %s", s.Rejected[0].Node, s.Rejected[0].Reason)
	case s.Pending || s.Rollout != nil || s.Serving.ID == "" || s.OnDisk != s.Serving.ID:
		return fmt.Errorf("not served yet: %+v", s.Rollout)
	case len(status.Proxies) != len(w.proxies):
		return fmt.Errorf("%d proxies are connected, want %d", len(status.Proxies), len(w.proxies))
	}
	for _, p := range status.Proxies {
		if p.State != api.ProxyServing {
			return fmt.Errorf("%s is %s", p.Node, p.State)
		}
	}
	for _, p := range w.proxies {
		if err := w.has(p, f); err != nil {
			return fmt.Errorf("%s: %w", p.Node(), err)
		}
	}
	return nil
}

// has says what a proxy has that is not the fleet's, or lacks of it.
func (w *simWorld) has(p *simProxy, f *Fleet) error {
	if warming := p.Warming(); len(warming) > 0 {
		return fmt.Errorf("warming: %s", strings.Join(warming, "; "))
	}
	var have []string
	for name := range p.Listeners() {
		if !strings.HasPrefix(name, snapshot.ShadowPrefix) {
			have = append(have, name)
		}
	}
	want := make([]string, len(f.Listeners))
	for i, l := range f.Listeners {
		want[i] = l.Name
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		return fmt.Errorf("it has the listeners %v, want %v", have, want)
	}
	for place := 1; place <= Places; place++ {
		for _, r := range (Transition{f, f}).Requests(place) {
			if got, failed := w.ask(p, place, f.At(place), r); got != f.Answer(place, r) {
				return fmt.Errorf("place %d, %+v: answer %+v, want %+v %s", place, r, got, f.Answer(place, r), failed)
			}
		}
	}
	if wrong := p.setting(f); wrong != nil {
		return wrong
	}
	if faults := p.Faults(); len(faults) > 0 {
		return fmt.Errorf("rejected: %s", strings.Join(faults, "; "))
	}
	return nil
}

// setting says what is wrong with the runtime layer, if the proxy asks for it.
func (p *simProxy) setting(f *Fleet) error {
	packed := p.Layer("settings")
	if packed == nil {
		return nil
	}
	var layer runtimev3.Runtime
	if err := packed.UnmarshalTo(&layer); err != nil {
		return fmt.Errorf("a runtime layer: %w", err)
	}
	if got := layer.GetLayer().GetFields()["chains"].GetNumberValue(); int(got) != f.Setting {
		return fmt.Errorf("its runtime layer says %v, want %d", got, f.Setting)
	}
	return nil
}

// between sets what may be answered from now on.
func (w *simWorld) between(before, after *Fleet) {
	w.stateMu.Lock()
	defer w.stateMu.Unlock()
	w.transition = Transition{before, after}
}

// end ends all, and says what was wrong.
func (w *simWorld) end() error {
	for _, p := range w.proxies {
		p.end()
	}
	err := w.stop()
	w.stateMu.Lock()
	defer w.stateMu.Unlock()
	if len(w.wrong) > 0 {
		err = errors.Join(err, errors.New(strings.Join(w.wrong, "\n")))
	}
	return err
}

// play plays a chain, in a bubble. The error says at which step what went wrong.
func play(t *testing.T, c Chain, setting Setting, modules [2][]byte) (err error) {
	t.Helper()
	w := newSimWorld(t, setting, modules, t.TempDir())
	noise := rand.New(rand.NewPCG(c.Seed, 77))
	w.delta = c.Delta
	if err := w.start(); err != nil {
		return err
	}
	before := &c.Steps[0].Fleet
	for i := range 1 + noise.IntN(3) {
		drain := []time.Duration{0, 5 * time.Second, 10 * time.Minute}[noise.IntN(3)]
		if err := w.startProxy(i, !c.Delta && (uint64(i)+c.Seed)%2 == 1, drain); err != nil {
			return err
		}
	}
	for i := range c.Steps {
		after := &c.Steps[i].Fleet
		if err = w.step(before, after, noise, i > 0 && c.Noise); err != nil {
			err = fmt.Errorf("step %d (%s): %w", i, c.Steps[i].What, err)
			break
		}
		before = after
	}
	err = errors.Join(err, w.end())
	if err != nil && testing.Verbose() {
		t.Log(w.log.String())
	}
	return err
}

func (w *simWorld) step(before, after *Fleet, noise *rand.Rand, noisy bool) error {
	text, err := after.Render(w.setting)
	if err != nil {
		return err
	}
	w.between(before, after)
	w.files.save(fleetFile, text)
	if noisy && noise.IntN(4) == 0 {
		time.Sleep(time.Duration(noise.IntN(2500)) * time.Millisecond) //nolint:forbidigo // of a bubble
		if err := w.disturb(noise); err != nil {
			return err
		}
	}
	if err := w.agrees(after); err != nil {
		return err
	}
	w.between(after, after)
	for _, p := range w.proxies {
		p.fresh = false
		w.look(p)
	}
	return nil
}

// disturb restarts the server or a proxy, or has a proxy connect anew.
func (w *simWorld) disturb(noise *rand.Rand) error {
	i := noise.IntN(len(w.proxies))
	switch noise.IntN(3) {
	case 0:
		w.proxies[i].Reconnect()
	case 1:
		sotw := noise.IntN(2) == 0
		return w.startProxy(i, sotw && !w.delta, 5*time.Second)
	case 2:
		if err := w.stop(); err != nil {
			return err
		}
		return w.start()
	}
	return nil
}
