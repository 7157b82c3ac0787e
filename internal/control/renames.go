package control

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/build"
)

// Several fleets may be renamed at once, and one may take the name that another had: a becomes b and
// b becomes c, or two swap theirs. Files that are as before but for their fleets' names mean that. Where
// more has changed they mean another thing: that a fleet goes to another file.

// renameTogether renames fleets whose files were saved together, where names change hands. had are the
// names of their fleets before, by path; same is whether a file is as before but for its name, by path.
func (c *Control) renameTogether(files []build.File, had map[string]string, same map[string]bool) {
	to := map[string]string{}
	for _, f := range files {
		before := had[f.Path]
		if s := c.fleets[before]; f.Own && f.Match != nil && same[f.Path] && s != nil && s.file == f.Path && before != f.Fleet {
			to[before] = f.Fleet
		}
	}
	for n := len(to) + 1; n > len(to); { // one that can't be renamed keeps its name, which no other can have then
		n = len(to)
		maps.DeleteFunc(to, func(before, name string) bool { return !c.mayBeRenamed(to, before, name) })
	}
	c.rename(to)
}

// mayBeRenamed is whether a fleet can go from the name before to name, when all of to do: the new name is
// free then, and no file has the old one, but where another of these takes it.
func (c *Control) mayBeRenamed(to map[string]string, before, name string) bool {
	if other := c.fleets[name]; other != nil && !other.blank() && to[name] == "" {
		return false
	}
	return !c.onDisk(before) || slices.Contains(slices.Collect(maps.Values(to)), before)
}

// rename renames fleets at once. to has their new names, by those before.
func (c *Control) rename(to map[string]string) {
	renamed := map[string]*fleetState{}
	for before, name := range to {
		renamed[name] = c.fleets[before]
		delete(c.fleets, before)
		delete(c.problems, before)
	}
	for name, s := range renamed {
		s.name, s.renamed, c.fleets[name] = name, time.Now(), s
	}
	for _, n := range c.known {
		n.home, n.fleet = renamedIn(to, n.home), renamedIn(to, n.fleet)
		n.told.home, n.told.to = renamedIn(to, n.told.home), renamedIn(to, n.told.to)
	}
	for _, before := range slices.Sorted(maps.Keys(to)) {
		c.note(to[before], api.EventRenamed, fmt.Sprintf("from %s to %s: its proxies, its history and what was rejected go along", before, to[before]))
	}
}

// renamedIn is the name that a fleet has once fleets are renamed.
func renamedIn(to map[string]string, name string) string {
	if now, there := to[name]; there {
		return now
	}
	return name
}

// nameOf is the name of a fleet that is read from the state directory. Where another fleet has it already, the
// server was ended while several renames were written. The one that was renamed last has it then, and the other
// a name that nobody has, until its file is read.
func (c *Control) nameOf(stored storedFleet, key string) string {
	name := cmp.Or(stored.Name, key)
	other := c.fleets[name]
	if other == nil {
		return name
	}
	spare := name
	for i := 2; c.fleets[spare] != nil; i++ {
		spare = fmt.Sprintf("%s+%d", name, i)
	}
	c.Log.Warn("two fleets are stored with one name: the last to be renamed has it", "fleet", name, "other", spare)
	if !stored.Renamed.After(other.renamed) {
		return spare
	}
	delete(c.fleets, name)
	other.name, c.fleets[spare] = spare, other
	return name
}
