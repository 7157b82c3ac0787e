package control

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
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
	path, f := c.fileOf(s.name)
	if f != nil {
		out.File, out.Content = path, c.desired.content(f)
		out.Saved = c.desired.savedAt(f)
	}
	switch {
	case s.busy || c.Watcher.Unsettled():
		out.State, out.Why = DiskReading, "it is read, and tried in the sandbox"
	case f == nil:
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
	if !s.busy {
		return s.rollout.Between(now)
	}
	return &rollout.HoldUp{
		Kind: WaitReading, Since: s.busySince,
		Text: fmt.Sprintf("what is on disk is tried in the sandbox, for %s now; its filters have limits of time there", now.Sub(s.busySince).Round(100*time.Millisecond)),
	}
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

// fileOf is the file that a fleet was read from last.
func (c *Control) fileOf(fleet string) (path string, f *fleetFile) {
	for _, path := range slices.Sorted(maps.Keys(c.desired.files)) {
		if f := c.desired.files[path]; f.name == fleet {
			return path, f
		}
	}
	return "", nil
}

// content names what is in a fleet file and its modules.
func (d *desired) content(f *fleetFile) string {
	parts := []string{f.content}
	if f.fleet != nil {
		for _, filter := range f.fleet.Filters {
			switch m := d.modules[filter.Module]; {
			case m == nil || m.module == nil && m.err == nil:
				return "" // it is yet to be read
			case m.err != nil:
				parts = append(parts, m.err.Error())
			default:
				parts = append(parts, m.module.Digest)
			}
		}
	}
	return digest([]byte(strings.Join(parts, "\n")))
}

// savedAt is when a fleet file or one of its modules changed last.
func (d *desired) savedAt(f *fleetFile) time.Time {
	at := f.saved.noticed
	if f.fleet != nil {
		for _, filter := range f.fleet.Filters {
			if m := d.modules[filter.Module]; m != nil && m.saved.noticed.After(at) {
				at = m.saved.noticed
			}
		}
	}
	return at
}

// digest names bytes.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
