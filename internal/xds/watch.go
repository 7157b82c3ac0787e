package xds

import (
	"context"
	"maps"
	"slices"

	"google.golang.org/protobuf/types/known/anypb"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

var _ cache.ConfigWatcher = (*session)(nil)

// CreateDeltaWatch implements cache.ConfigWatcher: a proxy subscribed, or
// answered, and waits for what comes next.
func (s *session) CreateDeltaWatch(req *discoveryv3.DeltaDiscoveryRequest, sub cache.Subscription, out chan cache.DeltaResponse) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(snapshot.Types, req.GetTypeUrl()) {
		return nil, nil // a type that is never served: not answering is the answer
	}
	if s.types[req.GetTypeUrl()] == nil {
		st := s.state(req.GetTypeUrl())
		st.have = maps.Clone(req.GetInitialResourceVersions()) // go-control-plane writes to its own
		st.acked = st.have
	} else {
		// What a proxy gave up it has forgotten, and what it subscribes to again,
		// while subscribed, it wants to be sent again.
		s.state(req.GetTypeUrl()).forget(req.GetResourceNamesUnsubscribe())
		s.state(req.GetTypeUrl()).forget(req.GetResourceNamesSubscribe())
	}
	return s.open(req.GetTypeUrl(), &watch{sub: sub, answer: func(p *push) {
		out <- &deltaResponse{req: req, push: p} // buffered: one response a watch
	}}), nil
}

// CreateWatch implements cache.ConfigWatcher for state-of-the-world.
func (s *session) CreateWatch(req *discoveryv3.DiscoveryRequest, sub cache.Subscription, out chan cache.Response) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(snapshot.Types, req.GetTypeUrl()) {
		return nil, nil
	}
	if s.types[req.GetTypeUrl()] == nil && req.GetResponseNonce() == "" {
		s.state(req.GetTypeUrl()).resume = req.GetVersionInfo()
	}
	st := s.state(req.GetTypeUrl())
	// A response that go-control-plane had not sent when this request came is lost.
	if st.pending != nil {
		st.pending = nil
		s.settled(st)
	}
	if !sub.IsWildcard() {
		var gone []string
		for name := range st.have {
			if _, ok := sub.SubscribedResources()[name]; !ok {
				gone = append(gone, name)
			}
		}
		st.forget(gone)
	}
	return s.open(req.GetTypeUrl(), &watch{sotw: true, sub: sub, answer: func(p *push) {
		out <- &sotwResponse{ctx: s.ctx, req: req, push: p}
	}}), nil
}

// open keeps a request until there is something to answer.
func (s *session) open(url string, w *watch) func() {
	st := s.state(url)
	st.watch = w
	s.advance()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if st.watch == w {
			st.watch = nil
		}
	}
}

func (st *typeState) forget(names []string) {
	if len(names) > 0 {
		st.have, st.acked = without(st.have, names), without(st.acked, names)
	}
}

// deltaResponse is a push in go-control-plane's form. The resources are the
// snapshot's own; only the message around them is made for this proxy.
type deltaResponse struct {
	req  *discoveryv3.DeltaDiscoveryRequest
	push *push
}

var _ cache.DeltaResponse = (*deltaResponse)(nil)

func (r *deltaResponse) GetDeltaDiscoveryResponse() (*discoveryv3.DeltaDiscoveryResponse, error) {
	m := &discoveryv3.DeltaDiscoveryResponse{
		TypeUrl: r.push.url, SystemVersionInfo: r.push.revision, RemovedResources: r.push.remove,
	}
	for _, resource := range r.push.add {
		m.Resources = append(m.Resources, resource.Wire)
	}
	return m, nil
}

func (r *deltaResponse) GetDeltaRequest() *discoveryv3.DeltaDiscoveryRequest { return r.req }
func (r *deltaResponse) GetSystemVersion() (string, error)                   { return r.push.revision, nil }
func (r *deltaResponse) GetResponseVersion() string                          { return r.push.revision }
func (r *deltaResponse) GetReturnedResources() map[string]string             { return map[string]string{} }
func (r *deltaResponse) GetContext() context.Context                         { return context.Background() }

// GetNextVersionMap is what go-control-plane notes, and writes to, for a cache
// that asks it later. The session keeps its own account.
func (r *deltaResponse) GetNextVersionMap() map[string]string { return map[string]string{} }

// sotwResponse is the same for state-of-the-world.
type sotwResponse struct {
	ctx  context.Context
	req  *discoveryv3.DiscoveryRequest
	push *push
}

var _ cache.Response = (*sotwResponse)(nil)

func (r *sotwResponse) GetDiscoveryResponse() (*discoveryv3.DiscoveryResponse, error) {
	m := &discoveryv3.DiscoveryResponse{TypeUrl: r.push.url, VersionInfo: r.push.version}
	for _, resource := range r.push.add {
		m.Resources = append(m.Resources, anyOf(resource))
	}
	return m, nil
}

func anyOf(r *snapshot.Resource) *anypb.Any { return r.Wire.GetResource() }

func (r *sotwResponse) GetRequest() *discoveryv3.DiscoveryRequest { return r.req }
func (r *sotwResponse) GetVersion() (string, error)               { return r.push.version, nil }
func (r *sotwResponse) GetResponseVersion() string                { return r.push.version }
func (r *sotwResponse) GetReturnedResources() map[string]string   { return map[string]string{} }
func (r *sotwResponse) GetContext() context.Context               { return r.ctx }
