package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Verb is something that a person can want.
type Verb string

// The verbs.
const (
	Pause   Verb = "pause"   // go no further; evidence against it still counts
	Resume  Verb = "resume"  // go on
	Promote Verb = "promote" // end the stage: do not wait for the rest of its bake, or approve it
	Abort   Verb = "abort"   // give the candidate up
	Undo    Verb = "undo"    // go back to the revision before, or an older one, at once; in a rollout the same as abort
	Retry   Verb = "retry"   // try a rejected revision again
)

// Verbs are all of them.
var Verbs = []Verb{Pause, Resume, Promote, Abort, Undo, Retry}

func (s *step) command(c Command) {
	s.from = c.From
	refusal := s.carryOut(c)
	s.do(Answer{refusal})
	if refusal == "" {
		s.do(Store{})
	}
}

// carryOut returns why it did not.
func (s *step) carryOut(c Command) string {
	switch {
	case c.Verb == Retry:
		return s.retry(c)
	case c.Verb == Undo:
		return s.undo(c)
	case s.Rollout == nil:
		return "no rollout is in progress"
	}
	switch c.Verb {
	case Pause:
		return s.pause(c)
	case Resume:
		return s.resume(c)
	case Promote:
		return s.promoteStage(c)
	case Abort:
		s.reject(Aborted, "", because("aborted", c), c.By)
		return ""
	case Retry, Undo: // without a rollout, too: see above
	}
	return fmt.Sprintf("%q is not something to do to a rollout", c.Verb)
}

// promoteStage ends a stage that is confirmed or, if the person says so, that has
// no proxy.
func (s *step) promoteStage(c Command) string {
	r := s.Rollout
	switch {
	case r.Paused:
		return "the rollout is paused: resume it first"
	case s.isEmpty():
		return s.skipEmpty(c)
	case !r.Released || !r.allConfirmed():
		return fmt.Sprintf("stage %q is not confirmed yet: proof is not skipped", r.stage().Name)
	}
	r.Approved = true
	s.record(Entry{Kind: Promoted, Revision: r.Candidate, Stage: r.stage().Name, By: c.By, Reason: c.Why})
	return ""
}

func because(what string, c Command) string {
	if c.Why == "" {
		return what + " by " + c.By
	}
	return what + " by " + c.By + ": " + c.Why
}

func (s *step) pause(c Command) string {
	r := s.Rollout
	if r.Paused {
		return "the rollout is paused already"
	}
	r.Paused, r.PausedAt, r.PausedBy = true, s.now, c.By
	s.record(Entry{Kind: Paused, Revision: r.Candidate, Stage: r.stage().Name, By: c.By, Reason: c.Why})
	return ""
}

// resume goes on where it was: what was waited for is waited for as much longer.
func (s *step) resume(c Command) string {
	r := s.Rollout
	if !r.Paused {
		return "the rollout is not paused"
	}
	s.goOn(r.PausedAt)
	r.Paused, r.PausedAt, r.PausedBy = false, time.Time{}, ""
	s.record(Entry{Kind: Resumed, Revision: r.Candidate, Stage: r.stage().Name, By: c.By, Reason: c.Why})
	s.recruit()
	return ""
}

// goOn moves the clocks of a rollout on by as long as it has stood still.
func (s *step) goOn(stopped time.Time) {
	r := s.Rollout
	waited := func(since time.Time) time.Time { return s.now.Add(-max(0, stopped.Sub(since))) }
	for _, p := range s.proxies {
		p.since = waited(p.since)
	}
	if !r.bakeSince.IsZero() {
		r.bakeSince = waited(r.bakeSince)
	}
	if r.flaps.count > 0 {
		r.flaps.since = waited(r.flaps.since)
	}
	r.loneAt, r.vacantAt, r.emptyAt = time.Time{}, time.Time{}, time.Time{}
}

// retry forgets that a revision was rejected, and has what is on disk built again.
func (s *step) retry(c Command) string {
	i := len(s.Rejected) - 1
	if c.ID != "" {
		i = s.rejection(c.ID)
	}
	if len(s.Unmoved) > 0 && (i < 0 || c.ID == "") {
		s.Unmoved = nil
		s.record(Entry{Kind: Retried, Revision: s.Serving, By: c.By, Reason: because("moves to this fleet are tried again, wanted", c)})
		s.do(Offer{By: c.By})
		if i < 0 {
			return ""
		}
	}
	if i < 0 {
		return "no such revision was rejected"
	}
	rejected := s.Rejected[i].Revision
	if c.AnswersMeant {
		s.Meant, c.Why = rejected.ID, strings.TrimPrefix(c.Why+"; that it answers otherwise is meant", "; ")
	}
	s.Rejected = slices.Delete(s.Rejected, i, i+1)
	s.record(Entry{Kind: Retried, Revision: rejected, By: c.By, Reason: c.Why})
	s.do(Offer{By: c.By})
	return ""
}
