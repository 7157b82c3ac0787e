package api

import (
	"time"

	"github.com/waxwing-xds/waxwing/internal/rollout"
)

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
	From     *Source   `json:"from,omitempty"` // of what a command did: who has given it, as far as that is proven
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
type Entry = rollout.Entry

// A Source is who has given a command, as far as that is proven.
type Source = rollout.Source

// An EventKind says what an Event or an Entry is about.
type EventKind = rollout.Kind

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

// Events of a fleet and its file, which its history has too.
const (
	EventRenamed      EventKind = "renamed"       // the fleet, in its file
	EventFileGone     EventKind = "file gone"     // its file is
	EventRetired      EventKind = "retired"       // it takes no more proxies, and those that it has keep what they run
	EventTakenUp      EventKind = "taken up"      // its file is there again
	EventForgotten    EventKind = "forgotten"     // all that there was of it is deleted
	EventMatchChanged EventKind = "match changed" // another match is in force
	EventKept         EventKind = "kept"          // proxies keep what they run
)
