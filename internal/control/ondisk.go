package control

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// DiskStatus is what is on disk for a fleet, and what has come of it.
type DiskStatus struct {
	File string `json:"file,omitempty"`
	// Content names what is in the fleet file and its modules: it is the same for the
	// same bytes, also after a restart.
	Content  string           `json:"content,omitempty"`
	Saved    time.Time        `json:"saved,omitzero"`
	State    DiskState        `json:"state"`
	Revision rollout.Revision `json:"revision"`      // what was built of it, if it could be
	Why      string           `json:"why,omitempty"` // it is not served
}

// A DiskState sums up what has come of a save.
type DiskState string

// What can have come of a save.
const (
	DiskNothing  DiskState = "nothing"  // there is no file of the fleet
	DiskReading  DiskState = "reading"  // it is read, or tried in the sandbox
	DiskRefused  DiskState = "refused"  // it can't be read, or did not pass the sandbox
	DiskTried    DiskState = "tried"    // it is rolled out
	DiskServed   DiskState = "served"   // it is
	DiskRejected DiskState = "rejected" // there was evidence against it
	DiskAborted  DiskState = "aborted"  // a person gave it up
	DiskUndone   DiskState = "undone"   // a person went back from it
)

// diskStatus says what is on disk for a fleet.
func (c *Control) diskStatus(s *fleetState) DiskStatus {
	out := DiskStatus{State: DiskNothing, Why: c.problems[s.name]}
	f, there := c.fileOf(s.name)
	if there {
		out.File, out.Content, out.Saved = f.Path, f.Content, f.Saved
	}
	switch {
	case c.pending(s):
		out.State, out.Why = DiskReading, "it is read, and tried in the sandbox"
	case !there:
	case out.Why != "":
		out.State = DiskRefused
	default:
		out.Revision = rollout.Revision{ID: s.onDisk, Number: s.number(s.onDisk)}
		out.State, out.Why = s.cameOf(s.onDisk)
	}
	return out
}

// waitsFor is what a change on its way waits for: its rollout, or before that to be
// read and tried.
func (c *Control) waitsFor(s *fleetState) *rollout.HoldUp {
	now := time.Now()
	if h := s.rollout.HoldUp(now); h != nil {
		if disk := h.Kind == rollout.WaitDisk || h.Kind == rollout.WaitNewer; disk && s.disk.reason != "" {
			h.Text += "; the disk is tried again by itself: " + s.disk.reason
		}
		if len(c.fleets) > 1 { // the commands are to do as they stand
			h.Text = commandOf.ReplaceAllString(h.Text, "`$1 --fleet "+s.name+"`")
			h.Do += " --fleet " + s.name
		}
		return h
	}
	f, trying := c.trying(s)
	if !trying {
		return s.rollout.Between(now)
	}
	return &rollout.HoldUp{
		Kind: WaitReading, Since: f.Trying,
		Text: fmt.Sprintf("what is on disk is tried in the sandbox, for %s now; its filters have limits of time there", now.Sub(f.Trying).Round(100*time.Millisecond)),
	}
}

// pending is whether what comes of what is on disk is not known yet.
func (c *Control) pending(s *fleetState) bool {
	_, trying := c.trying(s)
	return trying || c.Source.Unsettled()
}

// commandOf finds the commands in a sentence.
var commandOf = regexp.MustCompile("`(xds rollout [^`]+)`")

// WaitReading is the kind of rollout.HoldUp of what is yet to pass the sandbox.
const WaitReading rollout.Wait = "reading"

// cameOf is what has come of a revision that was built of the disk, and why it is not
// served.
func (s *fleetState) cameOf(id string) (state DiskState, why string) {
	f := &s.rollout
	i := slices.IndexFunc(f.Rejected, func(r rollout.Rejection) bool { return r.ID == id })
	switch {
	case id == s.candidate().ID:
		if h := f.HoldUp(time.Now()); h != nil {
			why = h.Text
		}
		return DiskTried, why
	case id == f.Waiting():
		return DiskTried, f.HoldUp(time.Now()).Text
	case id == f.Serving.ID && s.declined != nil:
		return DiskRejected, "its match is not in force: " + s.declined.Reason
	case id == f.Serving.ID:
		return DiskServed, ""
	case i < 0:
		return DiskReading, "it is yet to be tried"
	}
	r := f.Rejected[i]
	switch r.Kind {
	case rollout.Undone:
		return DiskUndone, r.Reason
	case rollout.Aborted:
		return DiskAborted, r.Reason
	default:
		if r.Surroundings {
			return DiskRejected, r.Reason + "; it is tried again by itself"
		}
		if r.Node != "" {
			return DiskRejected, fmt.Sprintf("by %s: %s", r.Node, r.Reason)
		}
		return DiskRejected, r.Reason
	}
}
