package rollout

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// A trouble is what keeps one proxy from taking what it was sent, and is no fault of
// that: another process has its port, a file is missing on its host. It is no evidence
// against a revision. The proxy is sent the same again, after a second and then after
// twice as long each time, until it takes it or is to have something else; one that is
// started anew is sent it at once, as any is. Its stage goes on without it.
type trouble struct {
	reason    string
	phase     Phase // that it was in
	since     time.Time
	next      time.Time // when it is tried again; zero while its answer is awaited
	delay     time.Duration
	candidate bool // it came with the candidate of a rollout
	back      bool // it was put back on what it ran before that, until it is tried again; see partial.go
	heard     int  // reports of its counters since
	clock     bool // it is its clock that is wrong; see clock.go
	silent    bool // nothing is heard of it; see silent.go
	before    bool // and was not before it had the candidate, either
}

const (
	retryFirst = time.Second
	retryMost  = time.Minute
)

// backOff is how long is waited after a number of tries in vain.
func backOff(tries int) time.Duration {
	return min(retryMost, retryFirst<<min(tries, 10))
}

// A Trouble is what keeps a connected proxy from what it is to have, and is no fault of that.
type Trouble struct {
	Reason string    // "" for no trouble
	Since  time.Time // when it began
	Next   time.Time // when the proxy is tried again; zero: not by time alone
	Ends   string    // what ends it, where Next is zero
}

// TroubleOf is that of a connected proxy.
func (f *Fleet) TroubleOf(node string) Trouble {
	p := f.proxies[node]
	if p == nil || p.trouble == nil {
		return Trouble{}
	}
	t := p.trouble
	out := Trouble{Reason: t.reason, Since: t.since}
	switch {
	case t.silent:
		out.Ends = "it goes on with the first that is heard of it: start it anew if it does not answer"
	case t.clock:
		out.Ends = "it goes on when its clock is right"
	case f.leaves(node):
		out.Ends = "it is tried again when the fleet has a file again"
	case t.back && f.Rollout != nil && f.stopped():
		out.Ends = "it is tried again when the rollout goes on"
	case t.next.IsZero():
		out.Ends = "its answer to the last try is awaited"
	default:
		out.Next = t.next
	}
	return out
}

// at is the phase of a proxy, or that which its trouble keeps it in.
func (p *proxy) at() Phase {
	if p.phase == InTrouble {
		return p.trouble.phase
	}
	return p.phase
}

func (s *step) inTrouble(e Troubled) {
	p := s.proxies[e.Node]
	if a := s.Target(e.Node); p == nil || a.Live != e.Live || a.Shadow != e.Shadow {
		return // it is to have something else by now, and was sent it
	}
	r := s.Rollout
	p.whole = e.Whole
	t := p.trouble
	if t == nil {
		t = &trouble{phase: p.phase, since: s.now, candidate: r != nil && (e.Live == r.Candidate.ID || e.Shadow == r.Candidate.ID)}
		s.setTrouble(e.Node, t)
	} else {
		t.delay, t.clock = min(2*t.delay, retryMost), false
	}
	if t.delay == 0 {
		t.delay = retryFirst
	}
	t.next = s.now.Add(t.delay)
	s.putBack(e)
	if t.reason == e.Reason {
		return
	}
	t.reason = e.Reason
	s.record(Entry{Kind: ProxyInTrouble, Revision: s.revisionOf(e.Live, e.Shadow), Node: e.Node, Reason: e.Reason})
	s.tooManyInTrouble(e.Node)
}

// revisionOf is the revision that a proxy was sent, for people.
func (f *Fleet) revisionOf(live, shadow string) Revision {
	if r := f.Rollout; r != nil && (live == r.Candidate.ID || shadow == r.Candidate.ID) {
		return r.Candidate
	}
	return f.Serving
}

// setTrouble puts a proxy into trouble, or out of it. A stage that is a part of the
// fleet takes another in its place.
func (s *step) setTrouble(node string, t *trouble) {
	p, r, phase := s.proxies[node], s.Rollout, InTrouble
	if t == nil {
		phase = p.trouble.phase
	}
	s.recount(node, func() {
		s.discount(node)
		p.trouble = t
		if p.phase != Idle {
			p.phase, p.since = phase, s.now
		}
		s.count(node)
	})
	if t == nil {
		delete(s.troubled, node)
		return
	}
	if s.troubled == nil {
		s.troubled = map[string]bool{}
	}
	s.troubled[node] = true
	if r != nil && !s.stopped() && r.pool != nil {
		for _, enlisted := range r.pool.fill(s) {
			s.place(enlisted)
		}
	}
}

// placeInTrouble puts a member into the rollout that had trouble before it: it gets what
// is good first, when it can.
func (s *step) placeInTrouble(node string) {
	p := s.proxies[node]
	p.trouble.phase = Joining
	if s.Rollout.Flipped[node] {
		p.trouble.phase = Flipping
	}
	p.phase, p.since = InTrouble, s.now
}

