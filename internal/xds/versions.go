package xds

import (
	"fmt"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// What some versions of Envoy do otherwise, and don't say. What they refuse by themselves needs
// nothing here: virtual hosts by a service (VHDS), say, before 1.37.

// before is whether a proxy is an Envoy of an earlier version than 1.minor.
func before(node *corev3.Node, minor uint32) bool {
	v := node.GetUserAgentBuildVersion().GetVersion()
	return node.GetUserAgentName() == "envoy" && v.GetMajorNumber() == 1 && v.GetMinorNumber() < minor
}

// saysNoStatus is whether the reports of a proxy do not say what a probe was answered.
func saysNoStatus(node *corev3.Node) bool { return before(node, 40) }

// scopesUnasked finds a listener of the target whose scopes the proxy would never ask for: an
// Envoy before 1.38 begins to ask for scopes only with a listener that comes before it has started.
// A later one it acknowledges, and then answers 404 to all requests there. Where it asks
// already, a listener more is served by the same subscription.
// https://github.com/envoyproxy/envoy/pull/43392
func (s *session) scopesUnasked() *snapshot.Resource {
	st := s.types[resource.ListenerType]
	if st == nil || len(st.have) == 0 || !before(s.node, 38) || s.types[resource.ScopedRouteType] != nil && !s.noScopes {
		return nil
	}
	for _, r := range s.target.All(resource.ListenerType) {
		if st.wants(r.Name) && st.have[r.Name] != r.Version && len(r.Asks(resource.ScopedRouteType)) > 0 {
			return r
		}
	}
	return nil
}

// refuseScopes refuses such a target in the proxy's place, before any of it is sent. A process
// that is started anew may take it.
func (s *session) refuseScopes(r *snapshot.Resource) {
	v := Verdict{At: time.Now(), Resource: "Listener " + r.Name, Message: fmt.Sprintf("Envoy %s asks for no scoped routes of a listener that comes after its start, "+
		"and would answer 404 to all requests there: that needs Envoy 1.38", Version(s.node))}
	s.proxy.refuses(&refusal{Verdict: v, url: resource.ListenerType, versions: map[string]string{r.Name: r.Version}})
	s.halted.Store(true)
	s.tell(Event{Kind: Rejected, Revision: s.target.Pair, Resource: v.Resource, Message: v.Message, Whole: !s.between})
}

// noteScopes notes, when a proxy has taken or lost listeners, whether any that it has asks for scopes.
func (s *session) noteScopes(have map[string]string) {
	s.noScopes = true
	for name := range have {
		if r := s.target.Get(resource.ListenerType, name); r != nil && len(r.Asks(resource.ScopedRouteType)) > 0 {
			s.noScopes = false
		}
	}
}
