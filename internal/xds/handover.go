package xds

import (
	"maps"
	"slices"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// Two listeners can't have one address. Where a new one takes that of an old one, which
// is renamed or gone or goes elsewhere, Envoy refuses it as long as it has the other: so
// the old one goes in the same update, of which Envoy does the removals first. It then
// hands the socket over: connections that come in between wait in the kernel.
//
// Nor can a listener have other sockets where it is (fleet.Sockets): one that is bound from
// now on, say, would be acknowledged and never be. It goes, too, and comes again, but not at
// once: Envoy acknowledges a removal before its threads have closed the sockets, and what
// comes to their addresses until then is given them, as they are.

// Nor can two scopes of routes have one key, or two virtual hosts of a route one domain. Of
// the latter an Envoy takes an update as one change. Of scopes it does not: where one of an
// update has the key that another of it had, it forgets whichever comes first (1.40.0).

// closingTime is longer than that takes.
const closingTime = 400 * time.Millisecond

// closed has what closed sockets be followed by nothing that might be given them.
func (s *session) closed(st *typeState, p *push) {
	if !p.closes {
		return
	}
	st.closing = true
	time.AfterFunc(closingTime, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		st.closing = false
		s.advance()
	})
}

// handOver is what of the additions can go out now, and the listeners that have to leave
// with it; closes says that the rest must wait until those have closed their sockets.
func (s *session) handOver(st *typeState, add []*snapshot.Resource) (now []*snapshot.Resource, leave []string, closes bool) {
	for name := range st.have {
		if s.inTheWay(st, name, add) {
			leave = append(leave, name)
		}
	}
	slices.Sort(leave)
	elsewhere := slices.ContainsFunc(leave, func(name string) bool { return s.target.Get(st.url, name) != nil })
	for _, r := range add {
		barred := slices.ContainsFunc(leave, func(name string) bool { return st.sockets[name].Bars(r.Sockets()) })
		closes = closes || barred
		// No update can say that a listener goes and comes again elsewhere: delta refuses a
		// name that is in both lists. So all that is in the way goes first; what takes its
		// place, next.
		if !barred && (!elsewhere || !slices.Contains(leave, r.Name) && !collides(r, leave, st)) {
			now = append(now, r)
		}
	}
	return now, leave, closes
}

// inTheWay is whether a listener that the proxy has must go before another can come, or
// before it can come itself as it is to be. One of which it is not known where it is, since
// the proxy had it before it connected, is if it is to go anyway and something comes that is
// not known to stay where it is.
func (s *session) inTheWay(st *typeState, name string, add []*snapshot.Resource) bool {
	has, known := st.sockets[name]
	switch {
	case st.url == resource.ListenerType:
	case !known && st.url == resource.ScopedRouteType:
		return len(add) > 0 && s.isStranger(st, name)
	case !known, fleet.KindOf(st.url).Together && s.target.Get(st.url, name) != nil:
		return false
	}
	return slices.ContainsFunc(add, func(r *snapshot.Resource) bool {
		if r.Name == name {
			return known && has.Reopened(r.Sockets())
		}
		if len(r.Binds()) == 0 {
			return false
		}
		if !known {
			_, stays := st.sockets[r.Name]
			return !stays && s.target.Get(st.url, name) == nil && s.mayRemove(name)
		}
		return anyCollide(r.Binds(), has.Binds)
	})
}

// isStranger is whether a scope, of which it is not known which key it has (the proxy had it before
// it connected, by a revision that is forgotten), may have that of one that comes: it is to go, or
// it is kept for connections that drain, and is to be another.
func (s *session) isStranger(st *typeState, name string) bool {
	r := s.target.Get(st.url, name)
	if r == nil {
		return !s.outlives(st.url, name)
	}
	return r.Version != st.have[name] && s.last != nil && s.last.Get(st.url, name) == nil
}

func collides(r *snapshot.Resource, names []string, st *typeState) bool {
	return slices.ContainsFunc(names, func(name string) bool { return anyCollide(r.Binds(), st.sockets[name].Binds) })
}

func anyCollide(a, b []fleet.Bind) bool {
	return slices.ContainsFunc(a, func(one fleet.Bind) bool { return slices.ContainsFunc(b, one.Collides) })
}

// bind notes where a listener is that the proxy has.
func (st *typeState) bind(r *snapshot.Resource) {
	if r.Sockets().Nowhere() {
		return
	}
	if st.sockets == nil {
		st.sockets = map[string]fleet.Sockets{}
	}
	st.sockets[r.Name] = r.Sockets()
}

// rebind notes what a push changes of that.
func (st *typeState) rebind(p *push) {
	p.was = maps.Clone(st.sockets)
	for name := range st.sockets {
		if _, has := p.have[name]; !has || slices.Contains(p.remove, name) {
			delete(st.sockets, name)
		}
	}
	for _, r := range p.add {
		st.bind(r)
	}
}
