package rollout

import "time"

// A Phase is where a connected proxy is in a rollout.
type Phase string

// The phases, in their order.
const (
	Idle       Phase = ""           // not of the rollout, or not yet
	Joining    Phase = "joining"    // it has just connected: it gets the last good revision first
	Warming    Phase = "warming"    // it was given the candidate in its shadow listener
	Proving    Phase = "proving"    // it runs it there; the checks are asked
	Proven     Phase = "proven"     // they hold; it waits for the others of its stage
	Flipping   Phase = "flipping"   // its real listener was given the candidate
	Confirming Phase = "confirming" // and runs it; the checks are asked
	Confirmed  Phase = "confirmed"  // they hold
	// AwaitingService: the service behind the filters fails, and a first revision has nothing
	// to go back to: it is waited for.
	AwaitingService Phase = "awaiting service"
	InTrouble       Phase = "in trouble" // it can't take what it was given, for no fault of that: its stage goes on without it
)

// Phases are all of a member.
var Phases = []Phase{Joining, Warming, Proving, Proven, Flipping, Confirming, AwaitingService, Confirmed, InTrouble}

const (
	// healthGrace is how long a proxy is waited for whose bootstrap does not say
	// that it has health discovery, but may.
	healthGrace = 2 * time.Second
	// silence is how old the last report of a proxy may be when its stage ends.
	silence = 15 * time.Second
	// vacancy is how long a stage waits for its proxies to come back: Envoy's
	// back-off is up to 11 s.
	vacancy = 15 * time.Second
)

// proxy is a connected proxy.
type proxy struct {
	attributes map[string]string
	base       string // what it runs of another fleet, until it is of this one
	rank       uint64 // by the salt; see rank.go
	expects    bool   // health discovery
	own        bool   // it runs something of which nothing is known; see own.go
	fresh      bool   // it joined without any configuration
	unasked    string // why it can't be asked the checks, as it is no Envoy
	health     bool   // its health stream is open
	accepted   Assignment
	cohort     *cohort // that it is of; see compare.go
	whole      bool    // it has taken nothing of another since
	phase      Phase
	came       bool      // its stage was under way when it came, and it has not confirmed since; see comers.go
	since      time.Time // of the phase
	given      time.Time // when it was given something of the candidate last; see fallen.go
	heard      time.Time // when anything was heard of it last
	hushed     Hushed    // which of its processes is not; see silent.go
	woke       time.Time // when it was heard last after it was not for longer than usual; see wake.go
	anew       int       // how often it was asked the checks anew through its shadow listener
	good       time.Time // of the first report in a row that the checks hold
	lastGood   time.Time
	traffic    traffic
	trouble    *trouble  // nil for none
	part       string    // the ID of the revision of which it runs a part; see partial.go
	askedAt    time.Time // when the checks were asked anew last, for its service
	denied     bool      // it is the service's 4xx that is waited for
	filtering  int       // reports in a row in which only filters have answered 5xx
	symptom    *symptom  // against what is served; nil for none
	failures   int       // of the checks, in a row, while it is watched
	failedAt   time.Time // the first of them
	asked      int       // how often they were asked anew
	blipAt     time.Time // since when checks fail that are asked anew; see blips.go
	blips      int       // that were over when they were, and that no counter explains
	wrongAt    time.Time // since when checks fail that are held against witnesses; zero: they do not
	held       bool      // the checks have held in its real listener before the flip
	right      []string  // those of them that have
	midFlip    bool      // its flip lasts, and it is asked the checks meanwhile; see midflip.go
	shown      bool      // and all of them after it
	opening    opening   // its listeners, after the flip
}

func (p *proxy) reset() {
	p.phase, p.good, p.lastGood, p.wrongAt = Idle, time.Time{}, time.Time{}, time.Time{}
	p.blipAt, p.blips, p.held, p.shown, p.came = time.Time{}, 0, false, false, false
	p.right, p.midFlip, p.given, p.anew, p.opening.waits = nil, false, time.Time{}, 0, false
}

// ready is whether a stage can go on with the proxy.
func (p *proxy) ready() bool { return p.phase == Confirmed }

