// Package rollout decides which revision a proxy gets, and when. It is a pure
// state machine: Step takes what happened and returns what is to be done about
// it, and Target is a function of the state and the node. It does no I/O, reads
// no clock and imports nothing but the standard library.
//
// A new revision goes to the proxies of one stage after the other. Each of them
// gets it in its shadow listener first (warm), answers the checks there (prove),
// and only when all of the stage have is it given to their real listeners (flip),
// which must answer the checks too, for as long as the stage bakes (confirm).
// Any evidence against it, from any of them, puts all back on the last good one.
package rollout

import (
	"fmt"
	"slices"
	"time"
)

// What is remembered, at most.
const (
	maxRejected = 1000
	maxHistory  = 300
)

// A Revision is one content that the fleet can serve.
type Revision struct {
	ID     string `json:"id"`               // the hash of the content; "" for none
	Number int    `json:"number,omitempty"` // for people: counts the fleet's revisions
}

// A Rejection is a revision that failed, and why. It is not given to any proxy
// again, until a person says so.
type Rejection struct {
	Revision
	Node   string    `json:"node,omitempty"` // the proxy whose evidence it was
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Kind   Kind      `json:"kind,omitempty"` // Rejected, Aborted or Undone
	// By is what of the plan it was rejected by, if that can change; see Plan.facets.
	By []string `json:"by,omitempty"`
	// Empty is the stage that no connected proxy could be of, where that was why.
	Empty *Stage `json:"empty_stage,omitempty"`
	// Surroundings says that it was rejected only for what is around it, a port or a
	// file on too many hosts: it is tried again by itself. Tries are those in vain.
	Surroundings bool `json:"surroundings,omitempty"`
	Tries        int  `json:"tries,omitempty"`
	// Unheard are those for whose silence it was, and until one of them is heard.
	Unheard *Unheard `json:"unheard,omitempty"`
}

// A Fleet is where a fleet is:
//
//   - nothing yet: neither Serving nor a rollout. Proxies are given nothing.
//   - serving: Serving only, the last good revision.
//   - rolling out: a Rollout, with or without a revision that is served meanwhile.
//
// The exported fields are what survives a restart.
type Fleet struct {
	Serving  Revision    `json:"serving"`
	Previous Revision    `json:"previous"`       // what was served before it; for undo
	Good     []Revision  `json:"good,omitempty"` // what was served and can be gone back to; see Kept
	Keep     int         `json:"-"`              // how many of them are kept; 0 for DefaultKeep
	Last     int         `json:"last_number"`
	Rollout  *Rollout    `json:"rollout,omitempty"`
	Rejected []Rejection `json:"rejected,omitempty"`
	History  []Entry     `json:"history,omitempty"` // oldest first
	// Unmoved are proxies of other fleets that could not take what this one serves, by
	// node: they are not tried again before it serves another revision.
	Unmoved map[string]Unmoved `json:"unmoved,omitempty"`
	Survey  *Survey            `json:"survey,omitempty"`
	// Watch is over what is served.
	Watch *Watch `json:"watch,omitempty"`
	// Opened is what proxies are to have, by node, that have opened listeners for a first
	// revision that did not become good: see opened.go. Empty once there is a good one.
	Opened map[string]string `json:"opened,omitempty"`
	// Closed stands for a first revision that was served, and taken back: what proxies
	// are to have that come back with what they ran.
	Closed string `json:"closed,omitempty"`

	// Meant is the ID of a revision of which a person says that other answers are meant.
	Meant string `json:"answers_meant,omitempty"`

	salt string // see SetSalt

	sharedVMs    func(of, other string) Sharing // nil: none are
	surroundings *surroundings                  // of the proxies that were flipped last; nil where they are to be looked at

	proxies   map[string]*proxy
	returning map[string]bool // proxies that are on their way back from Returned
	returned  Revision
	onDisk    string          // ID of the revision that was offered last
	refusing  map[string]bool // proxies that refuse what is good, connected or not
	troubled  map[string]bool // connected proxies that are in trouble
	asked     bool            // for what is on disk to be offered again
	doubted   *doubt          // a rejection by a check; see service.go
	rest      share           // what proxies outside the rollout answered lately
	cohorts   map[string]*cohort
	habits    habits
	symptoms  map[string]bool // connected proxies that have evidence against what is served
	fileless  *noFile         // nil: it has one; see fileless.go
	now       time.Time       // of the newest step
	resumed   time.Time       // when the server went on after it was stopped itself; see unheard.go

	peak       int            // the most proxies that were connected at once
	leftAs     map[string]int // members that are away, in the order in which they left
	departures int
	turnover   turnover
}

