package rollout

import "time"

// A Plan says how a revision is to be rolled out. It does not change the revision.
type Plan struct {
	Stages []Stage       `json:"stages"` // the last one is the whole fleet
	Prove  time.Duration `json:"prove"`  // how long the checks must hold in the shadow
	Limits Limits        `json:"limits"`
	// Shadow says that there is a shadow listener; ShadowChecks and LiveChecks, that
	// there are checks to ask through it, and through the real one.
	Shadow       bool `json:"shadow"`
	ShadowChecks bool `json:"shadow_checks"`
	LiveChecks   bool `json:"live_checks"`
	// AsksOthers says that listeners ask others than this server for something before they are warm.
	AsksOthers bool `json:"asks_others,omitempty"`
	// Checks names each check by its content.
	Checks []string `json:"checks,omitempty"`
	// FailOpen says that requests pass a filter whose VM has crashed.
	FailOpen bool `json:"fail_open,omitempty"`
	// Watch is for how long evidence against the revision takes it back once it is
	// served, and OnEvidence which of it does: OnEvidenceUndo, OnEvidenceReport, or ""
	// for the kinds that can only be its own.
	Watch      time.Duration `json:"watch,omitempty"`
	OnEvidence string        `json:"on_evidence,omitempty"`
	// Evidence are statistics that count against the revision when they grow.
	Evidence []StatLimit `json:"evidence,omitempty"`
}

// A StatLimit is by how much a counter may grow more, a second, or a gauge be larger where a
// proxy has a revision than it was before; Relative, as a share of that.
type StatLimit struct {
	Stat        string  `json:"stat"`
	MaxIncrease float64 `json:"max_increase"`
	Relative    bool    `json:"relative,omitempty"`
}

// A Stage is a part of the fleet. Its size includes the stages before it.
type Stage struct {
	Name     string            `json:"name"`
	Percent  float64           `json:"percent,omitempty"` // of the connected proxies that match
	Proxies  int               `json:"proxies,omitempty"` // their number, where Percent is 0
	Match    map[string]string `json:"match,omitempty"`   // attributes, "id" as a glob; see Joined
	Bake     time.Duration     `json:"bake,omitempty"`
	Deadline time.Duration     `json:"deadline"` // for a proxy, in each of its phases
	Manual   bool              `json:"manual,omitempty"`
}

// Limits are thresholds of evidence.
type Limits struct {
	Errors      float64 `json:"errors"`             // by how much the share of 5xx may grow
	MinRequests int     `json:"min_requests"`       // to judge by
	Answers     float64 `json:"answers,omitempty"`  // by how much the shares of 3xx and 4xx among other answers than 5xx may change; 0 for as they like
	Latency     float64 `json:"latency,omitempty"`  // how many times as long requests may take; 0 for as long as they like
	Length      float64 `json:"length,omitempty"`   // how many times as short answers may be; 0 for as short as they like
	Disconnects int     `json:"disconnects"`        // proxies lost in a stage
	Troubled    float64 `json:"troubled,omitempty"` // the share of a stage in trouble; one may be, unless it is 0
}

// A CheckAnswer is what a check was answered.
type CheckAnswer struct {
	Check  string // its name, for people, and the same before the flip and after it
	Status int    // 0 for no answer
	Want   int
	// Passes says that the answer wanted is the service's: the filters let the request pass.
	Passes bool
	// Again says that how it failed is not known, and that it is answered as wanted since.
	Again bool
	// Old says that what is served has the same check, and so wants the same.
	Old bool
	// Same is what it has in common with the same check of another revision, through the same
	// listener; "" where that is not known.
	Same string
	// By is which filters beside those of the revision, in the real listener and not in the
	// shadow, may have answered so by themselves, where the shadow has proven the check; "" for
	// none. New says that one of them is not, or is another, in what the proxy ran before.
	By  string
	New bool
}

