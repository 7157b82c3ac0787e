package control

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/build"
)

// Whose name is in which file. It is worked out of all the files whenever some are saved, and
// of no event alone: names go from file to file, several in one save or one after the other,
// with a server that is restarted in between.

// fleetOf is the fleet that had a file last.
func (c *Control) fleetOf(path string) string {
	had := ""
	for _, name := range slices.Sorted(maps.Keys(c.fleets)) {
		s := c.fleets[name]
		if s.file == path && (had == "" || c.fleets[had].retired() && !s.retired()) { // an older server has left a file with several
			had = name
		}
	}
	return had
}

// fileOf is the file that a fleet was read from last; ok is false where there is none.
func (c *Control) fileOf(fleet string) (f build.File, ok bool) {
	for _, path := range slices.Sorted(maps.Keys(c.files)) {
		if f := c.files[path]; f.Fleet == fleet {
			return f, true
		}
	}
	return build.File{}, false
}

// onDisk is whether a file has a fleet.
func (c *Control) onDisk(name string) bool {
	f, ok := c.fileOf(name)
	return ok && f.Match != nil
}

// freeNames takes the names from files that can't be read whose fleets are in others by now:
// what is wrong in such a file is wrong in nobody's.
func (c *Control) freeNames() {
	is := map[string]bool{}
	for _, f := range c.files {
		if f.Match != nil {
			is[f.Fleet] = true
		}
	}
	for path, f := range c.files {
		if f.Match != nil || f.Gone || !is[f.Fleet] {
			continue
		}
		if f.Err != nil && c.problems[f.Fleet] == f.Err.Error() {
			delete(c.problems, f.Fleet)
			c.problems[path] = f.Err.Error()
		}
		f.Fleet = ""
		c.files[path] = f
	}
}

// hasFile notes which file is a fleet's. Who had that before has none.
func (c *Control) hasFile(s *fleetState, path string) {
	s.gone = time.Time{}
	if s.file == path {
		return
	}
	for _, other := range c.fleets {
		if other != s && other.file == path {
			other.file, other.lostTo, other.dirty = "", path, true
			c.storeChanges(other)
		}
	}
	s.file, s.lostTo, s.dirty = path, "", true
	c.sayServing(s)
}

// sayServing tells the source what the fleet of a file serves.
func (c *Control) sayServing(s *fleetState) {
	if s.file != "" {
		c.Source.Serving(s.file, s.snapshots[s.rollout.Serving.ID])
	}
}

// missFiles looks for fleets that are in no file any more.
func (c *Control) missFiles() {
	for _, name := range slices.Sorted(maps.Keys(c.fleets)) {
		s := c.fleets[name]
		f, there := c.fileOf(name)
		switch {
		case there && !f.Gone:
			s.gone = time.Time{} // for all that may be wrong in it
		case s.gone.IsZero():
			c.without(s)
		}
	}
}

// without takes that a fleet has no file since now.
func (c *Control) without(s *fleetState) {
	if f, _ := c.fileOf(s.name); !f.Gone { // one that is asked for by its path is missed
		delete(c.problems, s.name)
	}
	if s.blank() {
		delete(c.fleets, s.name)
		return
	}
	if s.retirement == nil || s.returning() {
		s.gone = time.Now()
		c.wake(s.gone.Add(c.Grace))
		c.note(s.name, api.EventFileGone, fmt.Sprintf("%s: it is retired in %s unless it comes back", c.fileWas(s), c.Grace))
	}
}

// fileWas says what has become of the file of a fleet that has none.
func (c *Control) fileWas(s *fleetState) string {
	if s.file != "" {
		return "its file " + s.file + " is gone"
	}
	if has := c.files[s.lostTo].Fleet; has != "" && has != s.name {
		return fmt.Sprintf("its file %s has fleet %s now", s.lostTo, has)
	}
	return "no file has it any more"
}
