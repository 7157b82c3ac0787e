package xdstest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// EnvoyConfig is how a simulated Envoy is.
type EnvoyConfig struct {
	Node *corev3.Node
	SotW bool // state-of-the-world rather than delta
	// Drain is for how long a replaced or removed listener holds what it named (Envoy's
	// --drain-time-s, 600 s by default).
	Drain time.Duration
	// Layers are the names of the runtime layers that its bootstrap asks for.
	Layers []string
	// Filter says with which status a Wasm filter denies a request with these headers,
	// 0 where it lets it pass.
	Filter func(plugin *wasmv3.PluginConfig, headers map[string]string) int
	// Busy says which addresses, "HOST:PORT", another process has; nil: none.
	Busy func(address string) bool
	// Missing says which files its host lacks; nil: none.
	Missing func(path string) bool
	// Changed is called after whatever may change an answer. It may call Ask.
	Changed func(*Envoy)
}

// An Envoy is a simulated proxy that follows Envoy's rules for subscribing, warming
// and taking updates, as 1.40 has them:
//
//   - clusters are asked for when the runtime layers of its bootstrap are there, and listeners
//     when the first clusters are there and ready;
//   - a cluster warms beside the one that it replaces, until its endpoints came after it
//     and then its secrets and filters; while one warms, clusters are not acknowledged;
//   - a listener warms beside the one that it replaces, until its routes, filters and
//     secrets are there; it is acknowledged at once. At the start of the process no
//     listener listens before all of the first ones are ready;
//   - of listeners, removals come first, and each that can't be taken (its address is
//     another's) is refused by itself while the rest is taken; one that stays where it is
//     keeps its sockets, bound or not, and so does one that comes before a removed one's
//     are closed;
//   - what has the same bytes is taken no notice of: nor is a secret or a filter that has those
//     which it refused last, since a file of its host was missing; it is acknowledged;
//   - a filter whose type is not among the type_urls of all listeners that have it, those that
//     drain included, is refused; a listener that comes after such a one goes on without;
//   - what a filter asks for itself, it asks for while its listener or cluster warms; what a later
//     one asks for that nobody else has, it waits for in vain;
//   - when one of a type is refused, all that waits for one of that type goes on without;
//   - what a second user asks for, and was subscribed to already, is not asked for again
//     (delta), or with the same names again (state-of-the-world); two users with the same
//     config source share what is there, two with different ones do not;
//   - scopes of routes, and virtual hosts, are asked for all together, once, and never given
//     up; scopes then ask for their routes, and routes take of the virtual hosts those that
//     come after them. A listener waits for all that only when it is new;
//   - what nothing names any more is unsubscribed from, once the listeners that named it
//     have drained;
//   - of a state-of-the-world set of clusters or listeners, what it leaves out is removed.
//
// What would not end well for a real one is a fault: what it waited for in vain, and
// what would make it abort. What it has outlives its streams.
type Envoy struct {
	config EnvoyConfig
	mu     sync.Mutex
	types  map[string]*watchType // by type URL
	order  []string              // in which it subscribed to them

	clusters, warmingClusters   map[string]*simCluster
	listeners, warmingListeners map[string]*simListener
	closing                     map[*simListener]bool // removed, with sockets that are not closed yet
	draining                    map[*simListener]bool // replaced or removed, with connections
	sources                     map[sourceKey]*source // routes, filters and secrets
	endpoints                   map[string]int        // how many clusters want each
	listed                      bool                  // it was sent listeners
	started                     bool                  // its listeners listen
	initialized                 bool                  // its first clusters are ready
	layers                      map[string]*anypb.Any // of the runtime

	health *Health
	stream *envoyStream // nil while there is none
	faults []string
	closed bool
}

// NewEnvoy makes one that is not connected.
func NewEnvoy(config EnvoyConfig) *Envoy {
	return &Envoy{
		config: config, types: map[string]*watchType{},
		clusters: map[string]*simCluster{}, warmingClusters: map[string]*simCluster{},
		listeners: map[string]*simListener{}, warmingListeners: map[string]*simListener{},
		closing: map[*simListener]bool{}, draining: map[*simListener]bool{},
		sources: map[sourceKey]*source{}, endpoints: map[string]int{}, layers: map[string]*anypb.Any{}, health: NewHealth(config.Node),
	}
}