// Events: what can happen to a fleet.
type (
	// Offered says: a revision was built of what is on disk. By is who wants it, if
	// it is not the disk alone. Changed names what comes with it (checks, stages, …) and
	// is another than before, where the same revision is tried or served.
	Offered struct {
		ID      string
		Plan    Plan
		Changed []string
		By      string
		// Move says that the revision is served already, and is to be given to proxies
		// that come from other fleets. Staged says that such proxies wait for it: then a
		// first revision goes in its stages, too.
		Move, Staged bool
	}
	// Unfit says: what is on disk did not pass preflight, and why.
	Unfit struct{ Reason string }
	// Stored says: a revision is in the state directory, to be served after a restart.
	Stored struct{ ID string }
	// Joined says: a proxy of the fleet connected. Attributes are what a stage's
	// match looks at. Health says that its bootstrap has health discovery, so that
	// it is waited for; Fresh, that it has no configuration yet. Base is what a proxy
	// runs that comes from another fleet: it is on it until it has proven a revision of
	// this one, and goes back to it. This package does not look into it.
	Joined struct {
		Node       string
		Attributes map[string]string
		Health     bool
		Fresh      bool
		Base       string
		// Own says that it came with a configuration of which nothing is known: another
		// server's, say, or one that this server gave it before it lost its state.
		Own bool
	}
	// Left says: a proxy of the fleet disconnected or, Moved, is another fleet's to
	// decide about.
	Left struct {
		Node  string
		Moved bool
	}
	// Unbarred says: a proxy, "" for all, that could not be moved to the fleet may be able
	// to now.
	Unbarred struct{ Node string }
	// Withdrawn says: what is on its way is to be given up, and why.
	Withdrawn struct{ Reason string }
	// Fileless says: the fleet has no file, or has one again. Until is when it is retired for
	// that; zero: it is.
	Fileless struct {
		Is    bool
		Until time.Time
	}
	// Noted says: something happened that concerns the fleet, and was decided elsewhere.
	Noted struct{ Entry }
	// Served says: a proxy accepted all of what it was assigned. Unasked is why it can't
	// be asked the checks, if it never can.
	Served struct{ Node, Live, Shadow, Unasked string }
	// Refused says: a proxy refused a part of what it was assigned.
	Refused struct{ Node, Live, Shadow, Reason string }
	// Troubled says: a proxy could not take a part of what it was assigned, for trouble
	// of its own, which is no evidence against it. Whole says that it has taken nothing
	// else of it either: what it ran before it runs still.
	Troubled struct {
		Node, Live, Shadow, Reason string
		Whole                      bool
	}
	// Clock says: a certificate of a revision is not valid by a proxy's clock, though it is
	// by the server's, and which; no Reason says that there is none.
	Clock struct{ Node, Of, Reason string }
	// Health says: a proxy's health discovery stream opened or closed.
	Health struct {
		Node string
		Open bool
	}
	// Probed says: a proxy reported on the checks of a revision, all of them.
	Probed struct {
		Node   string
		Of     string // ID of the revision
		Probe  Probe
		Passed bool
		Failed string   // which, where not
		Checks []string // those of Plan.Checks, as far as it can be told
		// Unsure says that the service behind the filters may have failed them: they were
		// answered 5xx, or not at all.
		Unsure bool
		Wrong  []CheckAnswer // what the failed ones were answered
		Before []CheckAnswer // what the checks are answered in the real listener before the flip
	}
	// Counted says: a proxy's counters since its last report.
	Counted struct {
		Node     string
		Counters Counters
	}
	// Hushed says: of the processes that share a proxy's node id one is not heard, since when, while
	// another is; or, where Since is zero, all are again.
	Hushed struct {
		Node  string
		Since time.Time
		Peer  string // the address that it is connected from, for people
		Of    int    // how many processes there are
	}
	// Command says: a person wants something.
	Command struct {
		Verb Verb
		By   string
		Why  string
		ID   string // Retry: of which revision; "" for the one on disk
		// AnswersMeant has Retry take other answers than before for what is meant.
		AnswersMeant bool
		// SkipEmpty has Promote pass a stage that no connected proxy can be of.
		SkipEmpty bool
		To        int // Undo: the number of the revision to go back to; 0 for the one before
		From      *Source
	}
	// Tick says: time has passed. See Fleet.Next.
	Tick struct{}
)

// An Event is one of the above: the linter finds a switch that forgets one.
//
//sumtype:decl
type Event interface{ event() }

// Effects: what is to be done, in this order.
type (
	// Store says: what survives a restart has changed.
	Store struct{}
	// Retarget says: the target may have changed for every proxy of the fleet.
	Retarget struct{}
	// Assign says: give one proxy its target.
	Assign struct{ Node string }
	// Again says: send a proxy once more what it could not take.
	Again struct{ Node string }
	// Offer says: build what is on disk, and offer it again.
	Offer struct{ By string }
	// Tell says: something that people want to know.
	Tell struct{ Entry }
	// Adopted says: these proxies came from other fleets, have proven a revision of this
	// one, and are of it now. It ends each move that was not given up, also if none is left.
	Adopted struct{ Nodes []string }
	// NotAdopted says: these came from other fleets and had begun to take a revision of
	// this one; they stay as they were, and why.
	NotAdopted struct {
		Nodes  []string
		Reason string
	}
	// LeftBehind says: these came from other fleets with others that are of this one now, and
	// have not taken its revision for trouble of their own; they stay as they were until they have.
	LeftBehind struct {
		Nodes  []string
		Reason string
	}
	// MoveAgain says: proxies that were not moved may come once more.
	MoveAgain struct{}
	// Answer says: why a command was not carried out; "" where it was.
	Answer struct{ Refusal string }
)

