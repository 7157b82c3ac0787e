package xds

import (
	"slices"
	"strings"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// A listener that is replaced, or taken away, drains: connections that are kept alive go on
// with what it was, for up to Envoy's drain time, and need the clusters that it named, the
// virtual hosts that its route had from a service, and the scopes that it chose among. A
// cluster that is gone by then answers them 503, the others 404. So these go that much
// later; a target is served without that. What a service lacks that is still asked, a host
// of a route that stays, is meant to go, and goes at once.

// drainTime is Envoy's, unless --drain-time-s says otherwise.
// https://www.envoyproxy.io/docs/envoy/latest/operations/cli#cmdoption-drain-time-s
const drainTime = 10 * time.Minute

// outlives is whether connections that drain may need what a target lacks.
func (s *session) outlives(url, name string) bool {
	switch url {
	case resource.ClusterType:
		return true
	case resource.VirtualHostType:
		for _, route := range s.target.All(resource.RouteType) {
			if strings.HasPrefix(name, route.Name+"/") {
				return false
			}
		}
		return true
	case resource.ScopedRouteType:
		return !slices.ContainsFunc(s.target.All(resource.ListenerType), func(r *snapshot.Resource) bool { return len(r.Asks(url)) > 0 })
	}
	return false
}

// drained are those of what a target lacks which nothing can need any more. It is looked at
// again when the next of the others is. Called with the session locked.
func (s *session) drained(st *typeState, gone []string) (out []string) {
	lacks := make(map[string]time.Time, len(gone))
	var next time.Duration
	for _, name := range gone {
		if !s.outlives(st.url, name) {
			out = append(out, name)
			continue
		}
		since, known := st.lacks[name]
		if !known {
			since = time.Now()
		}
		lacks[name] = since
		switch wait := s.server.drain - time.Since(since); {
		case wait <= 0:
			out = append(out, name)
		case next == 0 || wait < next:
			next = wait
		}
	}
	st.lacks = lacks
	if st.draining != nil {
		st.draining.Stop()
		st.draining = nil
	}
	if next > 0 {
		st.draining = time.AfterFunc(next, s.again)
	}
	slices.Sort(out)
	return out
}

// again looks at where the proxy is.
func (s *session) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
}