// outlast is what becomes of trouble when a rollout ends. Where the proxy is to have the
// same as before, or what was the candidate, it goes on; with a candidate that was given
// up it is over.
func (s *step) outlast(node string, candidate Revision) {
	t := s.proxies[node].trouble
	switch {
	case t == nil:
	case t.candidate && candidate != s.Serving:
		s.proxies[node].trouble = nil
		delete(s.troubled, node)
	case t.clock, t.silent:
		t.phase, t.candidate = Idle, false
	case s.proxies[node].base != "": // it is to have what it has
		s.proxies[node].trouble = nil
		delete(s.troubled, node)
	default: // it is good: what it can take of it, it is given
		t.phase, t.candidate, t.back, t.next = Idle, false, false, s.now.Add(t.delay)
	}
}

// overTrouble notes that a proxy has taken what it could not: it goes on from where
// it was.
func (s *step) overTrouble(node string) {
	p := s.proxies[node]
	if p.trouble == nil || p.trouble.clock || p.trouble.back || p.accepted.Live != s.Target(node).Live || p.accepted.Shadow != s.Target(node).Shadow {
		return
	}
	away := s.now.Sub(p.trouble.since)
	s.setTrouble(node, nil)
	if p.traffic.flipped {
		p.traffic.flip() // now
	}
	s.record(Entry{
		Kind: ProxyOutOfTrouble, Revision: s.revisionOf(p.accepted.Live, p.accepted.Shadow), Node: node,
		Reason: "it has taken it, after " + away.Round(time.Millisecond).String(),
	})
}

// tooManyInTrouble gives a candidate up that so many proxies of its stage can't take
// that it is not the trouble of one. A first revision has nothing to go back to: while one
// proxy has it, or may, giving it up would take a listener that works.
func (s *step) tooManyInTrouble(node string) {
	r := s.Rollout
	if r == nil || r.Late[node] || !s.proxies[node].trouble.candidate || s.Serving.ID == "" && s.someHaveIt() {
		return
	}
	troubled := s.troubledMembers() - s.lateInTrouble()
	of := r.members + troubled
	limit := MayBeTroubled(r.Plan.Limits.Troubled, of)
	if troubled > limit {
		reason := fmt.Sprintf("%s can't take it for trouble of their own, and limits.troubled lets a stage go without %s; the last: %s",
			ofAll(troubled, of), proxies(limit), s.proxies[node].trouble.reason)
		doubtful := s.doubtful()
		if troubled-len(doubtful) > limit {
			doubtful = nil
		}
		if doubtful != nil {
			reason += "; it is tried again when one of them is heard, or another is started"
		}
		s.reject(Rejected, node, reason, "", r.Plan.troubleFacet())
		if doubtful == nil {
			s.blameSurroundings(r)
			return
		}
		s.blameSilence(r, &Unheard{Nodes: doubtful})
	}
}

// ofAll counts some of the proxies that were given something.
func ofAll(n, of int) string {
	switch {
	case of == 1:
		return "the only proxy that was given it"
	case n == of:
		return fmt.Sprintf("all %d proxies that were given it", n)
	}
	return fmt.Sprintf("%d of the %d proxies that were given it", n, of)
}

// MayBeTroubled is how many of some proxies may have trouble of their own, by a share of
// Limits.Troubled: one, unless that is 0.
func MayBeTroubled(share float64, of int) int {
	if share == 0 {
		return 0
	}
	return max(1, int(share*float64(of)))
}

// someHaveIt is whether a connected proxy has the candidate in its real listeners, or is taking it.
func (f *Fleet) someHaveIt() bool {
	for node := range f.Rollout.Flipped {
		if p := f.proxies[node]; p != nil && p.trouble == nil {
			return true
		}
	}
	return false
}

// troubledMembers are how many proxies have trouble with the candidate.
func (f *Fleet) troubledMembers() int {
	n := 0
	for node := range f.troubled {
		if _, member := f.Rollout.Members[node]; member && f.proxies[node].trouble.candidate {
			n++
		}
	}
	return n
}

// retryTroubled has sent again what proxies could not take, those whose time has come.
func (s *step) retryTroubled() {
	for _, node := range slices.Sorted(maps.Keys(s.troubled)) {
		t := s.proxies[node].trouble
		if s.leaves(node) || t.next.IsZero() || s.now.Before(t.next) || t.back && s.stopped() {
			continue
		}
		if t.next = (time.Time{}); t.back {
			s.tryWhole(node)
		} else {
			s.do(Again{node})
		}
	}
}

// nextRetry is when a proxy in trouble is tried again; zero for never.
func (f *Fleet) nextRetry() time.Time {
	var next time.Time
	for node := range f.troubled {
		if t := f.proxies[node].trouble.next; !t.IsZero() && !f.leaves(node) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

// allInTrouble is whether a stage has connected members, and all of them are in trouble; it
// notes them, that one first which is tried next.
func (f *Fleet) allInTrouble(h *HoldUp) bool {
	var nodes []string
	for node := range f.Rollout.Members {
		if p := f.proxies[node]; p != nil && p.trouble != nil {
			nodes = append(nodes, node)
			h.Since = sooner(h.Since, p.trouble.since)
		}
	}
	slices.SortFunc(nodes, func(a, b string) int {
		return cmp.Or(f.proxies[a].trouble.next.Compare(f.proxies[b].trouble.next), cmp.Compare(a, b))
	})
	h.name(nodes)
	return len(nodes) > 0
}
