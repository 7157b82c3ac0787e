package rollout

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// A proxy that comes from another fleet runs a revision of that one, its base. It is a
// proxy of this fleet's stages like any other, but what it runs until its flip, and what
// it goes back to, is its base. It is of this fleet when a rollout in which it was
// flipped has come to its end. Where there is no rollout, because what the fleet serves
// is what it is to have, one of that revision is made for such proxies alone: a move.

// Unmoved is why a proxy of another fleet did not take what this one serves.
type Unmoved struct {
	Revision Revision  `json:"revision"`
	Node     string    `json:"node,omitempty"` // the proxy whose evidence it was
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
	// Surroundings says that it was only for what is around it, as in Rejection: it is tried
	// again by itself. Tries are those in vain; Again, that one more is due.
	Surroundings bool `json:"surroundings,omitempty"`
	Tries        int  `json:"tries,omitempty"`
	Again        bool `json:"again,omitempty"`
}

// maxUnmoved is how many are remembered.
const maxUnmoved = 1000

// base is what a proxy runs while it has no candidate: the last good revision, or what
// it came with from another fleet.
func (f *Fleet) base(node string) string {
	if p := f.proxies[node]; p != nil && p.base != "" {
		return p.base
	}
	return cmp.Or(f.Serving.ID, f.Opened[node])
}

// Member is whether a proxy is one of the rollout's: it is not taken out of it.
func (f *Fleet) Member(node string) bool {
	if f.Rollout == nil {
		return false
	}
	_, member := f.Rollout.Members[node]
	return member
}

// Open is whether proxies of other fleets can come: not while a first revision goes to
// all at once.
func (f *Fleet) Open() bool {
	return f.Serving.ID != "" || f.Rollout != nil && f.Rollout.Staged
}

// Confirmed is whether a revision is known to be good: it is the last good one, or the
// one before, or all proxies of a stage have confirmed it. The first of a fleet, which
// goes to all at once, has nothing beside it.
func (f *Fleet) Confirmed(id string) bool {
	if id == "" {
		return false
	}
	if id == f.Serving.ID || f.Keeps(id) {
		return true
	}
	r := f.Rollout
	return r != nil && id == r.Candidate.ID && (r.Stage > 0 || f.Serving.ID == "")
}

// beginMove begins the rollout of what is served to proxies of other fleets.
func (s *step) beginMove(e Offered) {
	s.Rollout = newRollout(s.Serving, e.Plan, s.now).by(s.salt)
	s.Rollout.Move, s.Rollout.stored = true, true
	s.Rollout.Tries = s.triesOf(s.arrivals())
	s.rest = share{}
	arrivals := s.arrivals()
	s.record(Entry{Kind: MoveStarted, Revision: s.Serving, By: e.By, Reason: fmt.Sprintf("%s from elsewhere: %s", proxies(len(arrivals)), few(arrivals))})
	s.startStage(0)
}

// restaged has a first revision that nobody has yet go in stages after all: proxies of
// other fleets are the ones that it is for.
func (s *step) restaged(e Offered) bool {
	r := s.Rollout
	if !e.Staged || r.Staged || s.Serving.ID != "" || len(r.Members) > 0 {
		return false
	}
	r.Staged, r.Plan = true, e.Plan
	s.startStage(0)
	return true
}

// takes is whether the rollout is for a proxy.
func (s *step) takes(node string) bool {
	p := s.proxies[node]
	return !s.Rollout.Move || p != nil && p.base != ""
}

// bare is whether a proxy runs nothing, in a rollout that is staged for those that do:
// it has nothing to lose, and waits for no stage.
func (s *step) bare(node string) bool {
	p := s.proxies[node]
	return s.Rollout.Staged && s.Serving.ID == "" && p != nil && p.base == "" && !p.own && s.Opened[node] == ""
}

// enlist makes a proxy one of the stage's.
func (s *step) enlist(node string) {
	s.Rollout.Members[node] = s.Rollout.Stage
	s.rebase(node)
}

// rebase notes in the rollout what a member goes back to, so that a restarted server
// knows.
func (s *step) rebase(node string) {
	r, p := s.Rollout, s.proxies[node]
	if r == nil || p == nil {
		return
	}
	_, member := r.Members[node]
	switch {
	case !member || p.base == "":
		delete(r.Bases, node)
	case r.Bases == nil:
		r.Bases = map[string]string{node: p.base}
	default:
		r.Bases[node] = p.base
	}
}

// drop takes a proxy out of the rollout.
func (r *Rollout) drop(node string) {
	delete(r.Members, node)
	delete(r.Warmed, node)
	delete(r.Flipped, node)
	delete(r.Bases, node)
	delete(r.Took, node)
	delete(r.Late, node)
	delete(r.Fallen, node)
}

// disown forgets a proxy that another fleet decides about.
func (s *step) disown(node string) {
	delete(s.refusing, node)
	r := s.Rollout
	if r == nil {
		return
	}
	if _, member := r.Members[node]; member {
		r.drop(node)
		r.pool = nil // it is counted anew
		s.do(Store{})
	}
	if r.Move && !s.anyArrival() && len(r.Bases) == 0 {
		s.cancelMove("no proxy is to be moved any more")
	}
}

