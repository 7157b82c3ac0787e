package xds

import (
	"fmt"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// listless is how long an Envoy may take, once it has all that it asked for, to ask for
// listeners. It asks when its clusters are warm, for which it may need their endpoints, or
// a name server. One whose bootstrap has no lds_config never does, and nothing else tells
// it from one that is slow: what is said of it is taken back when it asks after all.
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/operations/init
const listless = 20 * time.Second

// awaitListeners begins to count that time. Called with the session locked.
func (s *session) awaitListeners() {
	asked := s.types[resource.ListenerType] != nil || s.types[resource.ClusterType] == nil
	if s.listless != nil || asked || s.named() || len(s.target.Required(resource.ListenerType)) == 0 {
		return
	}
	s.listless = time.AfterFunc(s.server.listless, s.withoutListeners)
}

// withoutListeners says that the proxy asks for none: trouble of its own, which no stage
// waits for. One that came back with clusters that are not known has none that could need
// them, and gets others first: an Envoy on a new stream asks at once for all that it has
// asked for before.
func (s *session) withoutListeners() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listless = nil
	if s.target == nil || s.types[resource.ListenerType] != nil {
		return
	}
	if clusters := s.types[resource.ClusterType]; !s.silent && clusters != nil && s.undisclosed(clusters) {
		s.silent = true
		s.advance()
		return
	}
	s.tell(Event{
		Kind: Rejected, Revision: s.target.Pair, Resource: "Listener", Trouble: true,
		Message: fmt.Sprintf("the proxy asks for no listeners, %v after it had its clusters: has its bootstrap an lds_config?", s.server.listless),
	})
}
