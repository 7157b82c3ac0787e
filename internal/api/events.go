package api

import "time"

// Event is something that happened, for those who follow along.
type Event struct {
	Time     time.Time `json:"time"`
	Kind     EventKind `json:"kind"`
	Fleet    string    `json:"fleet,omitempty"`
	Revision string    `json:"revision,omitempty"` // the revision's ID
	Number   int       `json:"number,omitempty"`   // and its number
	Node     string    `json:"node,omitempty"`
	Stage    string    `json:"stage,omitempty"`
	By       string    `json:"by,omitempty"` // a person, or "" for the server itself
	Message  string    `json:"message,omitempty"`
	// Timings of a change, in the order in which they come to pass.
	Timings *Timings `json:"timings,omitempty"`
	// ID names the event: GET /v1/events?after=ID goes on behind it.
	ID string `json:"id,omitempty"`
}

// Timings are the moments of a change.
type Timings struct {
	Noticed  time.Time `json:"noticed"`           // the first sign of the save
	Settled  time.Time `json:"settled"`           // the files were left alone and read
	Built    time.Time `json:"built"`             // inspected, and made into a snapshot
	Pushed   time.Time `json:"pushed,omitzero"`   // handed to the first proxies' streams; of EventWarmed, to this one's
	Flipped  time.Time `json:"flipped,omitzero"`  // handed to their real listeners
	Accepted time.Time `json:"accepted,omitzero"` // a proxy said so
}

// Entry is an event of a fleet's history: who, what, when, why.
type Entry struct {
	At       time.Time `json:"at"`
	Kind     EventKind `json:"kind"`
	Revision Revision  `json:"revision"`
	Stage    string    `json:"stage,omitempty"`
	Node     string    `json:"node,omitempty"`
	By       string    `json:"by,omitempty"` // a person, or "" for the server itself
	Reason   string    `json:"reason,omitempty"`
}

// An EventKind says what an Event or an Entry is about.
type EventKind string

// Events that are of the moment, and not in a fleet's history.
const (
	EventNoticed      EventKind = "noticed"      // a save was noticed and settled
	EventConnected    EventKind = "connected"    // a proxy
	EventDisconnected EventKind = "disconnected" // a proxy
	EventWarmed       EventKind = "warmed"       // a proxy has a revision in its shadow listeners
	EventAccepted     EventKind = "accepted"     // a proxy runs a revision
	EventProblem      EventKind = "problem"      // something on disk can't be served
	EventHealed       EventKind = "healed"       // and now can
	EventUnsaved      EventKind = "unsaved"      // the state directory does not take a fleet's state
	EventSaved        EventKind = "saved"        // and now does
	EventNotice       EventKind = "notice"       // something about a fleet that is no error, and seldom what is meant
	EventMissed       EventKind = "missed"       // one who follows comes back after more than the server keeps
)

// Events of a fleet, which its history has too.
const (
	EventUnchanged         EventKind = "unchanged"          // what was saved is what there is already
	EventReplanned         EventKind = "plan changed"       // what comes with a revision that is tried or served
	EventAsked             EventKind = "checks asked"       // what came of asking changed checks of what is served
	EventStarted           EventKind = "started"            // a candidate's rollout begins
	EventStageStarted      EventKind = "stage started"      // its proxies get the candidate in their shadow listeners
	EventEmpty             EventKind = "empty stage"        // no connected proxy can be of it
	EventWaits             EventKind = "waits"              // something is waited for a while already
	EventUnproven          EventKind = "unproven"           // a proxy can't be asked the checks: its ACK must do
	EventFailedBefore      EventKind = "failed before"      // a check fails as it did before the candidate: it is no evidence
	EventServiceAwaited    EventKind = "awaiting service"   // a first revision waits for the service behind it
	EventFlipped           EventKind = "flipped"            // the stage's proxies have proven it: their real listeners get it
	EventBaking            EventKind = "baking"             // all of the stage have confirmed it
	EventAwaiting          EventKind = "awaiting approval"  // the stage has baked; a person says when it ends
	EventServing           EventKind = "serving"            // a candidate is the fleet's last good revision now
	EventAbandoned         EventKind = "abandoned"          // a candidate is replaced by a newer one
	EventRejected          EventKind = "rejected"           // there is evidence against a candidate: all go back
	EventRolledBack        EventKind = "rolled back"        // all are back
	EventReplaced          EventKind = "replaced"           // a stage's proxies are gone: another is taken
	EventStillRejected     EventKind = "still rejected"     // the content offered is that of a rejected revision
	EventProxyRefusesGood  EventKind = "proxy refuses good" // one proxy refuses what the others serve
	EventProxyInTrouble    EventKind = "in trouble"         // one proxy can't take what it is given, for trouble of its own
	EventProxyOutOfTrouble EventKind = "out of trouble"     // it has taken it
	EventRefusal           EventKind = "refused"            // what is on disk did not pass preflight: no proxy saw it
	EventPaused            EventKind = "paused"             // by a person
	EventResumed           EventKind = "resumed"            // by a person
	EventPromoted          EventKind = "promoted"           // a person ended a stage
	EventSkipped           EventKind = "skipped"            // a person passed a stage that has no proxy
	EventAborted           EventKind = "aborted"            // a person rejected a candidate
	EventUndone            EventKind = "undone"             // a person went back to the revision before
	EventRetried           EventKind = "retried"            // a person wants a rejected revision tried again

	EventDegraded   EventKind = "degraded"    // there is evidence against what is served
	EventRecovered  EventKind = "recovered"   // and now there is none
	EventTakenBack  EventKind = "taken back"  // what is served is undone for it, and rejected
	EventStays      EventKind = "stays"       // it would be, but there is no revision before it
	EventWatchEnded EventKind = "watch ended" // evidence does not take it back any more

	EventRenamed      EventKind = "renamed"       // the fleet, in its file
	EventFileGone     EventKind = "file gone"     // its file is
	EventRetired      EventKind = "retired"       // it takes no more proxies, and those that it has keep what they run
	EventTakenUp      EventKind = "taken up"      // its file is there again
	EventForgotten    EventKind = "forgotten"     // all that there was of it is deleted
	EventMatchChanged EventKind = "match changed" // another match is in force
	EventKept         EventKind = "kept"          // proxies keep what they run

	EventMoveStarted EventKind = "move started" // proxies of other fleets are to have what this one serves
	EventMovedIn     EventKind = "moved in"     // they have proven it, and are of this fleet
	EventMovedOut    EventKind = "moved out"    // proxies are of another fleet now
	EventMoveRefused EventKind = "move refused" // proxies stay in the fleet they were of
	EventMoveEnded   EventKind = "move ended"   // there is no one left to move
)