// A Rollout is a revision on its way to the fleet.
type Rollout struct {
	Candidate Revision `json:"candidate"`
	Plan      Plan     `json:"plan"`
	Stage     int      `json:"stage"` // index into Plan.Stages
	// Members are the proxies of this stage and those before it, each with the
	// index of the stage that brought it in. A proxy that reconnects is still one.
	Members map[string]int `json:"members"`
	// Warmed are the members whose shadow listeners were given the candidate. One
	// that reconnects has it there still, and is not made to load it again.
	Warmed map[string]bool `json:"warmed,omitempty"`
	// Flipped are the members whose real listeners were given the candidate.
	Flipped map[string]bool `json:"flipped"`
	// Released says that all of the stage have proven it: members flip.
	Released bool      `json:"released,omitempty"`
	Approved bool      `json:"approved,omitempty"` // a person let the stage end
	Paused   bool      `json:"paused,omitempty"`
	PausedAt time.Time `json:"paused_at,omitzero"`
	PausedBy string    `json:"paused_by,omitempty"`
	Started  time.Time `json:"started"`
	StageAt  time.Time `json:"stage_at"` // when the stage began
	Lost     int       `json:"lost,omitempty"`
	Tries    int       `json:"tries,omitempty"` // how often it was rejected for its surroundings
	// Before are the checks that fail in members' real listeners before the flip, and how.
	Before map[string]map[string]int `json:"before,omitempty"`
	// Excused are failing answers of the real listeners that were no evidence.
	Excused []Excuse `json:"excused,omitempty"`
	// Move says that the candidate is what the fleet serves, and that only proxies of
	// other fleets are given it.
	Move bool `json:"move,omitempty"`
	// Staged says of a first revision that it goes in stages, for the sake of proxies
	// that run another fleet's.
	Staged bool `json:"staged,omitempty"`
	// Own says the same, for the sake of proxies with a configuration of their own, and Full
	// are the stages of a first revision that goes to all at once; see own.go.
	Own  bool    `json:"own,omitempty"`
	Full []Stage `json:"full,omitempty"`
	// Bases are what those members run that come from other fleets; see Joined.
	Bases map[string]string `json:"bases,omitempty"`
	// Took are those of them that have the candidate in their real listeners, and have
	// confirmed it.
	Took map[string]bool `json:"took,omitempty"`
	// Late are members of a move that trouble of their own kept from what it brings when
	// the others were taken in; see trail.go.
	Late map[string]bool `json:"late,omitempty"`

	// Salted says that stages take proxies by their salted ranks; see rank.go.
	Salted bool `json:"salted,omitempty"`

	// Fallen are members that were lost soon after they were given the candidate; see fallen.go.
	Fallen map[string]Fall `json:"fallen,omitempty"`
	// Forgotten are more of them, of which only the number is kept.
	Forgotten int `json:"forgotten,omitempty"`

	stored    bool      // the candidate would survive a crash
	next      *Offered  // a newer one that waits until this one is stored, and so done
	nextAt    time.Time // since when
	bakeSince time.Time // those that are waited for are confirmed since; zero while one is not
	loneAt    time.Time // no proxy of the fleet is connected since; zero while one is
	vacantAt  time.Time // others are, and no member is, since; zero else
	emptyAt   time.Time // there is no member that it can be given to since, though proxies are connected; zero else
	waiting   int       // connected members that are not confirmed
	unproven  int       // connected members that have not proven it yet
	joining   int       // those of them that take the last good revision first

	clients int // those that can be asked no checks; see clients.go

	natural   int // losses of Fallen that are none of the candidate's
	sorted    lossesSorted
	naturalAt time.Time // when they are counted anew at the soonest
	outlived  float64   // seconds in which members that have left since had it and might have ended by it; of both see turnover.go

	coming, comingUnproven int // those that came to a stage under way, of waiting and of unproven; see comers.go

	proven    map[string]bool      // connected members that wait for their flip
	members   int                  // connected members
	pool      *pool                // nil where all of the fleet is of the stage, and after a restart
	compared  map[string]time.Time // what of which members is compared, since when; see undecided
	baseline  baseline             // see baseline.go
	witnesses map[string]*witness  // see witness.go
	appointAt time.Time            // when others are looked for at the soonest
	flaps     flaps                // see flaps.go
	told      map[Kind]bool        // what is told once in a stage
	toldWaits map[Wait]bool        // the hold-ups that are
}

