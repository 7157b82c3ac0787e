package xds

import (
	"strings"
	"sync"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// What a proxy says of what it has when it connects again is less than the server needs
// to know. A state-of-the-world proxy says the version of its clusters, not which: of a
// set that leaves one out it drops that one at once, while a listener that is yet to be
// replaced sends requests there, which are answered 503. No proxy says where its listeners
// are: what comes to the address of one that moves is refused. So the server remembers
// what it sent, by version, and treats such a proxy as one that never went away.

// How much is remembered. A proxy that comes back is on one of the last few.
const (
	maxSets    = 64
	maxSockets = 1024
)

// sets are whole sets of clusters, listeners or scopes, and, by type, where listeners are and
// what else resources have to themselves, all by version. Their resources are shared.
type sets struct {
	mu      sync.Mutex
	whole   recent[[]*snapshot.Resource]
	sockets map[string]*recent[fleet.Sockets]
}

// recent keeps what was put into it last, by key.
type recent[T any] struct {
	byKey map[string]T
	order []string // oldest first
}

func (r *recent[T]) put(key string, value T, most int) {
	if r.byKey == nil {
		r.byKey = map[string]T{}
	}
	if _, known := r.byKey[key]; known {
		return
	}
	r.byKey[key], r.order = value, append(r.order, key)
	if len(r.order) > most {
		delete(r.byKey, r.order[0])
		r.order = r.order[1:]
	}
}

// put remembers a set, if version names one, and where the listeners in it are.
func (m *sets) put(url, version string, all []*snapshot.Resource) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if version != "" {
		m.whole.put(url+version, all, maxSets)
	}
	for _, r := range all {
		if ownPlace(r.Name) && !r.Sockets().Nowhere() {
			m.socketsOf(url).put(r.Version, r.Sockets(), maxSockets)
		}
	}
}

// socketsOf are those of a type. Called locked.
func (m *sets) socketsOf(url string) *recent[fleet.Sockets] {
	if m.sockets == nil {
		m.sockets = map[string]*recent[fleet.Sockets]{}
	}
	if m.sockets[url] == nil {
		m.sockets[url] = &recent[fleet.Sockets]{}
	}
	return m.sockets[url]
}

// ownPlace is whether a listener's version is that of its place, too. A shadow is elsewhere
// on each proxy, and stays there, or its version names the port: see recallBinds.
func ownPlace(listener string) bool {
	return !strings.HasPrefix(listener, snapshot.ShadowPrefix) || snapshot.InTrial(listener)
}

// Remember says that proxies may be on this snapshot that the server did not send it to:
// after a restart.
func (s *Server) Remember(snap *snapshot.Snapshot) {
	for _, k := range fleet.Kinds {
		if k.Whole || k.Apart {
			all := snap.All(k.Type)
			s.sets.put(k.Type, versionOf(with(nil, all)), all)
		}
	}
}

// recall finds out what a proxy has that says the version of its clusters or listeners.
func (s *session) recall(st *typeState) {
	s.server.sets.mu.Lock()
	all := s.server.sets.whole.byKey[st.url+st.resume]
	s.server.sets.mu.Unlock()
	if all == nil {
		return
	}
	st.have = with(nil, all)
	st.acked, st.resume = st.have, ""
	st.held = map[string]*snapshot.Resource{}
	for _, r := range all {
		if ownPlace(r.Name) {
			st.held[r.Name] = r
			st.bind(r)
		} else if snapshot.PlaceIn(r.Version) != nil {
			st.bind(r)
		}
	}
}

// recallSockets finds out where the listeners are that a proxy says it has.
func (s *session) recallSockets(st *typeState) {
	s.server.sets.mu.Lock()
	defer s.server.sets.mu.Unlock()
	for name, version := range st.have {
		sockets, ok := s.server.sets.socketsOf(st.url).byKey[version]
		if !ownPlace(name) {
			sockets.Binds = snapshot.PlaceIn(version)
			ok = sockets.Binds != nil
		}
		if ok {
			if st.sockets == nil {
				st.sockets = map[string]fleet.Sockets{}
			}
			st.sockets[name] = sockets
		}
	}
}
