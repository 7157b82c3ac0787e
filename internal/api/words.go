package api

import "github.com/waxwing-xds/waxwing/internal/rollout"

// The words of a rollout, as clients call them. What each says stands where it is made, in
// package rollout.
const (
	VerbPause   = rollout.Pause
	VerbResume  = rollout.Resume
	VerbPromote = rollout.Promote
	VerbAbort   = rollout.Abort
	VerbUndo    = rollout.Undo
	VerbRetry   = rollout.Retry

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
	WaitBaseline   = rollout.WaitBaseline
	WaitFlipping   = rollout.WaitFlipping
	WaitConfirming = rollout.WaitConfirming
	WaitService    = rollout.WaitService
	WaitBaking     = rollout.WaitBaking
	WaitApproval   = rollout.WaitApproval
	WaitComparing  = rollout.WaitComparing
	WaitDisk       = rollout.WaitDisk
	WaitAsking     = rollout.WaitAsking
	WaitRetry      = rollout.WaitRetry
	WaitElsewhere  = rollout.WaitElsewhere

	EventUnchanged         = rollout.Unchanged
	EventReplanned         = rollout.Replanned
	EventAsked             = rollout.Asked
	EventStarted           = rollout.Started
	EventStageStarted      = rollout.StageStarted
	EventEmpty             = rollout.Empty
	EventWaits             = rollout.Waits
	EventUnproven          = rollout.Unproven
	EventFailedBefore      = rollout.FailedBefore
	EventBlipped           = rollout.Blipped
	EventServiceAwaited    = rollout.ServiceAwaited
	EventFlipped           = rollout.Flipped
	EventBaking            = rollout.Baking
	EventAwaiting          = rollout.Awaiting
	EventServing           = rollout.Serving
	EventAbandoned         = rollout.Abandoned
	EventRejected          = rollout.Rejected
	EventRolledBack        = rollout.RolledBack
	EventReplaced          = rollout.Replaced
	EventProxyLost         = rollout.ProxyLost
	EventStillRejected     = rollout.StillRejected
	EventProxyRefusesGood  = rollout.ProxyRefusesGood
	EventProxyInTrouble    = rollout.ProxyInTrouble
	EventProxyOutOfTrouble = rollout.ProxyOutOfTrouble
	EventRefusal           = rollout.Refusal
	EventPaused            = rollout.Paused
	EventResumed           = rollout.Resumed
	EventPromoted          = rollout.Promoted
	EventSkipped           = rollout.Skipped
	EventAborted           = rollout.Aborted
	EventUndone            = rollout.Undone
	EventRetried           = rollout.Retried
	EventDegraded          = rollout.DegradedNow
	EventRecovered         = rollout.Recovered
	EventTakenBack         = rollout.TakenBack
	EventStays             = rollout.Stays
	EventWatchEnded        = rollout.WatchEnded
	EventMoveStarted       = rollout.MoveStarted
	EventMovedIn           = rollout.MovedIn
	EventMovedOut          = rollout.MovedOut
	EventMoveRefused       = rollout.MoveRefused
	EventMoveEnded         = rollout.MoveEnded
)
