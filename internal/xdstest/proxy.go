// Package xdstest simulates proxies, for what real Envoys can't show: thousands
// of them, and faults on demand. The main path is tested on real Envoys.
package xdstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// Config is how a simulated proxy behaves. Its zero value is a delta proxy that
// subscribes to all clusters and listeners and accepts what it gets.
type Config struct {
	Node *corev3.Node
	SotW bool // state-of-the-world rather than delta
	// Names are the resources it asks for by name, by type URL, once it has listeners.
	Names map[string][]string
	// Judge decides on a response: an error refuses it, ErrStall leaves it
	// unanswered. nil accepts all.
	Judge func(Response) error
	// Credentials are those of the connection that NewFleet makes for it; nil: plain text.
	Credentials credentials.TransportCredentials
	// Light proxies keep no record of responses, so that thousands can run for long.
	Light bool
}

// ErrStall makes a proxy say nothing to a response.
var ErrStall = errors.New("stall")

// A Response is what a proxy was sent.
type Response struct {
	TypeURL   string
	Version   string            // of the response
	Resources map[string]string // name to version
	Removed   []string
	Bytes     int
}

// A Proxy is a simulated proxy. What it has outlives its connections.
type Proxy struct {
	config Config

	mu         sync.Mutex
	subscribed map[string]bool              // type URLs
	have       map[string]map[string]string // type URL to name to version: what it accepted
	versions   map[string]string            // type URL to the version of the last response it accepted
	responses  []Response
	changed    chan struct{} // while someone waits: closed with the next response or the end of the stream
	streams    int           // opened so far
	streamErr  error
	cancel     context.CancelFunc
	done       chan struct{}
}

// Node makes a node with labels.
func Node(id, cluster string, labels map[string]string) *corev3.Node {
	fields := map[string]*structpb.Value{}
	for k, v := range labels {
		fields[k] = structpb.NewStringValue(v)
	}
	return &corev3.Node{Id: id, Cluster: cluster, Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{
		"labels": structpb.NewStructValue(&structpb.Struct{Fields: fields}),
	}}}
}

// New makes a proxy that is not connected.
func New(config Config) *Proxy {
	return &Proxy{
		config: config, subscribed: map[string]bool{}, have: map[string]map[string]string{}, versions: map[string]string{},
	}
}

// Connect opens a stream, once the connection is up. The proxy answers by itself
// until Close, the end of ctx or an error of the stream.
func (p *Proxy) Connect(ctx context.Context, conn grpc.ClientConnInterface) error {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := open(ctx, conn, p.config.Node, p.config.SotW)
	if err != nil {
		cancel()
		return fmt.Errorf("simulated proxy %q: %w", p.config.Node.GetId(), err)
	}
	p.mu.Lock()
	p.cancel, p.done, p.streamErr = cancel, make(chan struct{}), nil
	p.streams++
	p.mu.Unlock()
	go p.run(stream, p.done)
	return nil
}

// Close ends the stream and waits until the proxy has let go of it.
func (p *Proxy) Close() {
	p.mu.Lock()
	cancel, done := p.cancel, p.done
	p.mu.Unlock()
	if cancel != nil {
		cancel()
		<-done
	}
}

// Wait returns when the condition holds, asked again after each response, or
// with an error when the context ends. The condition may use the proxy's methods.
func (p *Proxy) Wait(ctx context.Context, condition func() bool) error {
	for {
		p.mu.Lock()
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		if condition() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("simulated proxy %q: %w after %d responses", p.config.Node.GetId(), ctx.Err(), len(p.Responses()))
		}
	}
}

// Has is what the proxy accepted of a type: name to version.
func (p *Proxy) Has(typeURL string) map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.have[typeURL])
}

// Responses lists what it was sent, over all connections.
func (p *Proxy) Responses() []Response {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.responses)
}

// Streams is how many streams it has opened, over all connections.
func (p *Proxy) Streams() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.streams
}

// Err is why the last stream ended, or nil.
func (p *Proxy) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.streamErr
}

// run answers responses until the stream ends.
func (p *Proxy) run(stream *stream, done chan struct{}) {
	defer close(done)
	err := p.resubscribe(stream)
	for err == nil {
		var r received
		if r, err = stream.recv(); err == nil {
			err = p.handle(stream, r)
		}
	}
	if errors.Is(err, io.EOF) { // sending on a stream that ended: why, receiving tells
		_, err = stream.recv()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streamErr = err
	p.notify()
}

// resubscribe asks for clusters on a first connection, and on a later one for
// all that the proxy had asked for, as Envoy does.
func (p *Proxy) resubscribe(stream *stream) error {
	for _, typeURL := range append([]string{resource.ClusterType, resource.ListenerType}, p.named()...) {
		p.mu.Lock()
		known := p.subscribed[typeURL] || typeURL == resource.ClusterType
		p.mu.Unlock()
		if known {
			if err := p.subscribe(stream, typeURL, p.config.Names[typeURL]); err != nil {
				return err
			}
		}
	}
	return nil
}

// subscribe asks for a type; a proxy asks for listeners once it has its clusters
// and for what those name once it has listeners, as Envoy does.
func (p *Proxy) subscribe(stream *stream, typeURL string, names []string) error {
	p.mu.Lock()
	p.subscribed[typeURL] = true
	have, version := maps.Clone(p.have[typeURL]), p.versions[typeURL]
	p.mu.Unlock()
	return stream.subscribe(typeURL, names, have, version)
}

func (p *Proxy) handle(stream *stream, r received) error {
	var verdict error
	if p.config.Judge != nil {
		verdict = p.config.Judge(r.Response)
	}
	p.take(r, verdict)
	if errors.Is(verdict, ErrStall) {
		return nil
	}
	if err := stream.answer(r, verdict, p.version(r.TypeURL), p.config.Names[r.TypeURL]); err != nil {
		return err
	}
	if verdict != nil {
		return nil //nolint:nilerr // the verdict was sent
	}
	var next []string
	switch r.TypeURL {
	case resource.ClusterType:
		next = []string{resource.ListenerType}
	case resource.ListenerType:
		next = p.named()
	}
	for _, typeURL := range next {
		p.mu.Lock()
		known := p.subscribed[typeURL]
		p.mu.Unlock()
		if !known {
			if err := p.subscribe(stream, typeURL, p.config.Names[typeURL]); err != nil {
				return err
			}
		}
	}
	return nil
}

// named are the types of which the proxy asks for resources by name.
func (p *Proxy) named() []string { return slices.Sorted(maps.Keys(p.config.Names)) }

func (p *Proxy) version(typeURL string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.versions[typeURL]
}

// take records a response and, if it is accepted, applies it.
func (p *Proxy) take(r received, verdict error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.config.Light {
		p.responses = append(p.responses, r.Response)
	}
	if verdict == nil {
		if p.have[r.TypeURL] == nil || r.full {
			p.have[r.TypeURL] = map[string]string{}
		}
		maps.Copy(p.have[r.TypeURL], r.Resources)
		for _, name := range r.Removed {
			delete(p.have[r.TypeURL], name)
		}
		p.versions[r.TypeURL] = r.Version
	}
	p.notify()
}

// notify wakes those who Wait. Called locked.
func (p *Proxy) notify() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

func refusal(verdict error) *rpcstatus.Status {
	if verdict == nil {
		return nil
	}
	return &rpcstatus.Status{Code: 13, Message: verdict.Error()}
}
