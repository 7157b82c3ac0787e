package xds

import (
	"sync"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// A state-of-the-world proxy that connects again says the version of the clusters that it
// has, not which. Of a set that leaves one out it drops that one at once, while a listener
// that is yet to be replaced sends requests there: they are answered 503. So the server
// remembers the sets that it sent, by version, and such a proxy is treated as one that
// never went away.

// maxSets is how many are remembered. A proxy that comes back is on one of the last few.
const maxSets = 64

// sets are whole sets of clusters by version. Their resources are shared.
type sets struct {
	mu        sync.Mutex
	byVersion map[string][]*snapshot.Resource
	order     []string // oldest first
}

func (m *sets) put(version string, all []*snapshot.Resource) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byVersion == nil {
		m.byVersion = map[string][]*snapshot.Resource{}
	}
	if _, known := m.byVersion[version]; known {
		return
	}
	m.byVersion[version], m.order = all, append(m.order, version)
	if len(m.order) > maxSets {
		delete(m.byVersion, m.order[0])
		m.order = m.order[1:]
	}
}

func (m *sets) get(version string) []*snapshot.Resource {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.byVersion[version]
}

// Remember says that proxies may be on this snapshot that the server did not send it to:
// after a restart.
func (s *Server) Remember(snap *snapshot.Snapshot) {
	all := snap.All(resource.ClusterType)
	s.sets.put(versionOf(with(nil, all)), all)
}

// recall finds out which clusters a proxy has that says the version of them.
func (s *session) recall(st *typeState) {
	all := s.server.sets.get(st.resume)
	if st.url != resource.ClusterType || all == nil {
		return
	}
	st.hold(&push{add: all, version: st.resume})
	st.have = with(nil, all)
	st.acked, st.resume = st.have, ""
}
