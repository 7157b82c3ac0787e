package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// A push is one response: what changes on the proxy when it takes it.
type push struct {
	url      string
	of       *snapshot.Snapshot // what it brings the proxy to; nil where it only takes away
	revision string             // the ID of the snapshot
	pair     snapshot.Pair      // and what that is made of
	fleet    string             // whose the real listeners in it are
	add      []*snapshot.Resource
	remove   []string
	absent   []string                 // what it asks for and does not exist
	closes   bool                     // what it removes must have closed its sockets before the next is sent
	have     map[string]string        // what the proxy has been sent of this type after it
	was      map[string]fleet.Sockets // where listeners were before it
	version  string                   // of the whole type, for state-of-the-world
	spelling snapshot.Spelling        // in which files are named in it
}

// advance brings the proxy one step towards its target, if there is a step and
// nothing is under way. What is referred to goes first, and is removed last
// ("make before break"). Called with the session locked.
func (s *session) advance() {
	if s.target == nil || s.halted.Load() {
		return
	}
	if !s.trying {
		if r := s.scopesUnasked(); r != nil {
			s.refuseScopes(r)
			return
		}
	}
	s.tryFirst()
	for turn := range fleet.Turns {
		busy := s.keptFirst(turn)
		for _, k := range turn {
			if k.Type == resource.ListenerType && busy {
				continue
			}
			if st := s.types[k.Type]; st != nil { // the proxy asks for it
				busy = st.inFlight() || s.send(st, s.additions(st)) || busy
			}
		}
		if busy {
			s.sendBehind()
			return
		}
	}
	if !s.complete() {
		s.awaitListeners()
		return
	}
	if s.trying {
		s.hasTried()
		return
	}
	if s.interim {
		s.hasAhead()
		return
	}
	for _, k := range slices.Backward(fleet.Kinds) { // what refers, before what it referred to
		if st := s.types[k.Type]; st != nil && s.removes(k) && s.send(st, s.removals(st)) {
			return
		}
		if k.Type == resource.ListenerType && s.retains() {
			break // what it may refer to stays, too
		}
	}
	s.report()
}

// send answers the type's request, at once or, with a large push, in its turn. It
// reports whether there is something to wait for.
func (s *session) send(st *typeState, p *push) bool {
	if p == nil || !st.open {
		return false
	}
	if !s.admit(st, p) {
		return true
	}
	st.open, st.pending = false, p
	s.outgoing = append(s.outgoing, st)
	if !s.writing {
		s.writing = true
		s.writer.Go(s.write)
	}
	return true
}

// additions are the resources that a proxy asks for and does not have in the
// target's version.
func (s *session) additions(st *typeState) *push {
	return s.additionsOf(st, s.offered)
}

// additionsOf are those of them that are offered.
func (s *session) additionsOf(st *typeState, offered func(*typeState) []*snapshot.Resource) *push {
	if !st.open || st.closing {
		return nil
	}
	s.recognize(st)
	var add []*snapshot.Resource
	for _, r := range offered(st) {
		if !st.wants(r.Name) {
			continue
		}
		if s.proxy.refused(s.target, st.url, r) {
			if s.sotw && fullState(st.url) {
				return nil // the response would have to leave it out, and so delete it
			}
			continue
		}
		if st.have[r.Name] != r.Version {
			if st.isStuck(r) || st.later[r.Name] == r.Version {
				continue
			}
			add = append(add, r)
		} else {
			st.bind(r)
		}
	}
	var absent []string
	if fleet.KindOf(st.url).Unasked {
		absent = s.absent(st)
	}
	if len(add) == 0 && len(absent) == 0 && !s.hasNone(st) {
		return nil
	}
	add, leave, closes := s.handOver(st, add)
	p := &push{
		url: st.url, of: s.target, revision: s.target.ID, pair: s.target.Pair, fleet: s.licence.fleet, add: add, remove: leave, absent: absent,
		have: with(without(st.have, leave), add), closes: closes,
	}
	if s.sotw {
		return s.stateOfTheWorld(st, p)
	}
	return p
}

// hasNone is whether a new proxy is to be told, once, that there are no clusters, or
// scoped routes: else it waits for them, for initial_fetch_timeout (15 s by default),
// before it goes on. Of listeners an empty set is never sent.
func (s *session) hasNone(st *typeState) bool {
	return !s.trying && fleet.KindOf(st.url).Awaited && !st.answered && len(st.have) == 0 && st.resume == "" && len(s.target.All(st.url)) == 0
}

// with is what a proxy has once it was sent resources.
func with(have map[string]string, add []*snapshot.Resource) map[string]string {
	out := make(map[string]string, len(have)+len(add))
	maps.Copy(out, have)
	for _, r := range add {
		out[r.Name] = r.Version
	}
	return out
}

