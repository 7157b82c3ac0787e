package xds

import (
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// What only listeners need that drain stays on a proxy: scopes, virtual hosts, and the routes that it
// asks for still. A listener that comes meanwhile, and asks for the same, is there at once, with
// all of that as it was: it would answer by a revision before the last. So what a proxy has kept that
// its last revision lacks is brought up to date first, and goes where the target lacks it, too.

// keptFirst sends the next of that, and of what the proxy asks for by it (routes of scopes), and reports whether listeners are to wait for it. Called with
// the session locked.
func (s *session) keptFirst(turn []*fleet.Kind) bool {
	listeners := s.types[resource.ListenerType]
	if s.trying || s.last == nil || listeners == nil || turn[0].Type != resource.ListenerType {
		return false
	}
	waits := false
	for _, k := range turn[1:] {
		st := s.types[k.Type]
		if st == nil || !s.renews && !s.hasOld(st) {
			continue
		}
		waits = st.inFlight() || s.send(st, s.additions(st)) || k.Removed && s.hasOld(st) && s.send(st, s.removals(st)) || waits
	}
	s.renews = waits
	return waits
}

// hasOld is whether a proxy has something of a type that its last revision lacks, otherwise than
// the target has it.
func (s *session) hasOld(st *typeState) bool {
	for name, version := range st.have {
		if s.last.Get(st.url, name) != nil || !st.wants(name) {
			continue
		}
		r := s.target.Get(st.url, name)
		if r == nil && !s.outlives(st.url, name) && fleet.KindOf(st.url).Removed || r != nil && r.Version != version {
			return true
		}
	}
	return false
}
