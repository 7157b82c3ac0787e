package xds

import (
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// tryFirst has a proxy try what of its target may meet trouble of its host, before anything that
// its users meet is changed: the addresses of what is to be taken whole (see snapshot.Reserve)
// and then, where it has something to lose, what names a file (see snapshot.Trial). Called with
// the session locked.
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
	for _, next := range []func(*typeState) (*snapshot.Snapshot, error){s.reservation, s.trial} {
		trial, err := next(listeners)
		if err != nil {
			s.server.log.Error("a revision is not tried aside", "node", s.node.GetId(), "revision", s.target.ID, "error", err)
		}
		if trial != nil {
			s.target, s.trying = trial, true
			return
		}
	}
}

// reservation are the addresses that the target needs, the first time that it is asked.
func (s *session) reservation(listeners *typeState) (*snapshot.Snapshot, error) {
	if s.reserved || !s.licence.whole {
		return nil, nil //nolint:nilnil // there is nothing to try
	}
	s.reserved = true
	if served, _ := parts(resource.ListenerType, s.target); len(realOf(listeners.acked)) == 0 && len(served) < 2 {
		return nil, nil //nolint:nilnil // what can't listen takes nothing else along
	}
	var taken []fleet.Bind
	for _, sockets := range listeners.sockets {
		taken = append(taken, sockets.Binds...)
	}
	return snapshot.Reserve(s.target, func(name string) string { return listeners.acked[name] }, taken)
}

// trial is what of the target names something of the host.
func (s *session) trial(listeners *typeState) (*snapshot.Snapshot, error) {
	s.tried = true
	if len(realOf(listeners.acked)) == 0 {
		return nil, nil //nolint:nilnil // it has nothing to lose
	}
	return snapshot.Trial(s.target, s.version)
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