// removes is whether the proxy is told what does not exist of a kind, once it has all of a
// target. An Envoy that speaks state-of-the-world has no way to hear that of a secret: it
// refuses a response that has none.
func (s *session) removes(k *fleet.Kind) bool { return k.Removed || k.Denied && !s.sotw }

// removals are the resources that the target does not have.
func (s *session) removals(st *typeState) *push {
	if !st.open {
		return nil
	}
	var gone []string
	for name := range st.have {
		if s.target.Get(st.url, name) == nil && (st.url != resource.ListenerType || s.mayRemove(name)) {
			gone = append(gone, name)
		}
	}
	gone = s.drained(st, gone)
	var absent []string
	if fleet.KindOf(st.url).Denied {
		absent = s.absent(st)
	}
	if len(gone)+len(absent) == 0 && !s.closesAll(st) {
		return nil
	}
	slices.Sort(gone)
	p := &push{url: st.url, revision: s.target.ID, pair: s.target.Pair, fleet: s.licence.fleet, remove: gone, absent: absent, have: without(st.have, gone)}
	if !s.sotw {
		return p
	}
	// State-of-the-world says it by leaving them out of the whole set.
	for _, r := range s.target.All(st.url) {
		if !st.wants(r.Name) {
			continue
		}
		if s.proxy.refused(s.target, st.url, r) {
			return nil
		}
	}
	if s.unsaid(st, p.have) {
		return nil
	}
	s.complement(st, p)
	return p
}

// closesAll is whether a state-of-the-world proxy has come back with listeners of which it
// is not known which they are, and is to have none. It is the one case in which an empty set
// of them is sent: what they were opened for was rejected, and nothing was ever good.
func (s *session) closesAll(st *typeState) bool {
	return s.sotw && s.target.Closes && st.url == resource.ListenerType && st.resume != "" &&
		st.resume != versionOf(nil) && len(s.target.All(st.url)) == 0
}

// without is what a proxy has once names were taken from it.
func without(have map[string]string, names []string) map[string]string {
	out := maps.Clone(have)
	for _, name := range names {
		delete(out, name)
	}
	return out
}

// stateOfTheWorld completes a response of that variant. For listeners and
// clusters it is the whole set, old ones that are yet to go included; for other
// types Envoy takes what changed. A proxy that came back with the version of
// just this set is sent nothing.
func (s *session) stateOfTheWorld(st *typeState, p *push) *push {
	p.version, p.remove = versionOf(p.have), nil
	if fullState(st.url) {
		if s.unsaid(st, p.have) {
			return nil
		}
		s.complement(st, p)
	}
	if st.resume != p.version && s.blind(st) {
		return nil
	}
	if st.resume == p.version {
		st.hold(p)
		st.rebind(p)
		st.have, st.acked, st.taken, st.resume = p.have, p.have, st.held, ""
		return nil
	}
	return p
}

// unsaid is whether a set can't be told as a whole: a listener that must stay is not known
// any more as it was.
func (s *session) unsaid(st *typeState, have map[string]string) bool {
	if st.url != resource.ListenerType {
		return false
	}
	for name := range have {
		if s.target.Get(st.url, name) == nil && st.held[name] == nil && !s.mayRemove(name) {
			return true
		}
	}
	return false
}

// complement makes a push the whole set: what is not in it the proxy does not have any more.
func (s *session) complement(st *typeState, p *push) {
	p.add = s.whole(st, p.have)
	p.have = with(nil, p.add)
	p.version = versionOf(p.have)
}

// whole are all listeners or clusters that a proxy has: those of the target, and old ones
// that are yet to go or yet to be replaced.
func (s *session) whole(st *typeState, have map[string]string) []*snapshot.Resource {
	var all []*snapshot.Resource
	for _, name := range slices.Sorted(maps.Keys(have)) {
		r := s.target.Get(st.url, name)
		if r != nil && st.held[name] == nil && st.later[name] == r.Version {
			continue
		}
		if r != nil && (r.Version == have[name] || st.held[name] == nil) {
			all = append(all, r)
		} else if r := st.held[name]; r != nil {
			all = append(all, r)
		}
	}
	return all
}

// fullState is whether a state-of-the-world response of a type is the whole set.
func fullState(url string) bool { return fleet.KindOf(url).Whole }

// versionOf names a set of resources by content, so that the version of a set
// is the same on every server and after every restart.
func versionOf(have map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(have)) {
		fmt.Fprintf(h, "%s\x00%s\n", name, have[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// report says, once per revision, that the proxy has all of it.
func (s *session) report() {
	s.proxy.mu.Lock()
	defer s.proxy.mu.Unlock()
	if !s.served {
		s.served, s.between, s.last = true, false, s.target
		s.serves.Store(&Event{Kind: Served, Node: s.node, Revision: s.target.Pair, Named: s.names(), Elapsed: time.Since(s.assigned)})
		s.proxy.report()
	}
	s.proxy.relent(s)
}
