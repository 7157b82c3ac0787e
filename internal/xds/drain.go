package xds

import (
	"slices"
	"time"
)

// A listener that is replaced, or taken away, drains: connections that are kept alive go on
// with what it was, for up to Envoy's drain time, and ask for the clusters that it named.
// A cluster that is gone by then answers them 503. So clusters go that much later; a target
// is served without that.

// drainTime is Envoy's, unless --drain-time-s says otherwise.
// https://www.envoyproxy.io/docs/envoy/latest/operations/cli#cmdoption-drain-time-s
const drainTime = 10 * time.Minute

// drained are those of the clusters that a target lacks which nothing can ask for any more.
// It is looked at again when the next of the others is. Called with the session locked.
func (s *session) drained(st *typeState, gone []string) (out []string) {
	lacks := make(map[string]time.Time, len(gone))
	var next time.Duration
	for _, name := range gone {
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
	if s.draining != nil {
		s.draining.Stop()
		s.draining = nil
	}
	if next > 0 {
		s.draining = time.AfterFunc(next, s.again)
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