// arrivals are the connected proxies that come from other fleets.
func (s *step) arrivals() []string {
	var out []string
	for node, p := range s.proxies {
		if p.base != "" {
			out = append(out, node)
		}
	}
	slices.Sort(out)
	return out
}

func (f *Fleet) anyArrival() bool {
	for _, p := range f.proxies {
		if p.base != "" {
			return true
		}
	}
	return false
}

// noOneToMove ends a move whose proxies are gone for long. They are moved when they
// come back.
func (s *step) noOneToMove() {
	r := s.Rollout
	if r.vacantAt.IsZero() {
		r.vacantAt = s.now
	}
	if s.now.Sub(r.vacantAt) >= vacancy {
		s.cancelMove("none of the proxies is connected")
	}
}

func (s *step) cancelMove(reason string) {
	stage := s.Rollout.stage().Name
	s.end()
	s.do(Retarget{})
	s.record(Entry{Kind: MoveEnded, Revision: s.Serving, Stage: stage, Reason: reason})
	s.do(Store{})
}

// endMove takes in the proxies that have proven what is served.
func (s *step) endMove() {
	r := s.Rollout
	adopted, late := s.adopted(r), s.late(r)
	s.end()
	s.welcome(adopted)
	s.trail(r, late)
	s.do(Retarget{})
	s.do(Store{})
}

// adopted are the members from other fleets that have taken the candidate and confirmed it,
// connected or not.
func (s *step) adopted(r *Rollout) []string {
	var out []string
	for _, node := range slices.Sorted(maps.Keys(r.Bases)) {
		if r.Flipped[node] && r.Took[node] {
			out = append(out, node)
		}
	}
	return out
}

// welcome makes proxies those of this fleet.
func (s *step) welcome(adopted []string) {
	for _, node := range adopted {
		if p := s.proxies[node]; p != nil {
			p.base = ""
		}
		delete(s.Unmoved, node)
	}
	s.do(Adopted{adopted})
	if len(adopted) == 0 {
		return
	}
	s.record(Entry{Kind: MovedIn, Revision: s.Serving, Reason: fmt.Sprintf("%s: %s", proxies(len(adopted)), few(adopted))})
}

// refuseMove gives a move up: there is evidence against it. It is none against the
// revision, which this fleet's own proxies serve. The others that were to come would be
// no better off.
func (s *step) refuseMove(node, reason, by string) {
	r := s.Rollout
	refused := s.arrivals()
	for away := range r.Bases {
		if s.proxies[away] == nil {
			refused = append(refused, away)
		}
	}
	s.bar(refused, node, reason, by)
	if s.Rollout == r {
		s.end()
		s.do(Retarget{})
	}
}

// bar remembers that proxies are not to be moved here.
func (s *step) bar(nodes []string, node, reason, by string) {
	if s.Unmoved == nil {
		s.Unmoved = map[string]Unmoved{}
	}
	revision, stage, tries := s.Serving, "", 0
	if r := s.Rollout; r != nil {
		revision, stage, tries = r.Candidate, r.stage().Name, r.Tries
	}
	slices.Sort(nodes)
	for _, one := range nodes {
		if _, again := s.Unmoved[one]; again || len(s.Unmoved) < maxUnmoved {
			s.Unmoved[one] = Unmoved{Revision: revision, Node: node, Reason: reason, At: s.now, Tries: tries}
		}
	}
	s.record(Entry{Kind: MoveRefused, Revision: revision, Stage: stage, Node: node, By: by, Reason: fmt.Sprintf("%s (%s): %s", proxies(len(nodes)), few(nodes), reason)})
	s.do(NotAdopted{Nodes: nodes, Reason: reason})
	s.do(Store{})
}

// Barred is why a proxy is not moved to the fleet: it could not take what it was to have.
func (f *Fleet) Barred(node string) (Unmoved, bool) {
	u, barred := f.Unmoved[node]
	want := f.Serving
	if r := f.Rollout; r != nil {
		want = r.Candidate
	}
	return u, barred && !u.Again && u.Revision.ID == want.ID
}

func (s *step) unbar(node string) {
	if node == "" {
		s.Unmoved = nil
	}
	delete(s.Unmoved, node)
	s.do(Store{})
}

// turnAway says that members from other fleets stay what they were.
func (s *step) turnAway(r *Rollout, reason string) {
	if len(r.Bases) > 0 {
		s.do(NotAdopted{Nodes: slices.Sorted(maps.Keys(r.Bases)), Reason: reason})
	}
}

// few names the first of many.
func few(nodes []string) string {
	const most = 5
	text := ""
	for i, node := range nodes {
		if i == most {
			return fmt.Sprintf("%s and %d more", text, len(nodes)-most)
		}
		if i > 0 {
			text += ", "
		}
		text += node
	}
	return text
}
