package rollout

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"time"
)

// tickEvery is how often a rollout wants to know that time has passed.
const tickEvery = 200 * time.Millisecond

// Next is when the fleet wants a Tick; zero for never.
func (f *Fleet) Next(now time.Time) time.Time {
	if f.Rollout != nil || f.Survey != nil {
		return now.Add(tickEvery)
	}
	return sooner(sooner(sooner(f.retryAt(), f.MoveRetryAt()), f.nextRetry()), f.Watch.next(now))
}

// next is when a watch wants one.
func (w *Watch) next(now time.Time) time.Time {
	switch {
	case w == nil:
		return time.Time{}
	case w.Degraded != nil:
		return now.Add(time.Second)
	}
	return w.Until // it ends with the first Tick from then on
}

// startStage widens the rollout to the proxies of a stage.
func (s *step) startStage(i int) {
	r := s.Rollout
	r.Stage, r.StageAt = i, s.now
	r.Released, r.Approved, r.told, r.bakeSince, r.Lost = false, false, map[Kind]bool{}, time.Time{}, 0
	r.flaps = flaps{}
	r.baseline, r.loneAt, r.vacantAt, r.emptyAt, r.toldWaits = baseline{}, time.Time{}, time.Time{}, time.Time{}, nil
	s.settleComers()
	s.recruit()
	stage := r.stage()
	s.record(Entry{
		Kind: StageStarted, Revision: r.Candidate, Stage: stage.Name,
		Reason: fmt.Sprintf("stage %d of %d, %s", i+1, len(r.Plan.Stages), proxies(len(r.Members))),
	})
	s.sayEmpty()
	s.do(Store{})
}

func proxies(n int) string {
	if n == 1 {
		return "1 proxy"
	}
	return fmt.Sprintf("%d proxies", n)
}

// Awaiting is whether the rollout waits for a person to end its stage, and for
// nothing else: a proxy of it that came back is yet to confirm.
func (f *Fleet) Awaiting() bool {
	r := f.Rollout
	return r != nil && r.told[Awaiting] && !r.Approved && r.allConfirmed()
}

// once records what is said once in a stage.
func (s *step) once(kind Kind, node, reason string) {
	r := s.Rollout
	if r.told == nil { // after a restart
		r.told = map[Kind]bool{}
	}
	if !r.told[kind] {
		r.told[kind] = true
		s.record(Entry{Kind: kind, Revision: r.Candidate, Stage: r.stage().Name, Node: node, Reason: reason})
	}
}

// seat finds the place of a proxy that has just connected.
func (s *step) seat(node string) {
	r := s.Rollout
	_, member := r.Members[node]
	switch {
	case s.stopped():
	case !member && (s.bare(node) || r.stage().whole() && s.takes(node)):
		s.enlist(node)
	case r.stage().whole():
	case r.pool == nil: // after a restart
		s.recruit()
	default:
		for _, enlisted := range r.pool.fill(s) {
			s.place(enlisted)
		}
	}
	s.place(node)
}

// recruit fills the stage up with connected proxies.
func (s *step) recruit() {
	r := s.Rollout
	if s.stopped() {
		return
	}
	for node := range s.proxies {
		if _, member := r.Members[node]; !member && s.bare(node) {
			s.enlist(node)
		}
	}
	p := s.newPool()
	p.fill(s)
	if r.pool = p; r.stage().whole() {
		r.pool = nil // whoever comes is of it
	}
	for _, node := range slices.Sorted(maps.Keys(r.Members)) {
		s.place(node)
	}
}

// whole is whether the stage is all of the fleet.
func (st Stage) whole() bool { return st.Percent >= 100 && len(st.Match) == 0 }

// size is how many of the proxies that match make the stage: at least one, and a percentage
// is rounded up.
func (st Stage) size(matching int) int {
	if st.Percent > 0 {
		return max(1, int(math.Ceil(float64(matching)*st.Percent/100-1e-9)))
	}
	return max(1, st.Proxies)
}

