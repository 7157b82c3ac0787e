package xdstest

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// An envoyStream is an ADS stream of a simulated Envoy, of either variant.
type envoyStream struct {
	cancel context.CancelFunc
	node   *corev3.Node // nil once it was sent
	sotw   grpc.BidiStreamingClient[discoveryv3.DiscoveryRequest, discoveryv3.DiscoveryResponse]
	delta  grpc.BidiStreamingClient[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]
}

func openEnvoyStream(ctx context.Context, conn grpc.ClientConnInterface, config EnvoyConfig, cancel context.CancelFunc) (*envoyStream, error) {
	client := discoveryv3.NewAggregatedDiscoveryServiceClient(conn)
	s := &envoyStream{cancel: cancel, node: config.Node}
	var err error
	if config.SotW {
		s.sotw, err = client.StreamAggregatedResources(ctx, grpc.WaitForReady(true))
	} else {
		s.delta, err = client.DeltaAggregatedResources(ctx, grpc.WaitForReady(true))
	}
	if err != nil {
		return nil, fmt.Errorf("ADS of %q: %w", config.Node.GetId(), err)
	}
	return s, nil
}

// A response is one of either variant.
type response struct {
	url, nonce, version string
	resources           []named
	removed             []string
	full                bool // what it leaves out is removed
}

// gone are the names that a response takes away from what there is, and from what is
// still warming: those that a full one does not have.
func gone[T any](r *response, there, warming map[string]T) []string {
	if !r.full {
		return r.removed
	}
	stays := map[string]bool{}
	for _, one := range r.resources {
		stays[one.name] = true
	}
	out := r.removed
	for _, some := range []map[string]T{there, warming} {
		for name := range some {
			if !stays[name] {
				out = append(out, name)
				stays[name] = true // it is named once
			}
		}
	}
	return out
}

type named struct {
	name, version string
	packed        *anypb.Any
}

func (s *envoyStream) recv() (*response, error) {
	if s.sotw != nil {
		m, err := s.sotw.Recv()
		if err != nil {
			return nil, err
		}
		r := &response{url: m.GetTypeUrl(), nonce: m.GetNonce(), version: m.GetVersionInfo()}
		r.full = whole(r.url)
		for _, packed := range m.GetResources() {
			name, err := nameOf(packed)
			if err != nil {
				return nil, err
			}
			r.resources = append(r.resources, named{name, m.GetVersionInfo(), packed})
		}
		return r, nil
	}
	m, err := s.delta.Recv()
	if err != nil {
		return nil, err
	}
	r := &response{url: m.GetTypeUrl(), nonce: m.GetNonce(), version: m.GetSystemVersionInfo(), removed: m.GetRemovedResources()}
	for _, one := range m.GetResources() {
		r.resources = append(r.resources, named{one.GetName(), one.GetVersion(), one.GetResource()})
	}
	return r, nil
}

// nameOf is the name of a resource that comes without an envelope.
func nameOf(packed *anypb.Any) (string, error) {
	m, err := packed.UnmarshalNew()
	if err != nil {
		return "", fmt.Errorf("a resource %s %w: %w", packed.GetTypeUrl(), errNotRead, err)
	}
	switch m := m.(type) {
	case interface{ GetName() string }:
		return m.GetName(), nil
	case interface{ GetClusterName() string }:
		return m.GetClusterName(), nil
	}
	return "", fmt.Errorf("a resource %s %w: it has no name", packed.GetTypeUrl(), errNotRead)
}

// distinct refuses a response that names a resource twice, as Envoy does.
func (r *response) distinct() error {
	seen := map[string]bool{}
	for _, one := range r.resources {
		if seen[one.name] {
			return fmt.Errorf("duplicate name %s found among added/updated resources", one.name)
		}
		seen[one.name] = true
	}
	for _, name := range r.removed {
		if seen[name] {
			return fmt.Errorf("duplicate name %s found in the union of added+removed resources", name)
		}
	}
	return nil
}

// sum is the hash that Envoy knows a resource by.
func sum(packed *anypb.Any) uint64 {
	h := fnv.New64a()
	h.Write(packed.GetValue())
	return h.Sum64()
}

