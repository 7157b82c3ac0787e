package rollout

import (
	"fmt"
	"slices"
	"time"
)

// A proxy may hang: its process is stopped, or starved, and its stream is open all the same. By
// the deadline of its stage nothing at all was heard of it, no answer, no report of its checks or
// counters. Before its flip that is trouble of its own: its users meet what is served, and the
// filters have been run in the sandbox, where a loop ends. It is over with the first that is heard.
//
// After the flip it may be the candidate that hangs it. So that is evidence unless another proxy
// that has confirmed the candidate was heard since. One sign speaks for such a candidate
// afterwards: a loop without an end has none, so a process that answers again was not in one.
//
// What hangs already is not flipped (unheard.go).
//
// Where processes share a node id, the proxy is heard when all of them are (Hushed).

// Unheard are the proxies for whose silence a revision was rejected. It is tried again by itself
// once one of them is heard.
type Unheard struct {
	Nodes []string `json:"nodes"`
	// Flipped says that they had it in their real listeners: then a process that was started
	// anew shows nothing, and it is tried again only once so.
	Flipped bool `json:"flipped,omitempty"`
}

// A hush is whether a proxy is heard.
type hush int

const (
	heard  hush = iota
	unsure      // it is too early to tell
	silent
)

// quietLeast is how long one that reports its counters is waited for at the least.
const quietLeast = 5 * time.Second

// hush is that of a member. One that reports its counters, as Envoy does each stats_flush_interval,
// is known to be silent when a few of these are missing, and another when it has said
// nothing in its phase.
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/bootstrap/v3/bootstrap.proto#envoy-v3-api-field-config-bootstrap-v3-bootstrap-stats-flush-interval
func (f *Fleet) hush(p *proxy) hush {
	every := p.every()
	switch {
	case every == 0 && p.phase == AwaitingService: // it is asked each askAgain
		every = askAgain
	case every == 0 && !p.heard.After(p.since):
		return silent
	case every == 0:
		return heard
	}
	return hushAfter(f.now.Sub(p.heard), every)
}

// hushAfter is that of a proxy that was not heard for so long, and should be so often.
func hushAfter(quiet, every time.Duration) hush {
	switch {
	case quiet <= 2*every+time.Second:
		return heard
	case quiet < max(quietLeast, 5*every):
		return unsure
	}
	return silent
}

// every is how often a proxy is heard; 0 where that is not known.
func (p *proxy) every() time.Duration {
	if p.hushed.of() { // which is told of no sooner
		return max(p.traffic.every, time.Second)
	}
	return p.traffic.every
}

// usual is for how long a proxy is not heard, as a rule, at most.
func (p *proxy) usual() time.Duration {
	if every := p.every(); every > 0 {
		return every + every/2
	}
	return quietLeast
}

// silentAt is whether it was not heard for longer than usual at a moment when it was given something.
func (p *proxy) silentAt(given time.Time) bool {
	return p.every() > 0 && given.Sub(p.heard) > p.usual()
}

// quietFor is whether nothing was heard of a proxy for so long.
func (f *Fleet) quietFor(p *proxy, length time.Duration) bool {
	return f.hush(p) == silent && f.now.Sub(p.heard) > length
}

// allSilent is whether none of these is heard, and none has the candidate that may be why.
func (f *Fleet) allSilent(nodes []string) bool {
	return !slices.ContainsFunc(nodes, func(node string) bool {
		p := f.proxies[node]
		return f.mayHangByIt(node) || p.traffic.every == 0 && p.phase != AwaitingService && !p.hushed.of() || f.hush(p) != silent
	})
}

// mayHangByIt is whether a candidate may be why nothing is heard of a member: it has it in its real
// listeners since it was heard, or a moment later, and no other that has it was heard since.
func (f *Fleet) mayHangByIt(node string) bool {
	p := f.proxies[node]
	if p.phase == Flipping && p.silentAt(p.given) {
		return false
	}
	return (p.phase == Flipping || p.phase == Confirming || p.phase == AwaitingService) && !f.confirmedSince(node, p.heard)
}

// overdueIn is what becomes of a member at the deadline of its stage.
func (s *step) overdueIn(node string) {
	p, r := s.proxies[node], s.Rollout
	switch s.hush(p) {
	case unsure:
	case silent:
		s.fallSilent(node)
	case heard:
		s.reject(Rejected, node, fmt.Sprintf("it has been %s for %s: nothing was heard that lets it go on", p.phase, r.stage().Deadline), "", s.lateFacets(p.phase)...)
	}
}

// fallSilent takes the silence of a member as its own trouble, or as evidence.
func (s *step) fallSilent(node string) {
	p, r := s.proxies[node], s.Rollout
	if s.mayHangByIt(node) {
		s.hungByIt(node)
		return
	}
	t := &trouble{
		reason: s.silence(p) + ": it may hang", phase: p.phase, since: s.now, candidate: true, silent: true,
		before: p.phase == Warming && p.silentAt(p.since),
	}
	if p.phase == Proven && r.Plan.Shadow {
		t.phase, p.good = Proving, time.Time{} // it has to show once more that it holds
	}
	s.setTrouble(node, t)
	s.record(Entry{Kind: ProxyInTrouble, Revision: r.Candidate, Stage: r.stage().Name, Node: node, Reason: t.reason})
	s.tooManyInTrouble(node)
}