func (st Stage) matches(attributes map[string]string) bool {
	for key, want := range st.Match {
		got, ok := attributes[key]
		if key == "id" {
			// The pattern was checked when the fleet file was read.
			ok, _ = path.Match(want, got)
		} else {
			ok = ok && got == want
		}
		if !ok {
			return false
		}
	}
	return true
}

// advance takes the steps that are due.
func (s *step) advance() {
	r := s.Rollout
	if r == nil || s.stopped() {
		return
	}
	if r.pool == nil && !r.stage().whole() && len(s.proxies) > 0 {
		s.recruit() // after a restart, or when a proxy became another fleet's
	}
	s.countFallen() // before a stage can end without them
	for s.Rollout != nil && s.turn() {
	}
}

// waitFor looks at what each member is waited for, and for how long.
func (s *step) waitFor() {
	r := s.Rollout
	if r == nil || s.stopped() {
		return
	}
	if next := r.next; next != nil && s.now.Sub(r.nextAt) > diskPatience {
		s.supersede(*next) // the disk does not take it
		return
	}
	if s.flapsTooLong() {
		return
	}
	s.appoint()
	for _, node := range s.due() {
		p := s.proxies[node]
		if s.neverReports(p) {
			p.opening.waits = false
		}
		s.waive(node)
		if !s.overdue(p) {
			continue
		}
		switch p.phase {
		case Joining: // not the candidate's fault: the stage goes on without it
			s.discount(node)
			p.phase = Idle
			if p.base != "" {
				s.bar([]string{node}, node, fmt.Sprintf("it has not taken what it is to run for %s", r.stage().Deadline), "")
			}
		case Warming, Proving, Flipping, Confirming:
			if s.overdueIn(node); s.Rollout != r {
				return
			}
		case AwaitingService:
			switch {
			case s.quietFor(p, r.stage().Deadline):
				s.overdueIn(node)
			case p.denied:
				s.tooLongDenied(node)
			}
			if s.Rollout != r {
				return
			}
		case Idle, Proven, Confirmed, InTrouble: // it waits for others
		}
	}
	if s.leaveUnheard(); s.Rollout != r {
		return
	}
	s.vacant()
}

// diskPatience is how long a newer revision waits for the one before to be stored.
const diskPatience = 10 * time.Second

// done is whether the candidate has come through all of its stages, and only its
// writing to the disk is waited for.
func (s *step) done() bool {
	r := s.Rollout
	return r.Stage == len(r.Plan.Stages)-1 && r.Released && r.allConfirmed() && !r.bakeSince.IsZero() &&
		(r.Approved || !r.stage().Manual && s.now.Sub(r.bakeSince) >= r.stage().Bake)
}

// Waiting is the ID of a newer revision that waits for the one before to be
// stored, or "".
func (f *Fleet) Waiting() string {
	if f.Rollout == nil || f.Rollout.next == nil {
		return ""
	}
	return f.Rollout.next.ID
}

// due are the members that something is to be done about.
func (s *step) due() []string {
	var out []string
	for node := range s.Rollout.Members {
		if p := s.proxies[node]; p != nil {
			if _, _, waived := s.waived(p); waived || s.overdue(p) || s.neverReports(p) {
				out = append(out, node)
			}
		}
	}
	slices.Sort(out)
	return out
}

// overdue is whether a member was in its phase for longer than its stage allows.
func (s *step) overdue(p *proxy) bool {
	deadline := s.Rollout.stage().Deadline
	return deadline > 0 && s.now.Sub(p.since) > deadline
}

// waive lets a proxy go on that can't be asked the checks, or has none.
func (s *step) waive(node string) {
	next, checks, waived := s.waived(s.proxies[node])
	if !waived {
		return
	}
	if checks {
		s.once(Unproven, node, cmp.Or(s.proxies[node].unasked, "it has no health discovery stream")+": that it accepted the revision must do")
	}
	s.enter(node, next)
}