// A watchType is what an Envoy subscribes to of one type.
type watchType struct {
	url      string
	sotw     bool
	wildcard bool
	users    map[string]int // of a name: how many ask for it

	versions map[string]string // delta: of what it took
	version  string            // state-of-the-world: of the last response that it took
	nonce    string            // of the last response on this stream

	asked   bool            // on this stream
	known   map[string]bool // delta: the names that the server was told on this stream
	due     bool            // state-of-the-world: a request is to be sent, though nothing is answered
	answers []verdict       // that are to be sent
	paused  bool            // nothing is sent
}

type verdict struct {
	nonce   string
	refusal error
}

// watch is the state of a type, which it subscribes to with the first call.
func (e *Envoy) watch(url string) *watchType {
	w := e.types[url]
	if w == nil {
		w = &watchType{url: url, sotw: e.config.SotW, users: map[string]int{}, versions: map[string]string{}, known: map[string]bool{}}
		e.types[url] = w
		e.order = append(e.order, url)
	}
	return w
}

func (w *watchType) newStream() {
	w.asked, w.nonce, w.answers, w.known = false, "", nil, map[string]bool{}
}

// want adds a user of a name. Envoy's state-of-the-world asks again for every user.
func (w *watchType) want(name string) {
	w.users[name]++
	w.due = true
}

// drop takes a user away. What has none is forgotten.
func (w *watchType) drop(name string) {
	w.due = true
	if w.users[name]--; w.users[name] == 0 {
		delete(w.users, name)
		delete(w.versions, name)
	}
}

func (w *watchType) answer(r *response, refusal error) {
	w.nonce = r.nonce
	w.answers = append(w.answers, verdict{r.nonce, refusal})
	if refusal != nil {
		return
	}
	w.version = r.version
	for _, one := range r.resources {
		if w.wildcard || w.users[one.name] > 0 {
			w.versions[one.name] = one.version
		}
	}
	for _, name := range r.removed {
		delete(w.versions, name)
	}
}

// flush sends what is due. An error of sending is the receiver's to find.
func (e *Envoy) flush() {
	if e.stream == nil {
		return
	}
	for _, url := range e.order {
		w := e.types[url]
		if w.paused {
			continue
		}
		if e.config.SotW {
			e.stream.flushSotW(w)
		} else {
			e.stream.flushDelta(w)
		}
		w.due = false
	}
}

func (s *envoyStream) takeNode() *corev3.Node {
	node := s.node
	s.node = nil
	return node
}

func (w *watchType) names() []string {
	if w.wildcard {
		return nil
	}
	return slices.Sorted(maps.Keys(w.users))
}

func (s *envoyStream) flushSotW(w *watchType) {
	if len(w.answers) == 0 && w.asked && w.due {
		w.answers = append(w.answers, verdict{nonce: w.nonce})
	}
	if !w.asked {
		w.answers = []verdict{{}}
	}
	for _, v := range w.answers {
		_ = s.sotw.Send(&discoveryv3.DiscoveryRequest{
			Node: s.takeNode(), TypeUrl: w.url, ResourceNames: w.names(), VersionInfo: w.version, ResponseNonce: v.nonce, ErrorDetail: refusal(v.refusal),
		})
	}
	w.asked, w.answers = true, nil
}

func (s *envoyStream) flushDelta(w *watchType) {
	var subscribe, unsubscribe []string
	for _, name := range w.names() {
		if !w.known[name] {
			subscribe = append(subscribe, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.known)) {
		if w.users[name] == 0 {
			unsubscribe = append(unsubscribe, name)
			delete(w.known, name)
		}
	}
	for _, name := range subscribe {
		w.known[name] = true
	}
	if !w.asked && !w.wildcard && len(subscribe) == 0 {
		w.answers = nil
		return // not before there is something to ask for
	}
	request := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: w.url, ResourceNamesSubscribe: subscribe, ResourceNamesUnsubscribe: unsubscribe}
	if !w.asked {
		w.asked, w.answers = true, nil
		request.Node, request.InitialResourceVersions = s.takeNode(), maps.Clone(w.versions)
		_ = s.delta.Send(request)
		return
	}
	if len(w.answers) == 0 && len(subscribe)+len(unsubscribe) > 0 {
		_ = s.delta.Send(request)
	}
	for _, v := range w.answers { // the first says also what changed of the subscription
		request.ResponseNonce, request.ErrorDetail = v.nonce, refusal(v.refusal)
		_ = s.delta.Send(request)
		request = &discoveryv3.DeltaDiscoveryRequest{TypeUrl: w.url}
	}
	w.answers = nil
}