// hungByIt rejects a candidate that a proxy may hang by. It is tried again once: one that stops
// proxies for a while would go on with that.
func (s *step) hungByIt(node string) {
	p, r := s.proxies[node], s.Rollout
	again := "`xds rollout retry` tries it again"
	if r.Tries == 0 {
		again = "it is tried again if this process answers after all, or by `xds rollout retry`"
	}
	s.reject(Rejected, node, s.silence(p)+" since its real listeners were given it, which may be why it hangs; "+again, "", s.lateFacets(p.phase)...)
	if r.Tries == 0 {
		s.blameSilence(r, &Unheard{Nodes: []string{node}, Flipped: true})
	}
}

func (s *step) silence(p *proxy) string {
	length := s.now.Sub(p.heard).Round(time.Second).String()
	if h := p.hushed; h.of() {
		return fmt.Sprintf("nothing was heard for %s of one of the %d processes that share this node id (the one connected from %s)", length, h.Of, h.Peer)
	}
	return "nothing was heard of it for " + length
}

// of is whether it is said of a process that it is not heard.
func (h Hushed) of() bool { return !h.Since.IsZero() }

// hushed takes that one of several processes is not heard, or that all are again.
func (s *step) hushed(e Hushed) {
	p := s.proxies[e.Node]
	if p == nil {
		return
	}
	was := p.hushed
	switch p.hushed = e; {
	case e.of():
		p.heard = e.Since
	case was.of():
		s.heardOf(e.Node, e.Of < was.Of) // or the one that was not is gone
	}
}

// confirmedSince is whether another proxy was heard since a moment that has confirmed the candidate,
// or whose filters have answered with it, and the service has not.
func (f *Fleet) confirmedSince(node string, since time.Time) bool {
	for other := range f.Rollout.Flipped {
		p := f.proxies[other]
		if other != node && p != nil && (p.phase == Confirmed || p.phase == AwaitingService) && p.heard.After(since) {
			return true
		}
	}
	return false
}

// doubtful are the members in trouble that fell silent when they had the candidate, and not before.
func (s *step) doubtful() (nodes []string) {
	for node := range s.troubled {
		if t := s.proxies[node].trouble; t.silent && t.candidate && !t.before {
			nodes = append(nodes, node)
		}
	}
	slices.Sort(nodes)
	return nodes
}

// blameSilence notes what a revision was rejected for just now.
func (s *step) blameSilence(r *Rollout, u *Unheard) {
	if i := s.rejection(r.Candidate.ID); i >= 0 && !r.Move {
		s.Rejected[i].Unheard = u
	}
}

// hear notes that something was heard of a proxy.
func (s *step) hear(event Event) {
	node, fresh := speaker(event)
	if node == "" {
		return
	}
	if p := s.proxies[node]; p != nil && p.hushed.of() {
		if _, anew := event.(Joined); !anew {
			return // that was another process of its id
		}
	}
	s.heardOf(node, fresh)
}

// heardOf notes that a proxy is heard, all of its processes.
func (s *step) heardOf(node string, fresh bool) {
	s.hearAgain(node, fresh)
	p := s.proxies[node]
	if p == nil {
		return
	}
	p.wake(s.now)
	p.heard = s.now
	t := p.trouble
	if t == nil || !t.silent {
		return
	}
	s.setTrouble(node, nil)
	s.record(Entry{Kind: ProxyOutOfTrouble, Revision: s.revisionOf(s.Target(node).Live, s.Target(node).Shadow), Node: node,
		Reason: "it is heard again, after " + s.now.Sub(t.since).Round(time.Millisecond).String()})
	a := p.accepted // it goes on from what it had accepted
	s.served(Served{Node: node, Live: a.Live, Shadow: a.Shadow, Unasked: p.unasked})
}

// speaker is the proxy that an event was heard of, and whether it has just been started.
func speaker(event Event) (node string, fresh bool) {
	switch e := event.(type) {
	case Joined:
		return e.Node, e.Fresh
	case Served:
		return e.Node, false
	case Refused:
		return e.Node, false
	case Troubled:
		return e.Node, false
	case Probed:
		return e.Node, false
	case Counted:
		return e.Node, false
	case Health:
		if e.Open {
			return e.Node, false
		}
	case Offered, Stored, Left, Fileless, Noted, Unfit, Unbarred, Withdrawn, Clock, Hushed, Command, Tick: // of no proxy, or of none that speaks
	}
	return "", false
}

// hearAgain has what was rejected for silence tried again: one of those is heard, or what was
// started anew comes in the place of one that had it in its shadow listener only.
func (s *step) hearAgain(node string, fresh bool) {
	if s.Rollout != nil || s.onDisk == "" {
		return
	}
	i := slices.IndexFunc(s.Rejected, func(r Rejection) bool { return r.Unheard != nil && r.ID == s.onDisk })
	if i < 0 {
		return
	}
	switch u, of := s.Rejected[i].Unheard, slices.Contains(s.Rejected[i].Unheard.Nodes, node); {
	case of && fresh && u.Flipped:
		s.Rejected[i].Unheard = nil // the process is gone, and nothing will show what it was
	case of, fresh && !u.Flipped:
		s.Rejected[i].Unheard, s.Rejected[i].Surroundings = nil, true
	default:
		return
	}
	s.do(Store{})
}
