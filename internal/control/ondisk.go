package control

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// diskStatus says what is on disk for a fleet.
func (c *Control) diskStatus(s *fleetState) api.Disk {
	out := api.Disk{State: api.DiskNothing, Why: c.problems[s.name]}
	f, there := c.fileOf(s.name)
	if there && !f.Gone {
		out.File, out.Content, out.Saved = f.Path, f.Content, f.Saved
	}
	switch {
	case c.pending(s):
		out.State, out.Why = api.DiskReading, "it is read, and tried in the sandbox"
	case !there && s.retired():
		out.Why = c.retiredText(s)
	case !there && out.Why == "" && s.file+s.lostTo != "":
		out.Why = c.fileWas(s)
	case !there:
	case s.retiredWith(f):
		out.State, out.Why = api.DiskRetired, c.retiredText(s)+": "+takenUpBy
	case out.Why != "":
		out.State = api.DiskRefused
	default:
		out.Revision = rollout.Revision{ID: s.onDisk, Number: s.number(s.onDisk)}
		out.State, out.Why = s.cameOf(s.onDisk)
		if out.State != api.DiskTried || out.Why != "" {
			break
		}
		if h := c.heldElsewhere(s); h != nil {
			out.Why = "its match is not in force yet: " + h.Text
		}
	}
	return out
}

// takenUpBy is what a person does about a fleet that was retired by hand.
const takenUpBy = "save another content there, and it is taken up again when that is served"

// retiredText says since when a fleet is retired, by whom, and of which file.
func (c *Control) retiredText(s *fleetState) string {
	by := ""
	if s.retirement.By != "" {
		by = " by " + s.retirement.By
	}
	if s.retirement.Content == "" {
		return fmt.Sprintf("fleet %s is retired since %s%s, and %s: it takes no proxies", s.name, s.retirement.At.Format(time.DateTime), by, c.fileWas(s))
	}
	return fmt.Sprintf("fleet %s is retired since %s%s, with what is in %s: it takes no proxies", s.name, s.retirement.At.Format(time.DateTime), by, s.file)
}

// waitsFor is what a change on its way waits for: its rollout, or before that to be
// read and tried.
func (c *Control) waitsFor(s *fleetState) *rollout.HoldUp {
	now := time.Now()
	if h := c.rolloutWaits(s, now); h != nil {
		return h
	}
	if f, trying := c.trying(s); trying {
		return &rollout.HoldUp{
			Kind: api.WaitReading, Since: f.Trying,
			Text: fmt.Sprintf("what is on disk is tried in the sandbox, for %s now; its filters have limits of time there", now.Sub(f.Trying).Round(100*time.Millisecond)),
		}
	}
	if h := s.rollout.Between(now); h != nil {
		return h
	}
	return c.heldElsewhere(s)
}

// rolloutWaits is what a fleet's rollout waits for, nil where there is none.
func (c *Control) rolloutWaits(s *fleetState, now time.Time) *rollout.HoldUp {
	h := s.rollout.HoldUp(now)
	if h == nil {
		return nil
	}
	if disk := h.Kind == rollout.WaitDisk || h.Kind == rollout.WaitNewer; disk && s.disk.reason != "" {
		h.Text += "; the disk is tried again by itself: " + s.disk.reason
	}
	h.Text = c.withHolders(s, h.Text)
	if len(c.fleets) > 1 { // the commands are to do as they stand
		h.Text = commandOf.ReplaceAllString(h.Text, "`$1 --fleet "+s.name+"`")
		h.Do += " --fleet " + s.name
	}
	return h
}

// pending is whether what comes of what is on disk is not known yet.
func (c *Control) pending(s *fleetState) bool {
	_, trying := c.trying(s)
	return trying || c.Source.Unsettled()
}

// commandOf finds the commands in a sentence.
var commandOf = regexp.MustCompile("`(xds rollout [^`]+)`")

// cameOf is what has come of a revision that was built of the disk, and why it is not
// served.
func (s *fleetState) cameOf(id string) (state api.DiskState, why string) {
	f := &s.rollout
	i := slices.IndexFunc(f.Rejected, func(r rollout.Rejection) bool { return r.ID == id })
	switch {
	case id == s.candidate().ID && (!f.Trails() || s.moving != nil):
		if h := f.HoldUp(time.Now()); h != nil {
			why = h.Text
		}
		return api.DiskTried, why
	case id == f.Waiting():
		return api.DiskTried, f.HoldUp(time.Now()).Text
	case id == f.Serving.ID && s.declined != nil:
		why = "its match is not in force: " + s.declined.Reason
		if !f.MoveRetryAt().IsZero() {
			why += "; it is tried again by itself"
		}
		return api.DiskRejected, why
	case id == f.Serving.ID && s.moving != nil:
		return api.DiskTried, ""
	case id == f.Serving.ID:
		return api.DiskServed, ""
	case i < 0:
		return api.DiskReading, "it is yet to be tried"
	}
	r := f.Rejected[i]
	switch {
	case r.Kind == rollout.Undone:
		return api.DiskUndone, r.Reason
	case r.Kind == rollout.Aborted:
		return api.DiskAborted, r.Reason
	case r.Surroundings:
		return api.DiskRejected, r.Reason + "; it is tried again by itself"
	case r.Node != "":
		return api.DiskRejected, fmt.Sprintf("by %s: %s", r.Node, r.Reason)
	}
	return api.DiskRejected, r.Reason
}