// An Assignment is what a proxy is to have.
type Assignment struct {
	Live   string // ID of the revision of its real listeners; "" for none yet
	Shadow string // ID of the revision in its shadow listeners; "" for none
	Probe  Probe  // which listeners the checks are to be asked through
	Of     string // ID of the revision whose checks are asked
	Again  int    // counts how often they were asked anew
}

// A Probe says through which listeners the checks are asked.
type Probe string

// The kinds of Probe.
const (
	ProbeNone   Probe = ""
	ProbeShadow Probe = "shadow"
	ProbeLive   Probe = "live"
	ProbeWatch  Probe = "watch" // through the real ones, now and then
)

// AskedLike is how many proxies are, or may be, asked the checks of an assignment's revision.
func (f *Fleet) AskedLike(a Assignment) int {
	if r := f.Rollout; r != nil && a.Of == r.Candidate.ID {
		return len(r.Members)
	}
	return len(f.proxies)
}

// Target is what a proxy is to have.
func (f *Fleet) Target(node string) Assignment {
	r, base := f.Rollout, f.base(node)
	p := f.proxies[node]
	if r == nil {
		a := Assignment{Live: base}
		if base == f.Serving.ID && p != nil && p.accepted.Live == base && f.Survey.asks(node, p) {
			a.Probe, a.Of = ProbeLive, base
			return a
		}
		return f.watching(node, a)
	}
	_, member := r.Members[node]
	switch {
	case r.Flipped[node]:
		// The shadow holds the way back; where there is none, what is flipped: put
		// away sooner, its code would be gone before the real listener asks for it.
		a := Assignment{Live: r.Candidate.ID}
		if r.Plan.Shadow {
			a.Shadow = f.wayBack(base)
		}
		if p != nil && p.asksLive() && p.health && r.Plan.LiveChecks {
			a.Probe, a.Of, a.Again = ProbeLive, r.Candidate.ID, p.asked
		}
		return a
	case !member || p == nil || p.at() == Idle || p.at() == Joining || !r.Plan.Shadow && (!f.asksBefore(p) || f.PutBack(node)):
		return f.watching(node, Assignment{Live: base})
	}
	a := Assignment{Live: base}
	if r.Plan.Shadow {
		a.Shadow = r.Candidate.ID
	}
	if p.at() != Warming && !f.PutBack(node) && p.health && (r.Plan.ShadowChecks || f.asksBefore(p)) {
		a.Probe, a.Of, a.Again = ProbeShadow, r.Candidate.ID, p.anew
	}
	return a
}

// watching adds the checks that a proxy is asked whose revision is watched.
func (f *Fleet) watching(node string, a Assignment) Assignment {
	p := f.proxies[node]
	if p != nil && f.witness(node) && a.Live == f.Serving.ID {
		a.Probe, a.Of, a.Again = ProbeLive, a.Live, p.asked
		return a
	}
	if p != nil && p.health && a.Live != "" && a.Live == f.Serving.ID && f.asks(p) {
		a.Probe, a.Of, a.Again = ProbeWatch, a.Live, p.asked
	}
	return a
}

// Step takes an event at a time.
func (f *Fleet) Step(event Event, now time.Time) []Effect {
	f.noteStall(now)
	f.now = now
	if f.proxies == nil {
		f.proxies = map[string]*proxy{}
	}
	s := &step{Fleet: f}
	s.hear(event)
	s.take(event)
	s.advance()
	s.noteAbsence()
	s.survey()
	if _, ok := event.(Tick); ok {
		s.tellHoldUp()
	}
	s.storeRecord()
	return s.effects
}

// take takes what has happened, before anything is done about it that is due.
func (s *step) take(event Event) {
	switch e := event.(type) {
	case Offered:
		s.offered(e)
	case Unfit:
		s.record(Entry{Kind: Refusal, Reason: e.Reason})
		s.do(Store{})
	case Stored:
		s.stored(e.ID)
	case Joined:
		s.joined(e)
	case Left:
		s.left(e)
	case Withdrawn:
		if s.Rollout != nil {
			s.giveUp(e.Reason)
		}
	case Unbarred:
		s.unbar(e.Node)
	case Fileless:
		s.setFileless(e)
	case Noted:
		s.record(e.Entry)
		s.do(Store{})
	case Served:
		s.served(e)
	case Troubled:
		s.inTrouble(e)
	case Clock:
		s.clockWrong(e)
	case Refused:
		s.refused(e)
	case Health:
		s.healthChanged(e)
	case Probed:
		s.probed(e)
	case Counted:
		s.counted(e)
	case Hushed:
		s.hushed(e)
	case Command:
		s.command(e)
	case Tick:
		s.retryTroubled()
		s.lookAtLongFlips()
		s.tryAgain(s.retryAt())
		s.moveAgain()
		s.waitFor()
		s.watchOn()
	}
}

