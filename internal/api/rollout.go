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

// Phases are all of a rollout's proxies, in the order in which they are shown.
var Phases = rollout.Phases

// Wait is what a change on its way waits for. It has an end: by itself at Until, or by
// the command in Do.
type Wait = rollout.HoldUp

// A WaitKind says what kind of thing is waited for.
type WaitKind = rollout.Wait

// WaitReading is before a rollout: what is on disk is tried in the sandbox.
const WaitReading WaitKind = "reading"
