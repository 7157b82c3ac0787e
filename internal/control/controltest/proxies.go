package controltest

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/inbox"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// Proxies are proxies and the streams to them. Each takes what it is given and answers its
// checks at once, unless a test says otherwise.
type Proxies struct {
	mu      sync.Mutex
	events  *inbox.Inbox[xds.Event]
	proxies map[string]*Proxy // by node id
	twins   map[string]string
}

// A Proxy is one of them. Its functions are asked whenever it has to say something.
type Proxy struct {
	// Takes says why it does not take what it is given; nil: it does. ErrTrouble is for
	// what is no fault of that.
	Takes func(snapshot.Pair) error
	// Fails names the checks that it does not answer as expected, of those that it is asked.
	Fails func(*xds.ProbePlan) []string
	// Counts are its counters of the last second.
	Counts func() xds.Counters

	node      *corev3.Node
	connected time.Time
	target    xds.Target
	has       snapshot.Pair
	halted    bool
	plan      *xds.ProbePlan
	since     time.Time // of the connection that its ticker is of
	Given     []string  // what it was given, in order
	Told      []string  // what else: "unmatched", "retry", "forgive", "say again"
}

// ErrTrouble is a proxy's own trouble.
var ErrTrouble = errors.New("cannot bind '0.0.0.0:80': Address already in use")

// NewProxies are none.
func NewProxies() *Proxies {
	return &Proxies{events: inbox.New[xds.Event](), proxies: map[string]*Proxy{}}
}

// Node is that of a proxy of the cluster "edge", with labels.
func Node(id string, labels map[string]string) *corev3.Node {
	fields := map[string]any{}
	for key, value := range labels {
		fields[key] = value
	}
	metadata, err := structpb.NewStruct(map[string]any{"labels": fields, "waxwing": map[string]any{"evidence": []any{"health", "metrics"}}})
	if err != nil {
		panic(err) // of strings alone
	}
	return &corev3.Node{Id: id, Cluster: "edge", Metadata: metadata}
}

// Connect has a proxy come, or come back with what it has.
func (p *Proxies) Connect(node *corev3.Node) *Proxy {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.proxies[node.GetId()]
	if one == nil {
		one = &Proxy{}
		p.proxies[node.GetId()] = one
	}
	one.node, one.connected, one.target, one.plan, one.halted = node, time.Now(), xds.Target{}, nil, false
	one.since = one.connected
	p.events.Put(xds.Event{Kind: xds.Connected, Node: node, Fresh: one.has == snapshot.Pair{}})
	p.events.Put(xds.Event{Kind: xds.HealthOpened, Node: node})
	p.tick(one, one.since)
	return one
}

// Start has a proxy come as a new process, which has nothing of what it had.
func (p *Proxies) Start(node *corev3.Node) *Proxy {
	p.mu.Lock()
	if one := p.proxies[node.GetId()]; one != nil {
		one.has = snapshot.Pair{}
	}
	p.mu.Unlock()
	return p.Connect(node)
}

// Disconnect has a proxy leave.
func (p *Proxies) Disconnect(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.proxies[id]
	one.connected = time.Time{}
	p.events.Put(xds.Event{Kind: xds.HealthClosed, Node: one.node})
	p.events.Put(xds.Event{Kind: xds.Disconnected, Node: one.node})
}

// tick has a connected proxy report each 100 ms, until it is connected anew or not.
func (p *Proxies) tick(one *Proxy, since time.Time) {
	time.AfterFunc(100*time.Millisecond, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if one.connected.IsZero() || one.since != since {
			return
		}
		p.report(one)
		p.tick(one, since)
	})
}

func (p *Proxies) report(one *Proxy) {
	if plan := one.plan; plan != nil {
		e := xds.Event{Kind: xds.Probed, Node: one.node, Plan: plan.ID, Passed: true}
		if one.Fails != nil {
			e.Failed = one.Fails(plan)
			e.Passed = len(e.Failed) == 0
			for _, probe := range plan.Probes {
				if slices.Contains(e.Failed, probe.Name) {
					e.Wrong = append(e.Wrong, xds.Answer{Name: probe.Name, Check: probe.Check, Status: 403})
				}
			}
		}
		p.events.Put(e)
	}
	if one.Counts != nil {
		counters := one.Counts()
		counters.At = time.Now()
		p.events.Put(xds.Event{Kind: xds.Counted, Node: one.node, Counters: counters})
	}
}

