package api

import (
	"time"

	"github.com/waxwing-xds/waxwing/internal/rollout"
)

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
type Stage = rollout.Stage

// A Phase is where a proxy is in a rollout.
type Phase = rollout.Phase

// The phases, in their order; see rollout.Phase.
const (
	PhaseIdle            = rollout.Idle
	PhaseJoining         = rollout.Joining
	PhaseWarming         = rollout.Warming
	PhaseProving         = rollout.Proving
	PhaseProven          = rollout.Proven
	PhaseFlipping        = rollout.Flipping
	PhaseConfirming      = rollout.Confirming
	PhaseAwaitingService = rollout.AwaitingService
	PhaseConfirmed       = rollout.Confirmed
	PhaseInTrouble       = rollout.InTrouble
)

// Phases are all of a rollout's proxies, in the order in which they are shown.
var Phases = rollout.Phases

// Wait is what a change on its way waits for. It has an end: by itself at Until, or by
// the command in Do.
type Wait = rollout.HoldUp

// A WaitKind says what kind of thing is waited for.
type WaitKind = rollout.Wait

// What is waited for, those first that keep a rollout from any of the later ones; see
// rollout.Wait.
const (
	WaitReading WaitKind = "reading" // what is on disk is tried in the sandbox

	WaitPaused     = rollout.WaitPaused
	WaitFile       = rollout.WaitFile
	WaitNewer      = rollout.WaitNewer
	WaitNoProxy    = rollout.WaitNoProxy
	WaitEmpty      = rollout.WaitEmpty
	WaitTrouble    = rollout.WaitTrouble
	WaitAway       = rollout.WaitAway
	WaitJoining    = rollout.WaitJoining
	WaitWarming    = rollout.WaitWarming
	WaitProving    = rollout.WaitProving
	WaitFlipping   = rollout.WaitFlipping
	WaitConfirming = rollout.WaitConfirming
	WaitService    = rollout.WaitService
	WaitBaking     = rollout.WaitBaking
	WaitApproval   = rollout.WaitApproval
	WaitComparing  = rollout.WaitComparing
	WaitDisk       = rollout.WaitDisk
	WaitAsking     = rollout.WaitAsking
	WaitRetry      = rollout.WaitRetry
)
