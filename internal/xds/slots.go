package xds

import (
	"context"
	"maps"
	"net"
	"slices"
	"strings"

	"google.golang.org/grpc/peer"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// Processes may share a node id: an Envoy that is restarted with overlap, a hot restart,
// two hosts of one image, on purpose or by mistake. Each has a stream, and each is given
// the same. Only their shadow listeners must not collide: those are sockets of one name
// space. So each stream of an id has a slot, the lowest that is free, which is a part of
// the sockets' names, and of the version by which the proxy knows those listeners. One that
// comes back says that version, and keeps its slot, in whatever order they come, also to a
// server that is new. One that has none yet takes what is left.
//
// What counts is what all of them say: a revision is served when each has accepted it, and
// proven when each has; one that refuses it is enough against it.

// maxSlots is how many sockets are tried that nobody here has: a process that another
// server serves, or that has lost its stream, may have some.
const maxSlots = 16

// freeSlot is the lowest slot from one on that no stream of the id has. Called with the
// proxy locked.
func (p *proxy) freeSlot(from int) int {
	for slot := from; ; slot++ {
		if !slices.ContainsFunc(p.sessions, func(s *session) bool { return s.slot == slot }) {
			return slot
		}
	}
}

// claimVersions takes the slot of a delta proxy from the versions that it comes back with.
func (s *session) claimVersions(url string, versions map[string]string) {
	if url != resource.ListenerType {
		return
	}
	slot := -1
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		if strings.HasPrefix(name, snapshot.ShadowPrefix) && !snapshot.InTrial(name) {
			_, slot = snapshot.SlotOf(versions[name])
		}
	}
	s.claim(slot)
}

// claimSet takes that of a state-of-the-world proxy from the version of its listeners.
func (s *session) claimSet(st *typeState) {
	if st.url != resource.ListenerType {
		return
	}
	slot := -1
	if st.resume != "" {
		st.resume, slot = snapshot.SlotOf(st.resume)
		st.resume, st.real, _ = strings.Cut(st.resume, ".")
	}
	s.claim(slot)
}

// versioned is the version of a set as the proxy is told it. That of listeners is "ALL.REAL",
// or "ALL.REAL/SLOT": the real ones are known by it, whatever shadow listeners are beside
// them. An older server gave "ALL" alone.
func (s *session) versioned(p *push) string {
	if p.url == resource.ListenerType {
		return snapshot.InSlot(p.version+"."+versionOf(realOf(p.have)), s.slot)
	}
	return p.version
}

// claim gives the session the slot that its proxy has, or any (-1). Who has it on no other
// ground than that it was free gives it up: it was sent no listener yet.
func (s *session) claim(slot int) {
	p := s.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	s.claimed = true
	if slot < 0 || slot == s.slot {
		return
	}
	i := slices.IndexFunc(p.sessions, func(other *session) bool { return other != s && other.slot == slot })
	if i >= 0 && p.sessions[i].claimed {
		slot = p.freeSlot(0)
	} else if i >= 0 {
		p.sessions[i].slot = s.slot // it finds that out with its own claim
	}
	s.slot = slot
	s.moved()
}

// moved has everything made anew that depends on the slot. Called with the session and the
// proxy locked.
func (s *session) moved() {
	s.aim()
	s.proxy.voices.wake()
}

// evade takes another slot where a socket of a shadow listener is in use by a process
// that this server knows nothing of, and reports whether that was all that was refused.
func (s *session) evade(st *typeState, versions map[string]string, message string, p *push) bool {
	refused := named(versions, message)
	for name := range refused {
		if !strings.HasPrefix(name, snapshot.ShadowPrefix) || snapshot.InTrial(name) {
			return false
		}
	}
	if len(refused) == 0 || !strings.Contains(message, "Address already in use") || s.slot >= maxSlots {
		return false
	}
	st.doubt(versions, p, message)
	s.proxy.mu.Lock()
	defer s.proxy.mu.Unlock()
	s.slot = s.proxy.freeSlot(s.slot + 1)
	s.server.log.Info("another process has the socket of a shadow listener: this one gets another", "node", s.node.GetId(), "slot", s.slot)
	s.moved()
	return true
}

// sibling says that another process of the node id has gone.
func (s *session) sibling() {
	if s.troubled.Load() && s.serves.Load() == nil {
		s.retry()
	}
}

// report says that the proxy has all of its target, once each of its processes has. Called
// with the proxy locked.
func (p *proxy) report() {
	if last := p.serves(); last != nil && last.Revision != p.told {
		p.told = last.Revision
		p.server.events.put(*last)
	}
}

// serves is what says that all of its processes have the same, nil where they do not. Called
// with the proxy locked.
func (p *proxy) serves() (last *Event) {
	for _, s := range p.sessions {
		serves := s.serves.Load()
		if serves == nil || last != nil && last.Revision != serves.Revision {
			return nil
		}
		last = serves
	}
	return last
}

// SayAgain has it said once more that the proxies with a node id serve what they are to
// have, if they do: whoever decides about them now has not heard it.
func (s *Server) SayAgain(nodeID string) {
	if p := s.proxy(nodeID); p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.told = snapshot.Pair{}
		p.report()
	}
}

// peerOf is the address that a stream comes from, "" where it is not known. The streams of
// one Envoy to one endpoint share a connection, and so tell which of them belong together.
func peerOf(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return ""
	}
	if _, unix := p.Addr.(*net.UnixAddr); unix {
		return "" // all of its clients have the same: none
	}
	return p.Addr.String()
}

// slotOf is the slot of the process that a health discovery stream is of: of that with the
// same connection or, where there is none, of that which came as the same of its kind.
// Called with the proxy locked.
func (p *proxy) slotOf(h *healthStream) int {
	if len(p.sessions) == 0 {
		return 0
	}
	for _, session := range p.sessions {
		if session.peer == h.peer && h.peer != "" {
			return session.slot
		}
	}
	index := max(slices.Index(p.voices.health, h), 0)
	return p.sessions[min(index, len(p.sessions)-1)].slot
}