// answer has a proxy take what it is to have, or not.
func (p *Proxies) answer(one *Proxy) {
	has := one.target.Snapshot.Pair
	var err error
	if one.Takes != nil {
		err = one.Takes(has)
	}
	one.halted = err != nil
	if err != nil {
		p.events.Put(xds.Event{Kind: xds.Rejected, Node: one.node, Revision: has, Resource: "Listener ingress", Message: err.Error(), Trouble: errors.Is(err, ErrTrouble)})
		return
	}
	one.has = has
	p.events.Put(xds.Event{Kind: xds.Served, Node: one.node, Revision: has})
}

// connectedOne is a proxy that is connected, nil for none.
func (p *Proxies) connectedOne(id string) *Proxy {
	if one := p.proxies[id]; one != nil && !one.connected.IsZero() {
		return one
	}
	return nil
}

// with does something with a connected proxy.
func (p *Proxies) with(id string, do func(*Proxy)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one := p.connectedOne(id); one != nil {
		do(one)
	}
}

// Assign implements deliver.Streams.
func (p *Proxies) Assign(id string, target xds.Target) {
	p.with(id, func(one *Proxy) {
		before := one.target.Snapshot
		if one.target = target; target.Snapshot == nil || before != nil && before.Pair == target.Snapshot.Pair {
			return
		}
		one.Given = append(one.Given, target.Snapshot.Pair.String())
		p.answer(one)
	})
}

// Probe implements deliver.Streams.
func (p *Proxies) Probe(id string, plan *xds.ProbePlan) {
	p.with(id, func(one *Proxy) { one.plan = plan })
}

// Unmatched implements deliver.Streams.
func (p *Proxies) Unmatched(id string) {
	p.with(id, func(one *Proxy) { one.target, one.Told = xds.Target{}, append(one.Told, "unmatched") })
}

// Retry implements deliver.Streams.
func (p *Proxies) Retry(id string) {
	p.with(id, func(one *Proxy) {
		one.Told = append(one.Told, "retry")
		p.answer(one)
	})
}

// Forgive implements deliver.Streams.
func (p *Proxies) Forgive(id string) {
	p.with(id, func(one *Proxy) { one.Told = append(one.Told, "forgive") })
}

// SayAgain implements deliver.Streams.
func (p *Proxies) SayAgain(id string) {
	p.with(id, func(one *Proxy) {
		one.Told = append(one.Told, "say again")
		p.answer(one)
	})
}

// Node implements deliver.Streams.
func (p *Proxies) Node(id string) (node *corev3.Node) {
	p.with(id, func(one *Proxy) { node = one.node })
	return node
}

// HealthOpen implements deliver.Streams.
func (p *Proxies) HealthOpen(id string) bool { return p.Node(id) != nil }

// Connected implements deliver.Streams.
func (p *Proxies) Connected() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for id := range p.proxies {
		n += btoi(p.connectedOne(id) != nil)
	}
	return n
}

// ProxiesOf implements deliver.Streams.
func (p *Proxies) ProxiesOf(ids []string) []xds.ProxyStatus {
	var out []xds.ProxyStatus
	for _, id := range ids {
		p.with(id, func(one *Proxy) {
			out = append(out, xds.ProxyStatus{
				Node: one.node, Variant: "delta", Streams: 1, Connected: one.connected, Halted: one.halted, Health: true, Metrics: one.Counts != nil,
			})
		})
	}
	return out
}

// Stats implements deliver.Streams.
func (p *Proxies) Stats() xds.Stats { return xds.Stats{Streams: p.Connected()} }

// Remember implements deliver.Streams.
func (p *Proxies) Remember(*snapshot.Snapshot) {}

// Twins implements deliver.Streams: a test's proxies have an id each.
func (p *Proxies) Twins() map[string]string { return maps.Clone(p.twins) }

// SetTwins implements deliver.Streams.
func (p *Proxies) SetTwins(twins map[string]string) { p.twins = twins }

// Count implements deliver.Streams: a test's proxies tell what Counts returns.
func (p *Proxies) Count([]string) {}

// Ready implements deliver.Streams.
func (p *Proxies) Ready() <-chan struct{} { return p.events.Ready() }

// Events implements deliver.Streams.
func (p *Proxies) Events() []xds.Event { return p.events.Take() }

// nodes are those of the proxies that are connected, by their ids.
func (p *Proxies) nodes() []*corev3.Node {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*corev3.Node
	for _, id := range slices.Sorted(maps.Keys(p.proxies)) {
		if one := p.connectedOne(id); one != nil {
			out = append(out, one.node)
		}
	}
	return out
}