// stored notes that a candidate would be known after a restart. What is to be tried in its
// place has waited for that.
func (s *step) stored(id string) {
	r := s.Rollout
	if r == nil || id != r.Candidate.ID {
		return
	}
	r.stored = true
	if next := r.next; next != nil {
		s.advance()
		s.offered(*next)
	}
}

// step is one event being taken: the effects it has, in order.
type step struct {
	*Fleet
	effects  []Effect
	recorded bool // something is in the history that was not
	from     *Source
}

func (s *step) do(e Effect) { s.effects = append(s.effects, e) }

// record tells people, and remembers.
func (s *step) record(e Entry) {
	e.At = s.now
	if e.From == nil {
		e.From = s.from
	}
	s.History = append(s.History, e)
	if more := len(s.History) - maxHistory; more > 0 {
		s.History = slices.Clone(s.History[more:])
	}
	s.do(Tell{Entry: e})
	s.recorded = true
}

// storeRecord has what is in the history survive a crash, also where nothing else has changed.
func (s *step) storeRecord() {
	if s.recorded && !slices.Contains(s.effects, Effect(Store{})) {
		s.do(Store{})
	}
}

// stage is the current one.
func (r *Rollout) stage() Stage { return r.Plan.Stages[r.Stage] }

func (f *Fleet) rejection(id string) int {
	return slices.IndexFunc(f.Rejected, func(r Rejection) bool { return r.ID == id })
}

// offered takes a revision that was built of what is on disk.
func (s *step) offered(e Offered) {
	s.onDisk, s.asked = e.ID, false
	if r := s.Rollout; r != nil {
		r.next = nil
		if e.ID == r.Candidate.ID && s.restaged(e) {
			return
		}
		if e.ID == r.Candidate.ID {
			s.replan(e)
			return
		}
		if s.done() && !r.stored && e.ID != s.Serving.ID && s.rejection(e.ID) < 0 {
			r.next, r.nextAt = &e, s.now // all of it is proven, and going back would be for nothing
			return
		}
		s.supersede(e)
		return
	}
	s.consider(e)
}

// supersede gives the candidate up for what is on disk now.
func (s *step) supersede(e Offered) {
	s.giveUp("there is a newer one")
	s.consider(e)
}

// consider begins a rollout, unless the revision is no news.
func (s *step) consider(e Offered) {
	if e.Move {
		if e.ID == s.Serving.ID {
			s.beginMove(e)
		}
		return
	}
	if i := s.rejection(e.ID); i >= 0 {
		r := s.Rejected[i]
		if r.Surroundings && e.ID != s.Serving.ID {
			s.Rejected = slices.Delete(s.Rejected, i, i+1)
			s.begin(e, &r)
			return
		}
		changed := s.outdated(r, s.staged(e.Plan, e.Staged))
		if changed == "" {
			s.do(Tell{Entry{At: s.now, Kind: StillRejected, Revision: r.Revision, Node: r.Node, Reason: r.Reason}})
			return
		}
		s.Rejected = slices.Delete(s.Rejected, i, i+1)
		s.record(Entry{Kind: Retried, Revision: r.Revision, Reason: changed})
	}
	if e.ID == s.Serving.ID {
		s.takeServed(e)
		return
	}
	s.begin(e, nil)
}

// begin starts a rollout. A revision that is tried again has its number already.
func (s *step) begin(e Offered, again *Rejection) {
	number, tries, reason := s.Last+1, 0, ""
	if again != nil {
		number, tries = again.Number, again.Tries+1
		reason = fmt.Sprintf("try %d: it was rejected only for what is around it", tries+1)
	}
	s.Last = max(s.Last, number)
	own := s.anyOwn()
	r := newRollout(Revision{ID: e.ID, Number: number}, s.staged(e.Plan, e.Staged || own), s.now).by(s.salt)
	s.Rollout = r
	r.Staged, r.Own, r.Tries = e.Staged || own, own, tries
	if s.Serving.ID == "" && !r.Staged {
		r.Full = e.Plan.Stages
	}
	s.rest = share{}
	s.record(Entry{Kind: Started, Revision: s.Rollout.Candidate, By: e.By, Reason: reason})
	s.startStage(0)
}

func newRollout(candidate Revision, plan Plan, now time.Time) *Rollout {
	return &Rollout{
		Candidate: candidate, Plan: plan, Started: now,
		Members: map[string]int{}, Warmed: map[string]bool{}, Flipped: map[string]bool{},
	}
}
