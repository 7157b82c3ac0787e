package xds

import (
	"maps"
	"slices"
	"strings"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// Which proxy gets which revision is decided elsewhere. Here stands a second wall, for
// the one mistake that a working proxy does not survive: a real listener is taken from it
// only by a revision that is known to be good, of the fleet that the proxy is of or of
// the one that gave it the listener. What else would have it go leaves it there, and with
// it all that it may refer to. Shadow listeners are ours, and come and go.

// A Target is what a proxy is to have, and what it may lose for that.
type Target struct {
	Snapshot *snapshot.Snapshot // nil: the proxy keeps what it has
	// Fleet is whose the real listeners are, and Home the fleet that the proxy is of: that
	// whose revision it has proven last. They differ while it is on its way.
	Fleet, Home string
	// Confirmed says that the revision of the real listeners is known to be good: it is
	// served, or other proxies have confirmed it, or it is the first of its fleet.
	Confirmed bool
	// Whole says that it is yet to be proven here: the proxy takes all of it, or keeps what it has.
	Whole bool
	// Before is what the proxy may have, if it was here before. One that speaks
	// state-of-the-world only says under which version, of all of it.
	Before []*snapshot.Snapshot
}

// licence is what a target allows.
type licence struct {
	fleet, home string
	confirmed   bool
	whole       bool
	before      []*snapshot.Snapshot
}

func (t Target) licence() licence { return licence{t.Fleet, t.Home, t.Confirmed, t.Whole, t.Before} }

// mayRemove is whether the target may have a listener go that it lacks.
func (s *session) mayRemove(name string) bool {
	if strings.HasPrefix(name, snapshot.ShadowPrefix) {
		return true
	}
	l := s.licence
	owner, known := s.owners[name]
	if !known {
		owner = l.home
	}
	ours := l.fleet == l.home || l.fleet == owner
	if l.confirmed && ours {
		return true
	}
	s.keeps(name, owner, ours)
	return false
}

// keeps says, once, that a listener stays that a target lacks. That is no fault: the target
// is yet to be confirmed or, of a proxy on its way to another fleet, to be proven by it.
func (s *session) keeps(name, owner string, ours bool) {
	if s.kept[name] {
		return
	}
	if s.kept == nil {
		s.kept = map[string]bool{}
	}
	s.kept[name] = true
	log := s.server.log.With("node", s.node.GetId(), "listener", name, "of", owner, "revision", s.target.ID, "fleet", s.licence.fleet)
	if ours {
		log.Debug("a listener stays until the revision is confirmed that lacks it")
		return
	}
	s.server.counts.refusedRemovals.Add(1)
	log.Info("a listener stays until the proxy has proven the revision that lacks it, which is another fleet's")
}

// retains is whether the proxy has a real listener that the target lacks.
func (s *session) retains() bool {
	st := s.types[resource.ListenerType]
	if st == nil || s.target == nil {
		return false
	}
	for name := range st.have {
		if s.target.Get(st.url, name) == nil && !strings.HasPrefix(name, snapshot.ShadowPrefix) {
			return true
		}
	}
	return false
}

// owns notes whose the listeners are that a push brings: those of the target that the
// proxy did not have as they are. The others go along.
func (s *session) owns(st *typeState, p *push) {
	if st.url != resource.ListenerType {
		return
	}
	if s.owners == nil {
		s.owners = map[string]string{}
	}
	for _, r := range p.add {
		if st.have[r.Name] != r.Version && s.target != nil && s.target.Get(st.url, r.Name) == r {
			s.owners[r.Name] = p.fleet
		}
	}
	maps.DeleteFunc(s.owners, func(name, _ string) bool { _, has := p.have[name]; return !has })
}

// maxSteps is how many updates of listeners bring a proxy to a target: what is in the way
// goes, the rest comes, what is gone goes.
const maxSteps = 3

// recognize finds out which listeners or clusters a state-of-the-world proxy has that came
// back with a set of its own: that has the name that its content gives it. Of listeners it
// may have got as far as some step on the way from one of those sets to the target; and
// where its shadow listeners are none that this server could have made, since it has lost
// its state, the real ones are known by a name of their own.
func (s *session) recognize(st *typeState) {
	if !s.undisclosed(st) {
		return
	}
	views := []*snapshot.Snapshot{s.target}
	for _, before := range s.licence.before {
		view, err := before.For(s.node, s.slot, nil)
		if err != nil {
			return // own has said so
		}
		views = append(views, view)
	}
	if st.url == resource.ListenerType && st.real == versionOf(nil) {
		st.take(s.perhaps(st.url, views[1:]).withoutShadows())
		return
	}
	var real *typeState
	for _, held := range mayBe(st.url, views) {
		if len(held) == 0 {
			continue
		}
		may := &typeState{url: st.url, have: map[string]string{}, held: map[string]*snapshot.Resource{}}
		may.put(slices.Collect(maps.Values(held)))
		for step := 0; ; step++ {
			if versionOf(may.have) == st.resume {
				st.take(may)
				return
			}
			if real == nil && st.real != "" && versionOf(realOf(may.have)) == st.real {
				real = may.withoutShadows()
			}
			if st.url != resource.ListenerType || step == maxSteps || !s.step(may) {
				break
			}
		}
	}
	if real != nil {
		st.take(real)
	}
}

// perhaps is what a proxy may have that has accepted no set with a real listener, since a port
// was in use, say: of what it refused it may have taken a part. What the target lacks of that
// stays, unless it may go.
func (s *session) perhaps(url string, before []*snapshot.Snapshot) *typeState {
	may := &typeState{url: url, have: map[string]string{}, held: map[string]*snapshot.Resource{}}
	for _, view := range before {
		served, _ := parts(url, view)
		for name, r := range served {
			if s.target.Get(url, name) == nil && !s.mayRemove(name) {
				may.put([]*snapshot.Resource{r})
			}
		}
	}
	return may
}

// take notes that the proxy has what it may have.
func (st *typeState) take(may *typeState) {
	st.have, st.acked, st.held, st.taken, st.sockets, st.resume = may.have, may.have, may.held, may.held, may.sockets, ""
}

// realOf are the versions of the real listeners among some.
func realOf(have map[string]string) map[string]string {
	out := maps.Clone(have)
	maps.DeleteFunc(out, func(name, _ string) bool { return strings.HasPrefix(name, snapshot.ShadowPrefix) })
	return out
}

// someShadow stands for shadow listeners that are not known, and go with the next update.
const someShadow = snapshot.ShadowPrefix + "?"

// withoutShadows are the real listeners, with shadow listeners that are not known.
func (st *typeState) withoutShadows() *typeState {
	out := &typeState{url: st.url, have: realOf(st.have), held: map[string]*snapshot.Resource{}}
	for name := range out.have {
		out.held[name] = st.held[name]
		out.bind(st.held[name])
	}
	out.have[someShadow] = ""
	return out
}

// mayBe are the sets that a proxy may have which is on its way between some revisions: what
// one of them has, with what stays of another, and the shadow listeners of any or none.
func mayBe(url string, views []*snapshot.Snapshot) []map[string]*snapshot.Resource {
	var out []map[string]*snapshot.Resource
	shadows := []map[string]*snapshot.Resource{{}}
	for _, view := range views {
		_, shadow := parts(url, view)
		shadows = append(shadows, shadow)
	}
	for _, view := range views {
		for _, stays := range views {
			set, _ := parts(url, stays)
			newer, _ := parts(url, view)
			maps.Copy(set, newer)
			for _, shadow := range shadows {
				both := maps.Clone(set)
				maps.Copy(both, shadow)
				out = append(out, both)
			}
		}
	}
	return out
}

// parts are the resources of a type by name, the shadow listeners apart.
func parts(url string, view *snapshot.Snapshot) (served, shadow map[string]*snapshot.Resource) {
	served, shadow = map[string]*snapshot.Resource{}, map[string]*snapshot.Resource{}
	for _, r := range view.All(url) {
		if strings.HasPrefix(r.Name, snapshot.ShadowPrefix) && url == resource.ListenerType {
			shadow[r.Name] = r
		} else {
			served[r.Name] = r
		}
	}
	return served, shadow
}

// step does to listeners what the next update on the way to the target would, and reports
// whether there is one.
func (s *session) step(st *typeState) bool {
	var add []*snapshot.Resource
	for _, r := range s.target.All(st.url) {
		if st.have[r.Name] != r.Version {
			add = append(add, r)
		}
	}
	add, leave, _ := s.handOver(st, add)
	for _, name := range leave {
		delete(st.have, name)
		delete(st.held, name)
		delete(st.sockets, name)
	}
	st.put(add)
	return len(add)+len(leave) > 0
}

// put notes that a proxy has listeners.
func (st *typeState) put(all []*snapshot.Resource) {
	for _, r := range all {
		st.have[r.Name], st.held[r.Name] = r.Version, r
		st.bind(r)
	}
}

// undisclosed is whether it is not known what the proxy has of a type, of which each response
// names all: one that it left out would go.
func (s *session) undisclosed(st *typeState) bool {
	return fullState(st.url) && s.sotw && st.resume != "" && len(st.have) == 0
}

// blind is whether a response might have something go that must not: of the listeners, and
// of what they refer to. The proxy has trouble of its own then, which is said each time.
func (s *session) blind(st *typeState) bool {
	licensed := s.licence.confirmed && s.licence.fleet == s.licence.home
	if !s.undisclosed(st) || st.resume == versionOf(nil) || licensed {
		return false
	}
	if st.url != resource.ListenerType {
		// Of known listeners it is known what they refer to: that is in the target.
		listeners := s.types[resource.ListenerType]
		if listeners == nil {
			s.awaitListeners()
			return !s.silent // it is about to ask for them, or has none
		}
		s.recognize(listeners)
		return s.undisclosed(listeners) && listeners.resume != versionOf(nil)
	}
	s.keeps("(those that it has)", s.licence.home, s.licence.fleet == s.licence.home)
	s.tell(Event{
		Kind: Rejected, Revision: s.target.Pair, Resource: "Listener", Trouble: true,
		Message: "it speaks state-of-the-world, and came back with clusters or listeners that this server does not know: " +
			"it keeps them until a revision is confirmed on another proxy, or until it is restarted",
	})
	return true
}
