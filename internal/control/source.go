package control

import (
	"cmp"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// sourceEvents takes what the source says.
func (c *Control) sourceEvents(events []build.Event) {
	for _, event := range events {
		switch e := event.(type) {
		case build.Saved:
			c.saved(e)
		case build.Built:
			c.finished(e)
		case build.Unchanged:
			c.savedSame(e)
		}
	}
}

// saved takes files that were saved together: what each fleet is called and which file it
// has is known of all of them before the first is looked at.
func (c *Control) saved(e build.Saved) {
	for _, n := range e.Read {
		c.feed.put(api.Event{Kind: api.EventNoticed, Message: n.Path, Timings: &api.Timings{Noticed: n.Noticed, Settled: n.Settled}})
	}
	had, same := map[string]string{}, map[string]bool{}
	for i := range e.Files {
		f := &e.Files[i]
		if f.Fleet == "" {
			f.Fleet = c.fleetOf(f.Path) // nothing was read from it since the server started
		}
		before, known := c.files[f.Path]
		if had[f.Path] = before.Fleet; !known && !f.Gone {
			had[f.Path] = c.fleetOf(f.Path)
		}
		if same[f.Path] = f.Body != "" && f.Body == before.Body; f.Match == nil {
			f.Body = before.Body // of what was read last
		}
		if c.files[f.Path] = *f; f.Gone && f.Err == nil {
			delete(c.files, f.Path)
		}
		if s := c.fleets[f.Fleet]; s != nil && s.retiredWith(*f) && before.Content != "" && before.Content != f.Content {
			c.sayNotice(s, c.retiredText(s)+", and what was saved is not served: "+takenUpBy)
		}
	}
	c.freeNames()
	c.renameTogether(e.Files, had, same)
	for _, f := range e.Files {
		if now, there := c.files[f.Path]; there {
			f.Fleet = now.Fleet
		}
		c.fileSaved(f, had[f.Path])
	}
	c.missFiles()
	c.unsorted = true // proxies may have waited for what was in them
	c.sort()
}

// fileSaved takes one of them. had is the fleet that it had before.
func (c *Control) fileSaved(f build.File, had string) {
	if f.Gone {
		delete(c.problems, f.Path)
		if _, there := c.fileOf(f.Fleet); !there {
			delete(c.problems, f.Fleet)
		}
	}
	switch {
	case f.Match == nil && f.Err != nil:
		key := cmp.Or(f.Fleet, f.Path)
		if f.Twin {
			key = f.Path // it is none of the other file's fleet
		}
		c.problem(key, f.Err)
		return
	case f.Match == nil:
		return
	case f.Own:
		c.healed(f.Path)
		c.renameTo(had, f.Fleet)
		if !c.fileThere(f) {
			return
		}
		c.sayAtSave(f)
	}
	if s := c.fleet(f.Fleet); f.Err != nil {
		c.problem(s.name, f.Err)
	}
}

// trying is the file of a fleet that is being tried, if one is. What comes of the file of a
// fleet that a person has retired is of no interest.
func (c *Control) trying(s *fleetState) (f build.File, ok bool) {
	f, ok = c.fileOf(s.name)
	return f, ok && !f.Trying.IsZero() && !s.retiredWith(f)
}

// retiredWith is whether a person has retired a fleet as it is in a file.
func (s *fleetState) retiredWith(f build.File) bool {
	return s.retirement != nil && s.retirement.Content == f.Digest
}

// finished takes what came of a file.
func (c *Control) finished(b build.Built) {
	f := c.files[b.Path]
	f.Pending, f.Trying = false, time.Time{}
	c.files[b.Path] = f
	s := c.fleets[b.Fleet]
	if s == nil || s.retiredWith(f) {
		return
	}
	c.unsorted = true // proxies may have waited for what comes of it
	defer c.sort()
	if b.Err != nil {
		if c.problems[s.name] != b.Err.Error() {
			c.step(s, rollout.Unfit{Reason: oneLine(b.Err)})
		}
		c.problem(s.name, b.Err)
		return
	}
	c.healed(s.name)
	s.warnings = nil
	for _, w := range b.Warnings {
		s.warnings = append(s.warnings, oneLine(w))
		c.sayNotice(s, oneLine(w))
	}
	if b.Snapshot.ID != s.onDisk {
		for _, text := range c.misplaced(s, b.Snapshot) {
			c.sayNotice(s, text)
		}
	}
	changed := c.takeMeta(s, b.Snapshot)
	s.timings = api.Timings{Noticed: b.Noticed, Settled: b.Settled, Built: b.Made}
	c.batch(func() {
		c.offer(s, b.Snapshot, b.Match, changed, b.By)
		c.saveRevision(s, b.Snapshot)
	})
}

// onDiskMatch is the match in a fleet's file, nil for none.
func (c *Control) onDiskMatch(name string) *fleet.Match {
	f, _ := c.fileOf(name)
	return f.Match
}

// oneLine is an error of several lines for a log.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