// An Effect is one of these. As with events, none can be forgotten.
//
//sumtype:decl
type Effect interface{ effect() }

// An Entry is something that happened: who, what, when, why.
type Entry struct {
	At       time.Time `json:"at"`
	Kind     Kind      `json:"kind"`
	Revision Revision  `json:"revision"`
	Stage    string    `json:"stage,omitempty"`
	Node     string    `json:"node,omitempty"`
	By       string    `json:"by,omitempty"` // a person, or "" for the server itself
	Reason   string    `json:"reason,omitempty"`
	From     *Source   `json:"from,omitempty"` // of what a command did: who has given it, as far as that is proven
}

// A Kind says what an Entry is about.
type Kind string

// The kinds of Entry.
const (
	Unchanged         Kind = "unchanged"          // what was saved is what there is already
	Replanned         Kind = "plan changed"       // what comes with a revision that is tried or served
	Asked             Kind = "checks asked"       // what came of asking changed checks of what is served
	Started           Kind = "started"            // a candidate's rollout begins
	StageStarted      Kind = "stage started"      // its proxies get the candidate in their shadow listeners
	Empty             Kind = "empty stage"        // no connected proxy can be of it
	Waits             Kind = "waits"              // something is waited for a while already
	Unproven          Kind = "unproven"           // a proxy can't be asked the checks: its ACK must do; or another filter answers them
	FailedBefore      Kind = "failed before"      // a check fails as it did before the candidate: it is no evidence
	Blipped           Kind = "blip"               // a check failed for a moment: it is no evidence
	ServiceAwaited    Kind = "awaiting service"   // a first revision waits for the service behind it
	Flipped           Kind = "flipped"            // the stage's proxies have proven it: their real listeners get it
	Baking            Kind = "baking"             // all of the stage have confirmed it
	Awaiting          Kind = "awaiting approval"  // the stage has baked; a person says when it ends
	Serving           Kind = "serving"            // a candidate is the fleet's last good revision now
	Abandoned         Kind = "abandoned"          // a candidate is replaced by a newer one
	Rejected          Kind = "rejected"           // there is evidence against a candidate: all go back
	RolledBack        Kind = "rolled back"        // all are back
	Replaced          Kind = "replaced"           // a stage's proxies are gone: another is taken
	StillRejected     Kind = "still rejected"     // the content offered is that of a rejected revision
	ProxyRefusesGood  Kind = "proxy refuses good" // one proxy refuses what the others serve
	ProxyInTrouble    Kind = "in trouble"         // one proxy can't take what it is given, for trouble of its own
	ProxyLost         Kind = "proxy lost"         // it was lost soon after it was given a candidate, and does not come back
	ProxyOutOfTrouble Kind = "out of trouble"     // it has taken it
	Refusal           Kind = "refused"            // what is on disk did not pass preflight: no proxy saw it
	Paused            Kind = "paused"
	Resumed           Kind = "resumed"
	Promoted          Kind = "promoted" // a person ended a stage
	Skipped           Kind = "skipped"  // a person passed a stage that has no proxy
	Aborted           Kind = "aborted"  // a person rejected a candidate
	Undone            Kind = "undone"   // a person went back to the revision before
	Retried           Kind = "retried"  // a person wants a rejected revision tried again

	DegradedNow Kind = "degraded"    // there is evidence against what is served
	Recovered   Kind = "recovered"   // and now there is none
	TakenBack   Kind = "taken back"  // what is served is undone for it, and rejected
	Stays       Kind = "stays"       // it would be, but there is no revision before it
	WatchEnded  Kind = "watch ended" // evidence does not take it back any more

	MoveStarted Kind = "move started" // proxies are on their way from one fleet to another
	MovedIn     Kind = "moved in"     // they have proven it, and are of this fleet
	MovedOut    Kind = "moved out"    // proxies are of another fleet now
	MoveRefused Kind = "move refused" // proxies stay in the fleet they were of
	MoveEnded   Kind = "move ended"   // and are not any more: they stay where they were
)