// asksLive is whether a proxy is asked the checks of a candidate through its real listeners. One
// that is not heard goes on being asked, since it may be heard by nothing else.
func (p *proxy) asksLive() bool {
	phase := p.phase
	if p.trouble != nil && p.trouble.silent {
		phase = p.at()
	}
	return phase == Confirming || phase == Confirmed || phase == AwaitingService || phase == Flipping && p.midFlip
}

// unproven is whether the proxy keeps its stage from flipping.
func (p *proxy) unproven() bool {
	return p.phase == Joining || p.phase == Warming || p.phase == Proving
}

// PhaseOf is where a connected proxy is, and since when.
func (f *Fleet) PhaseOf(node string) (Phase, time.Time) {
	if p := f.proxies[node]; p != nil {
		return p.phase, p.since
	}
	return Idle, time.Time{}
}

// Accepted is what a connected proxy accepted last.
func (f *Fleet) Accepted(node string) Assignment {
	if p := f.proxies[node]; p != nil {
		return p.accepted
	}
	return Assignment{}
}

// enter puts a proxy into a phase and keeps the stage's counts.
func (s *step) enter(node string, phase Phase) {
	p, r := s.proxies[node], s.Rollout
	s.discount(node)
	if phase == Confirmed && s.first(node) {
		p.traffic.serviceCame(p.phase == AwaitingService)
	}
	p.phase, p.since, p.good, p.midFlip = phase, s.now, time.Time{}, false
	if phase == Flipping || phase == Warming && r.Plan.Shadow {
		p.given = s.now
	}
	if phase == Confirmed {
		p.lastGood, p.came = s.now, false
		if p.base != "" {
			r.Took = marked(r.Took, node, true)
		}
	}
	s.count(node)
	r.bakeAnew()
}

// count and discount keep how many connected members there are of each kind.
func (s *step) count(node string)    { s.tally(node, 1) }
func (s *step) discount(node string) { s.tally(node, -1) }

func (s *step) tally(node string, by int) {
	p, r := s.proxies[node], s.Rollout
	if r == nil || p == nil {
		return
	}
	if _, member := r.Members[node]; !member || p.phase == Idle || p.phase == InTrouble {
		return
	}
	r.members += by
	if p.unasked != "" {
		r.clients += by
	}
	if !p.ready() {
		r.waiting += by
	}
	if p.unproven() {
		r.unproven += by
	}
	if p.came && !p.ready() {
		r.coming += by
	}
	if p.came && p.unproven() {
		r.comingUnproven += by
	}
	if p.phase == Joining {
		r.joining += by
	}
	if p.phase == Proven {
		r.proven = marked(r.proven, node, by > 0) // it waits for its flip
	}
}

// marked is a set with a node, or without it.
func marked(set map[string]bool, node string, is bool) map[string]bool {
	switch {
	case !is:
		delete(set, node)
	case set == nil:
		return map[string]bool{node: true}
	default:
		set[node] = true
	}
	return set
}

func (s *step) joined(e Joined) {
	if s.proxies[e.Node] != nil {
		s.left(Left{Node: e.Node})
	}
	s.turns()
	s.turnover.returns(e.Node)
	p := &proxy{attributes: e.Attributes, base: e.Base, rank: rankBy(s.salt, e.Node), expects: e.Health, fresh: e.Fresh, since: s.now, heard: s.now}
	p.own = e.Own && s.mayBeOwn(e.Node)
	s.recount(e.Node, func() { s.proxies[e.Node] = p })
	if p.own {
		s.ownJoined()
	}
	s.rebase(e.Node)
	s.arrived(e.Node)
	if e.Fresh {
		delete(s.Opened, e.Node) // it has no listener any more
	} else if s.Closed != "" && e.Base == "" && s.Opened[e.Node] == "" && len(s.Opened) < s.remembers() {
		s.opened(e.Node, s.Closed)
	}
	if s.Rollout != nil {
		s.returns(e)
	}
	if s.Rollout != nil {
		s.forgetMembers()
		s.seat(e.Node)
	}
	s.do(Assign{e.Node})
	s.fill(e.Node)
	if e.Fresh {
		s.tryAgain(s.freshChance())
	}
}

