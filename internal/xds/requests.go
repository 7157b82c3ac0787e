package xds

import (
	"maps"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/stream/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// Requests are taken as the protocol says:
// https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol

// deltaRequest takes a request of a delta proxy: it subscribes, or answers, and
// waits for what comes next.
func (s *session) deltaRequest(req *discoveryv3.DeltaDiscoveryRequest) error {
	url := req.GetTypeUrl()
	if err := s.identify(req.GetNode(), url, len(req.GetInitialResourceVersions()) == 0); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verdict(url, req.GetResponseNonce(), req.GetErrorDetail())
	if fleet.KindOf(url) == nil {
		return nil // a type that is never served: not answering is the answer
	}
	subscribe, unsubscribe := req.GetResourceNamesSubscribe(), req.GetResourceNamesUnsubscribe()
	if err := s.mayAsk(max(len(subscribe), len(req.GetInitialResourceVersions()))); err != nil {
		return err
	}
	st := s.types[url]
	if st == nil {
		st = s.begin(url)
		st.sub = stream.NewDeltaSubscription(subscribe, unsubscribe, nil, nameless(url))
		st.claims = req.GetInitialResourceVersions()
		s.claimVersions(url, req.GetInitialResourceVersions())
		st.have = maps.Clone(req.GetInitialResourceVersions())
		st.acked = st.have
		if fleet.KindOf(url).Apart {
			s.recallSockets(st)
		}
	} else {
		st.sub.UpdateResourceSubscriptions(subscribe, unsubscribe)
		// What a proxy gave up it has forgotten, and what it subscribes to again,
		// while subscribed, it wants to be sent again.
		st.forget(unsubscribe)
		st.forget(subscribe)
	}
	if st.names == 0 || len(subscribe)+len(unsubscribe) > 0 {
		if err := s.asks(st); err != nil {
			return err
		}
	}
	s.open(st)
	return nil
}

// sotwRequest is the same for state-of-the-world.
func (s *session) sotwRequest(req *discoveryv3.DiscoveryRequest) error {
	url := req.GetTypeUrl()
	if err := s.identify(req.GetNode(), url, req.GetVersionInfo() == ""); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verdict(url, req.GetResponseNonce(), req.GetErrorDetail())
	if fleet.KindOf(url) == nil {
		return nil
	}
	if err := s.mayAsk(len(req.GetResourceNames())); err != nil {
		return err
	}
	st := s.types[url]
	switch {
	case st == nil:
		st = s.begin(url)
		st.sub = stream.NewSotwSubscription(req.GetResourceNames(), nameless(url))
		if req.GetResponseNonce() == "" {
			st.resume = req.GetVersionInfo()
			s.claimSet(st)
			s.recall(st)
		}
	case st.awaited != nil:
		return nil // it was sent before the last response came: the answer to that says what it wants now
	default:
		before := st.sub.SubscribedResources()
		st.sub.SetResourceSubscription(req.GetResourceNames())
		if !maps.Equal(before, st.sub.SubscribedResources()) {
			st.resume = "" // the version is that of what it asked for first
		}
	}
	if err := s.asks(st); err != nil {
		return err
	}
	st.forget(st.unwanted())
	s.open(st)
	return nil
}

// nameless reports whether a proxy that names nothing of a type asks for all of it. Of
// other types an Envoy of state-of-the-world names nothing when nothing in it needs any,
// with the version that it had when something did.
func nameless(url string) bool { return fleet.KindOf(url).Unasked || fleet.KindOf(url).Awaited }

// unwanted are the resources that a proxy was sent and does not ask for any more.
func (st *typeState) unwanted() []string {
	var out []string
	for name := range st.have {
		if !st.wants(name) {
			out = append(out, name)
		}
	}
	return out
}

// wants reports whether the proxy asks for a resource.
func (st *typeState) wants(name string) bool {
	_, ok := st.sub.SubscribedResources()[name]
	return ok || st.sub.IsWildcard()
}

// open says that the proxy waits for a response. One that was not sent yet is
// given up for it: the proxy may want another now.
func (s *session) open(st *typeState) {
	if st.pending != nil {
		st.pending = nil
		s.giveBack(st)
	}
	st.open = true
	s.advance()
}

func (st *typeState) forget(names []string) {
	if len(names) > 0 {
		st.have, st.acked = without(st.have, names), without(st.acked, names)
		for _, name := range names {
			delete(st.told, name)
		}
	}
}