// waived is whether a proxy is one of these, and what to: checks says that there
// are some.
func (s *step) waived(p *proxy) (next Phase, checks, waived bool) {
	plan := s.Rollout.Plan
	switch p.phase {
	case Proving:
		if s.asksBefore(p) {
			return Proven, false, s.askedLong(p)
		}
		next, checks = Proven, plan.ShadowChecks
	case Confirming:
		if p.opening.waits {
			return Idle, false, false
		}
		next, checks = Confirmed, plan.LiveChecks
	case Idle, Joining, Warming, Proven, Flipping, Confirmed, AwaitingService, InTrouble:
		return Idle, false, false
	}
	return next, checks, !checks || p.unasked != "" || !p.health && !p.expects && s.now.Sub(p.since) >= healthGrace
}

// turn takes one step of the stage, and reports whether there may be another.
func (s *step) turn() bool {
	r := s.Rollout
	switch {
	case (r.Move || r.Own && r.members > 0) && s.isEmpty() && r.Stage < len(r.Plan.Stages)-1:
		s.startStage(r.Stage + 1) // none that has something to lose is of it, and the others have it already
		return true
	case r.members == 0 || !r.Released && (!r.allProven() || s.Serving.ID != "" && r.clientsOnly()) || s.isEmpty():
		return false
	case !r.Released && s.awaitsBaseline():
		return false
	case !r.Released && s.allUnheard():
		return false
	case !r.Released:
		s.release()
		return true
	case s.flipProven():
		return true
	case !r.allConfirmed():
		return false
	case r.bakeSince.IsZero():
		r.bakeSince = s.now
		s.once(Baking, "", "for "+r.stage().Bake.String())
		return true
	case !r.Approved && s.now.Sub(r.bakeSince) < r.stage().Bake:
		return false
	}
	r.flaps = flaps{} // it has baked
	switch {
	case r.stage().Manual && !r.Approved:
		s.once(Awaiting, "", "")
		return false
	case s.anySilent(), !r.Approved && (r.awaitsFallen(s.now) || !r.compares(s.now).IsZero()):
		return false
	case r.Stage < len(r.Plan.Stages)-1:
		s.startStage(r.Stage + 1)
		return true
	case r.stored:
		s.promote()
	}
	return false
}

// release lets all of the stage flip, as one: each of them has proven the candidate.
func (s *step) release() {
	r := s.Rollout
	r.Released = true
	s.freezeHabits()
	flipping := s.mayFlip()
	for _, node := range flipping {
		s.flip(node)
	}
	s.do(Retarget{})
	s.record(Entry{Kind: Flipped, Revision: r.Candidate, Stage: r.stage().Name, Reason: proxies(len(flipping))})
	s.do(Store{})
}

func (s *step) flip(node string) {
	s.Rollout.Flipped[node] = true
	s.noteApart(node)
	s.enter(node, Flipping)
	p := s.proxies[node]
	p.traffic.flip()
	p.traffic.leftover, p.traffic.regained = p.traffic.regained, false
	p.traffic.habit.treat(p.accepted.Live, s.Rollout.baseline.earlier)
	// One that has it already is sent nothing, and says nothing: a first revision that was
	// left for another one, and came back.
	if a := s.Target(node); p.accepted.Live == a.Live && p.accepted.Shadow == a.Shadow {
		s.hasFlipped(node)
	}
}

// hasFlipped has a proxy confirm what its real listener runs.
func (s *step) hasFlipped(node string) {
	s.proxies[node].flipAsked()
	s.enter(node, Confirming)
	s.flipOpens(node)
	s.waive(node)
	s.do(Assign{node})
}

// flipProven flips proxies that came later than the rest of their stage.
func (s *step) flipProven() bool {
	flipping := s.mayFlip()
	if len(flipping) == 0 {
		return false
	}
	for _, node := range flipping {
		s.flip(node)
		s.do(Assign{node})
	}
	s.do(Store{})
	return true
}

// anySilent sends proxies that have not reported for long back to confirm.
func (s *step) anySilent() bool {
	r := s.Rollout
	if !r.Plan.LiveChecks {
		return false
	}
	some := false
	for node := range r.Members {
		p := s.proxies[node]
		if p != nil && p.phase == Confirmed && p.health && s.now.Sub(p.lastGood) > silence {
			s.enter(node, Confirming)
			some = true
		}
	}
	return some
}