// place puts a member that has just connected, or just become one, where it belongs.
func (s *step) place(node string) {
	r, p := s.Rollout, s.proxies[node]
	if _, member := r.Members[node]; !member || p == nil || p.phase != Idle {
		return
	}
	p.came = s.comes(p)
	switch {
	case p.trouble != nil:
		s.placeInTrouble(node)
	case r.Flipped[node]:
		s.enter(node, Flipping)
		p.traffic.flip()
	case s.refusing[node]: // no stage waits for it
	case s.base(node) != "" && p.accepted.Live != s.base(node) && !r.Warmed[node]:
		s.enter(node, Joining)
	default:
		s.warm(node)
	}
}

// warm gives a member the candidate, in its shadow listener.
func (s *step) warm(node string) {
	s.enter(node, Warming)
	s.do(Assign{node})
	if !s.Rollout.Plan.Shadow {
		if s.asksBefore(s.proxies[node]) {
			s.enter(node, Proving)
			return
		}
		s.enter(node, Proven) // there is no shadow to prove it in: the flip is the first it sees of it
		return
	}
	if s.Rollout.Warmed == nil { // after a restart
		s.Rollout.Warmed = map[string]bool{}
	}
	s.Rollout.Warmed[node] = true
}

func (s *step) left(e Left) {
	s.turns()
	s.discount(e.Node)
	delete(s.troubled, e.Node)
	if p := s.proxies[e.Node]; p != nil {
		s.leaveCohort(p, s.now)
		if !e.Moved {
			s.fell(e.Node)
		}
	}
	s.recount(e.Node, func() { delete(s.proxies, e.Node) })
	s.symptoms = marked(s.symptoms, e.Node, false)
	s.departed(e.Node)
	s.back(e.Node)
	if e.Moved {
		s.disown(e.Node)
	}
	if r := s.Rollout; r != nil {
		r.bakeAnew()
	}
}

func (s *step) served(e Served) {
	p := s.proxies[e.Node]
	if p == nil {
		return
	}
	if p.accepted.Shadow != "" && e.Shadow == "" {
		p.traffic.mixed = true // the next report may have a crash in the shadow
	}
	p.accepted, p.whole, p.part = Assignment{Live: e.Live, Shadow: e.Shadow}, false, ""
	s.setUnasked(e.Node, e.Unasked)
	s.overTrouble(e.Node)
	base := s.base(e.Node)
	if e.Live == base {
		s.back(e.Node)
	}
	if e.Live == s.Serving.ID && s.refusing[e.Node] {
		s.recount(e.Node, func() { delete(s.refusing, e.Node) })
	}
	s.watchFrom(e.Node)
	r := s.Rollout
	if r == nil {
		return
	}
	if e.Live != r.Candidate.ID {
		delete(r.Took, e.Node) // put back, for trouble of its own
	}
	switch {
	case p.phase == Joining && e.Live == base:
		s.warm(e.Node)
	case p.phase == Warming && e.Live == base && e.Shadow == r.Candidate.ID:
		s.enter(e.Node, Proving)
		s.waive(e.Node)
		s.do(Assign{e.Node})
	case p.phase == Flipping && e.Live == r.Candidate.ID:
		s.hasFlipped(e.Node)
	}
}

// watchFrom begins to judge a proxy that has what is served, and is asked the checks.
func (s *step) watchFrom(node string) {
	p := s.proxies[node]
	if s.Watch == nil || p.accepted.Live != s.Serving.ID || s.Rollout != nil && s.Rollout.Flipped[node] {
		return
	}
	if !p.traffic.flipped {
		p.traffic.flip()
	}
	if d := s.Watch.Degraded; d != nil && d.Node == node && p.symptom == nil && !p.fresh { // it has come back
		p.symptom = &symptom{evidence: d.Evidence, reason: d.Reason, source: sourceOf(d.Evidence)}
		s.symptoms = marked(s.symptoms, node, true)
	}
	if s.asks(p) {
		s.do(Assign{node})
	}
}

func (s *step) healthChanged(e Health) {
	p := s.proxies[e.Node]
	if p == nil || p.health == e.Open {
		return
	}
	p.health = e.Open
	if s.Rollout == nil {
		if s.asks(p) {
			s.do(Assign{e.Node})
		}
		return
	}
	if !e.Open && (p.phase == Confirmed || p.phase == AwaitingService) && s.Rollout.Plan.LiveChecks {
		s.comesAgain(e.Node)
	}
	s.do(Assign{e.Node})
}
