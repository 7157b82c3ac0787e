package api

import "time"

// Rollout is a rollout in progress.
type Rollout struct {
	Stage    string        `json:"stage"`
	Index    int           `json:"index"` // of the stage, from 1
	Stages   int           `json:"stages"`
	Started  time.Time     `json:"started"`
	StageAt  time.Time     `json:"stage_at"` // when the stage began
	Paused   bool          `json:"paused"`
	Awaiting bool          `json:"awaiting_approval"`
	Members  int           `json:"members"` // proxies of this stage and those before
	Phases   map[Phase]int `json:"phases"`  // how many connected members are in each
}

// Stage is one stage of a rollout's plan.
type Stage struct {
	Name     string            `json:"name"`
	Percent  float64           `json:"percent,omitempty"` // of the connected proxies that match
	Proxies  int               `json:"proxies,omitempty"` // their number, where Percent is 0
	Match    map[string]string `json:"match,omitempty"`   // attributes, "id" as a glob
	Bake     time.Duration     `json:"bake,omitempty"`
	Deadline time.Duration     `json:"deadline"` // for a proxy, in each of its phases
	Manual   bool              `json:"manual,omitempty"`
}

// A Phase is where a proxy is in a rollout.
type Phase string

// The phases, in their order.
const (
	PhaseIdle            Phase = ""                 // not of the rollout, or not yet
	PhaseJoining         Phase = "joining"          // it has just connected: it gets the last good revision first
	PhaseWarming         Phase = "warming"          // it was given the candidate in its shadow listener
	PhaseProving         Phase = "proving"          // it runs it there; the checks are asked
	PhaseProven          Phase = "proven"           // they hold; it waits for the others of its stage
	PhaseFlipping        Phase = "flipping"         // its real listener was given the candidate
	PhaseConfirming      Phase = "confirming"       // and runs it; the checks are asked
	PhaseAwaitingService Phase = "awaiting service" // the service behind the filters fails, and is waited for
	PhaseConfirmed       Phase = "confirmed"        // they hold
	PhaseInTrouble       Phase = "in trouble"       // it can't take what it was given, for no fault of that
)

// Phases are all of a rollout's proxies, in the order in which they are shown.
var Phases = []Phase{
	PhaseJoining, PhaseWarming, PhaseProving, PhaseProven, PhaseFlipping, PhaseConfirming,
	PhaseAwaitingService, PhaseConfirmed, PhaseInTrouble,
}

// Wait is what a change on its way waits for. It has an end: by itself at Until, or by
// the command in Do.
type Wait struct {
	Kind  WaitKind  `json:"kind"`
	Stage string    `json:"stage,omitempty"`
	Nodes []string  `json:"nodes,omitempty"` // the proxies that are waited for, a few of them
	Count int       `json:"count,omitempty"` // how many they are in all
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // when it ends by itself; zero: not by time alone
	Then  string    `json:"then,omitempty"` // what happens at Until
	Do    string    `json:"do,omitempty"`   // the command that ends it
	Text  string    `json:"text"`           // all of that in one sentence
}

// A WaitKind says what kind of thing is waited for.
type WaitKind string

// What is waited for, those first that keep a rollout from any of the later ones.
const (
	WaitReading    WaitKind = "reading"           // what is on disk is tried in the sandbox
	WaitPaused     WaitKind = "paused"            // a person paused it
	WaitNewer      WaitKind = "newer"             // a newer revision waits for this one to be stored
	WaitNoProxy    WaitKind = "no proxy"          // no proxy of the fleet is connected
	WaitEmpty      WaitKind = "empty stage"       // none of those that are can be of the stage
	WaitTrouble    WaitKind = "in trouble"        // all of the stage's proxies have trouble of their own
	WaitAway       WaitKind = "away"              // the stage's proxies are not connected
	WaitJoining    WaitKind = "joining"           // proxies take the last good revision first
	WaitWarming    WaitKind = "warming"           // proxies load the candidate in their shadow listeners
	WaitProving    WaitKind = "proving"           // they answer the checks there
	WaitFlipping   WaitKind = "flipping"          // their real listeners take it
	WaitConfirming WaitKind = "confirming"        // they answer the checks there
	WaitService    WaitKind = "awaiting service"  // the service behind the filters fails
	WaitBaking     WaitKind = "baking"            // the bake is not over
	WaitApproval   WaitKind = "awaiting approval" // a person is to end the stage
	WaitComparing  WaitKind = "comparing"         // more errors than before are held against those of the other proxies
	WaitDisk       WaitKind = "disk"              // the revision is not in the state directory yet
	WaitAsking     WaitKind = "asking"            // proxies answer the changed checks of what is served
	WaitRetry      WaitKind = "to be tried anew"  // a revision was rejected for its surroundings
)
