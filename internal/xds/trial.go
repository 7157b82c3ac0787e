package xds

import (
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// tryFirst has a proxy that has something to lose try what of its target names something of
// its host, before a listener or a cluster of its own needs that: see snapshot.Trial. Called
// with the session locked.
func (s *session) tryFirst() {
	if s.tried || s.trying {
		return
	}
	listeners := s.types[resource.ListenerType]
	if listeners == nil || s.named() {
		return // it has none, or is no Envoy
	}
	for _, url := range []string{resource.ClusterType, resource.ListenerType} {
		if st := s.types[url]; st != nil {
			s.recognize(st)
		}
	}
	s.tried = true
	if len(realOf(listeners.acked)) == 0 {
		return
	}
	trial, err := snapshot.Trial(s.target, s.version)
	if err != nil {
		s.server.log.Error("a revision is not tried aside", "node", s.node.GetId(), "revision", s.target.ID, "error", err)
		return
	}
	if trial != nil {
		s.target, s.trying = trial, true
	}
}

// version is that in which the proxy has taken a resource which it asks for, "" for none.
func (s *session) version(url, name string) string {
	st := s.types[url]
	if st == nil || !st.wants(name) {
		return ""
	}
	if st.resume != "" && s.sotw && !fullState(url) && st.resume == versionOf(s.wanted(st)) {
		return s.target.Get(url, name).Version // it came back with just these
	}
	return st.acked[name]
}

// wanted are the versions that the target has of what the proxy asks for.
func (s *session) wanted(st *typeState) map[string]string {
	out := map[string]string{}
	for _, r := range s.target.All(st.url) {
		if st.wants(r.Name) {
			out[r.Name] = r.Version
		}
	}
	return out
}

// hasTried goes on to what was tried.
func (s *session) hasTried() {
	s.trying = false
	s.aim()
	s.advance()
}

// untriable gives a trial up in which the proxy refuses no more than what was made for it, for
// another reason than its host, and reports whether that is so: it says nothing of the revision.
func (s *session) untriable(st *typeState, versions map[string]string, message string, p *push) bool {
	refused := named(versions, message)
	for name := range refused {
		if !snapshot.InTrial(name) {
			return false
		}
	}
	if len(refused) == 0 || !s.trying || p.revision != s.target.ID {
		return false
	}
	s.server.log.Info("a revision can't be tried aside", "node", s.node.GetId(), "revision", s.given.ID, "error", message)
	st.doubt(versions, p, message)
	s.trying = false
	s.aim()
	return true
}
