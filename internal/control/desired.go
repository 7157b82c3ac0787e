package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/watch"
)

// desired is what is on disk.
type desired struct {
	files   map[string]*fleetFile  // by path
	modules map[string]*moduleFile // by path
}

// fleetFile is a fleet file as it is now.
type fleetFile struct {
	name    string       // of its fleet, as far as one was ever read from it
	fleet   *fleet.Fleet // nil when it can't be read
	err     error        // why
	saved   saved
	content string // names its bytes
	by      string // who wants it built again
	// twin is what it has, where that is the fleet of another file.
	twin *fleet.Fleet
}

// moduleFile is a module as it is now; both fields are nil until it was read once.
type moduleFile struct {
	module *module.Module
	err    error
	saved  saved
}

// saved are the moments of a file's last change.
type saved struct{ noticed, settled time.Time }

func newDesired() desired {
	return desired{files: map[string]*fleetFile{}, modules: map[string]*moduleFile{}}
}

// changed takes in a watched file and builds the fleets that it concerns.
func (c *Control) changed(ctx context.Context, change watch.Change) {
	m := c.desired.modules[change.Path]
	if !change.Draft {
		c.unsorted = true // proxies may have waited for what was in it
		defer c.sort()
	}
	switch {
	case change.Draft:
		c.draft(ctx, change)
	case m != nil:
		c.moduleChanged(ctx, m, change)
	default:
		c.fleetChanged(ctx, change)
	}
}

func (c *Control) moduleChanged(ctx context.Context, m *moduleFile, change watch.Change) {
	m.module, m.err, m.saved = nil, change.Err, saved{change.Noticed, change.Settled}
	if change.Err == nil {
		if m.module = c.settled(change).module; m.module == nil {
			m.module = module.New(change.Data)
		}
		c.noticed(change)
	}
	for _, f := range c.desired.users(change.Path) {
		c.build(ctx, f)
	}
}

// users are the files of the fleets that have a filter with this module.
func (d *desired) users(module string) []*fleetFile {
	var out []*fleetFile
	for _, path := range slices.Sorted(maps.Keys(d.files)) {
		f := d.files[path]
		if f.fleet != nil && slices.ContainsFunc(f.fleet.Filters, func(filter fleet.Filter) bool { return filter.Module == module }) {
			out = append(out, f)
		}
	}
	return out
}

func (c *Control) fleetChanged(ctx context.Context, change watch.Change) {
	if errors.Is(change.Err, fs.ErrNotExist) {
		c.fileGone(ctx, change.Path)
		if change.Path != c.Fleet {
			return
		}
	}
	f := c.desired.files[change.Path]
	if f == nil {
		f = &fleetFile{}
		if change.Path == c.Fleet {
			f.name = c.fleetOf(change.Path)
		}
		c.desired.files[change.Path] = f
	}
	f.fleet, f.twin, f.err, f.saved, f.content = nil, nil, change.Err, saved{change.Noticed, change.Settled}, digest(change.Data)
	if change.Err == nil {
		c.noticed(change)
		if f.fleet = c.settled(change).fleet; f.fleet == nil {
			f.fleet, f.err = fleet.Parse(change.Path, change.Data)
		}
	} else if errors.Is(change.Err, fs.ErrNotExist) {
		f.err = fmt.Errorf("%s: the fleet file does not exist", change.Path)
		c.forgetDraft(change.Path)
	}
	if f.fleet != nil {
		if other := c.otherFile(change.Path, f.fleet.Name); other != "" {
			f.err = fmt.Errorf("%s:%d: fleet %q is that of %s:%d already",
				change.Path, f.fleet.NameLine, f.fleet.Name, other, c.desired.files[other].fleet.NameLine)
			f.fleet, f.twin = nil, f.fleet
		}
	}
	delete(c.together, change.Path)
	had := f.name
	c.read(ctx, change.Path, f)
	if had != f.name {
		c.freed(ctx, had)
	}
}

// fleetOf is the fleet that had a file last.
func (c *Control) fleetOf(path string) string {
	for name, s := range c.fleets {
		if s.file == path {
			return name
		}
	}
	return ""
}

// read takes what was read of a fleet file.
func (c *Control) read(ctx context.Context, path string, f *fleetFile) {
	if f.fleet == nil {
		c.giveUpBuild(f.name)
		key := cmp.Or(f.name, path)
		if f.twin != nil {
			key = path // it is none of the other file's fleet
		}
		c.problem(key, f.err)
		return
	}
	c.healed(path)
	c.renameTo(path, f.name, f.fleet.Name)
	f.name = f.fleet.Name
	c.watchModules()
	if c.fileThere(path, f) {
		c.sayAtSave(path, f)
		c.build(ctx, f)
	}
}

// otherFile finds another file with a fleet of this name.
func (c *Control) otherFile(path, name string) string {
	for _, other := range slices.Sorted(maps.Keys(c.desired.files)) {
		f := c.desired.files[other]
		next, changes := c.together[other] // to be read after this one
		if other != path && f.fleet != nil && f.fleet.Name == name && (!changes || next == name) {
			return other
		}
	}
	return ""
}

// watchModules watches the modules of all fleets that could be read.
func (c *Control) watchModules() {
	used := map[string]*moduleFile{}
	for _, f := range c.desired.files {
		if f.fleet == nil {
			continue
		}
		for _, filter := range f.fleet.Filters {
			m := c.desired.modules[filter.Module]
			if m == nil {
				m = &moduleFile{}
			}
			used[filter.Module] = m
		}
	}
	for path := range c.desired.modules {
		if used[path] == nil {
			c.forgetDraft(path)
		}
	}
	c.desired.modules = used
	c.Watcher.Watch(append([]string{c.Fleet}, slices.Sorted(maps.Keys(used))...))
}

// ready returns the modules of a fleet; ok is false while one was not read yet.
func (d *desired) ready(f *fleet.Fleet) (modules map[string]*module.Module, newest saved, ok bool, err error) {
	modules = map[string]*module.Module{}
	var wrong []error
	for _, filter := range f.Filters {
		m := d.modules[filter.Module]
		switch {
		case m == nil || m.module == nil && m.err == nil:
			return nil, saved{}, false, nil
		case errors.Is(m.err, fs.ErrNotExist):
			wrong = append(wrong, at(f, filter, "module %s does not exist", filter.Module))
		case m.err != nil:
			wrong = append(wrong, at(f, filter, "module %s can't be read: %v", filter.Module, m.err))
		default:
			modules[filter.Module] = m.module
			if m.saved.settled.After(newest.settled) {
				newest = m.saved
			}
		}
	}
	if len(wrong) > 0 {
		return nil, newest, true, errors.Join(wrong...)
	}
	return modules, newest, true, nil
}

// at is an error about a filter's module, at its line of the fleet file.
func at(f *fleet.Fleet, filter fleet.Filter, format string, args ...any) error {
	return &fleet.Error{File: f.File, Line: filter.ModuleLine, Msg: fmt.Sprintf(format, args...)}
}

func (c *Control) noticed(change watch.Change) {
	c.feed.put(Record{Kind: Noticed, Message: change.Path, Timings: &Timings{Noticed: change.Noticed, Settled: change.Settled}})
}

// oneLine is an error of several lines for a log.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