// Run keeps it connected until ctx ends, over all ends of its streams.
func (e *Envoy) Run(ctx context.Context, conn grpc.ClientConnInterface) {
	var wg sync.WaitGroup
	wg.Go(func() {
		again(ctx, func() error { return e.discover(ctx, conn) })
	})
	wg.Go(func() {
		again(ctx, func() error { return e.answerProbes(ctx, conn) })
	})
	wg.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
}

// again calls a function, with a pause, until ctx ends.
func again(ctx context.Context, do func() error) {
	for ctx.Err() == nil {
		_ = do() // how a stream ended makes no difference to what is next
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// Reconnect ends the streams; Run opens others.
func (e *Envoy) Reconnect() {
	e.mu.Lock()
	stream := e.stream
	e.mu.Unlock()
	if stream != nil {
		stream.cancel()
	}
	e.health.mu.Lock()
	cancel := e.health.cancel
	e.health.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// discover is one ADS stream, to its end.
func (e *Envoy) discover(ctx context.Context, conn grpc.ClientConnInterface) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := openEnvoyStream(ctx, conn, e.config, cancel)
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.begin(stream)
	e.mu.Unlock()
	for err == nil {
		var r *response
		if r, err = stream.recv(); err == nil {
			err = e.take(r)
		}
	}
	e.mu.Lock()
	e.stream = nil
	e.mu.Unlock()
	return err
}

// begin asks, on a new stream, for all that was asked for before.
func (e *Envoy) begin(stream *envoyStream) {
	e.stream = stream
	if len(e.order) == 0 {
		e.beginFirst()
	}
	for _, url := range e.order {
		e.types[url].newStream()
	}
	e.flush()
}

// take applies a response and answers it.
func (e *Envoy) take(r *response) error {
	e.mu.Lock()
	w := e.types[r.url]
	if w == nil {
		e.mu.Unlock()
		return fmt.Errorf("a response of type %s, which was not asked for", r.url)
	}
	refusal := e.apply(r)
	w.answer(r, refusal)
	e.flush()
	e.mu.Unlock()
	e.notify()
	return nil
}

func (e *Envoy) apply(r *response) error {
	if err := r.distinct(); err != nil {
		return err
	}
	take := takers[r.url]
	if take == nil {
		take = (*Envoy).takeSources
	}
	return take(e, r)
}

// takers are what takes resources that are more than sources of listeners.
var takers = map[string]func(*Envoy, *response) error{
	resource.ClusterType:     (*Envoy).takeClusters,
	resource.EndpointType:    (*Envoy).takeEndpoints,
	resource.ListenerType:    (*Envoy).takeListeners,
	resource.ScopedRouteType: (*Envoy).takeScopes,
	resource.VirtualHostType: (*Envoy).takeHosts,
	resource.RuntimeType:     (*Envoy).takeLayers,
}

func (e *Envoy) notify() {
	if e.config.Changed != nil {
		e.config.Changed(e)
	}
}

// fault notes what would not end well. Called locked.
func (e *Envoy) fault(format string, args ...any) {
	e.faults = append(e.faults, fmt.Sprintf(format, args...))
}

// Faults are what would not have ended well for a real Envoy.
func (e *Envoy) Faults() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.faults)
}

// Node is whose it is.
func (e *Envoy) Node() string { return e.config.Node.GetId() }

// within has something fail that is still to be waited for after so long. Called locked.
func (e *Envoy) within(d time.Duration, waits func() bool, timeout func()) {
	time.AfterFunc(d, func() {
		e.mu.Lock()
		if e.closed || !waits() {
			e.mu.Unlock()
			return
		}
		timeout()
		e.flush()
		e.mu.Unlock()
		e.notify()
	})
}

// Listeners are the active listeners, by name, and what each is made of.
func (e *Envoy) Listeners() map[string]*anypb.Any {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := map[string]*anypb.Any{}
	for name, l := range e.listeners {
		out[name] = l.packed
	}
	return out
}

// Warming names what is warming, with what it waits for.
func (e *Envoy) Warming() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, name := range slices.Sorted(maps.Keys(e.warmingClusters)) {
		out = append(out, "cluster "+name+": "+e.clusterWaits(e.warmingClusters[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(e.warmingListeners)) {
		out = append(out, "listener "+name+": "+e.listenerWaits(e.warmingListeners[name]))
	}
	if !e.started {
		out = append(out, "the process: its first listeners are not ready")
	}
	return out
}

// Clusters names the active clusters.
func (e *Envoy) Clusters() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.clusters))
}

var errNotRead = errors.New("can't be read")
