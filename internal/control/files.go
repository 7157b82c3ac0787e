package control

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// Which file is which fleet's. A fleet is known by its name, and its file may be another:
// but where a file has another name than before, and no file has the old one any more,
// the fleet was renamed. One whose file is gone is retired, after a grace.

// renameTo finds the fleet that a file had, if it has another name for it now: state,
// history, rejections and proxies go along. A name that there was before stays with what
// it is the name of, and what had the file is without one then: see missFiles.
func (c *Control) renameTo(before, name string) {
	s := c.fleets[before]
	if s == nil || before == name || c.onDisk(before) {
		return
	}
	if other := c.fleets[name]; other == nil || other.blank() {
		c.rename(map[string]string{before: name})
	}
}

// blank is whether there is nothing of a fleet but its name.
func (s *fleetState) blank() bool {
	return s.rollout.Serving.ID == "" && s.rollout.Rollout == nil && len(s.rollout.History) == 0
}

// fileThere notes that a fleet has its file, and reports whether it is to be built: not
// one that a person retired with this content.
func (c *Control) fileThere(f build.File) bool {
	s := c.fleet(f.Fleet)
	c.hasFile(s, f.Path)
	if s.retirement == nil {
		return true
	}
	if s.retiredWith(f) {
		if s.returning() {
			s.moving, c.unsorted = nil, true
			c.step(s, rollout.Withdrawn{Reason: "its file is what it was when the fleet was retired"})
		}
		return false
	}
	s.onDisk = "" // what was built before is not what comes of it
	return true
}

// returning is whether what is in the file of a retired fleet is on its way. Until that is
// served the fleet stays retired: else it would take proxies by the match, and to the
// revision, that it had when it was retired, which are on no disk any more.
func (s *fleetState) returning() bool {
	return s.retirement != nil && (s.rollout.Rollout != nil || s.moving != nil)
}

// takeUp has a retired fleet be one like any, when it serves what its file has to the
// proxies that the file is for.
func (c *Control) takeUp(s *fleetState) {
	if s.retirement == nil {
		return
	}
	f, there := c.fileOf(s.name)
	if !there || f.Match == nil || f.Pending || f.Err != nil || s.retiredWith(f) {
		return
	}
	if s.onDisk == "" || s.onDisk != s.rollout.Serving.ID || s.moving != nil || s.match.String() != f.Match.String() {
		return
	}
	s.retirement, s.dirty, c.unsorted = nil, true, true
	c.guestsAnew()
	c.note(s.name, api.EventTakenUp, fmt.Sprintf("by %s: it is retired no more", f.Path))
}

// filesKnown tells rollouts whose file is gone, or back.
func (c *Control) filesKnown() {
	for _, name := range slices.Sorted(maps.Keys(c.fleets)) {
		s := c.fleets[name]
		if is := c.hasNoFile(s); is != s.fileless {
			s.fileless, c.unsorted = is, true
			e := rollout.Fileless{Is: is}
			if is && s.retirement == nil {
				e.Until = s.gone.Add(c.Grace)
			}
			c.step(s, e)
		}
	}
}

// hasNoFile is whether nothing new is to begin in a fleet: its file is gone, if for a moment,
// or it is retired and nothing of a file is on its way. Just after the start of the server it is
// not known yet.
func (c *Control) hasNoFile(s *fleetState) bool {
	if s.gone.IsZero() {
		return s.retirement != nil && !s.returning()
	}
	return s.fileless || !s.gone.Equal(c.began) || !c.Source.Unsettled()
}

// retireGone retires fleets whose files are gone for long enough.
func (c *Control) retireGone() {
	for _, name := range slices.Sorted(maps.Keys(c.fleets)) {
		s := c.fleets[name]
		switch left := c.Grace - time.Since(s.gone); {
		case s.gone.IsZero() || s.retirement != nil && !s.returning():
		case left <= 0:
			why := "its file is gone"
			if s.file == "" {
				why = c.fileWas(s)
			}
			c.retire(s, "", why+" for "+c.Grace.String())
		default:
			c.wake(time.Now().Add(left))
		}
	}
}

// A Retirement is why a fleet takes no more proxies.
type Retirement struct {
	At      time.Time `json:"at"`
	By      string    `json:"by,omitempty"`      // a person, or "" for the server
	Content string    `json:"content,omitempty"` // of the file that it has all the same
}

// retire has a fleet take no more proxies. What was on its way is given up; its proxies
// keep what they run, until another fleet claims them.
func (c *Control) retire(s *fleetState, by, why string) {
	s.retirement = &Retirement{At: time.Now(), By: by}
	if f, ok := c.fileOf(s.name); ok && f.Match != nil {
		s.retirement.Content = f.Digest
	}
	c.guestsAnew()
	s.gone, s.moving, s.declined, s.dirty, c.unsorted = time.Time{}, nil, nil, true, true
	c.step(s, rollout.Withdrawn{Reason: "the fleet is retired"})
	c.step(s, rollout.Noted{Entry: rollout.Entry{Kind: api.EventRetired, Revision: s.rollout.Serving, By: by, From: c.from, Reason: why + ": its proxies keep what they run"}})
}
