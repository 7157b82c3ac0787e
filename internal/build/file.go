package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// fleetFile is a fleet file as it is now.
type fleetFile struct {
	path    string
	content *Content // nil when it can't be read, or has the fleet of another file
	twin    *Content // what it has in that case
	err     error    // why content is nil
	gone    bool
	name    string // of its fleet, as far as one was ever read from it
	had     string // and before the last save
	saved   moments
	digest  string // names its bytes
	by      string // who wants it built again

	attempt int                // counts builds
	cancel  context.CancelFunc // ends the build under way, nil where none is
	since   time.Time          // of that
}

// moduleFile is a module as it is now; both fields are nil until it was read once.
type moduleFile struct {
	module *module.Module
	err    error
	saved  moments
}

func (m *moduleFile) read() bool { return m != nil && (m.module != nil || m.err != nil) }

// moments are those of a file's last change.
type moments struct{ noticed, settled time.Time }

// giveUp ends the build of a file that is under way: only the newest counts.
func (file *fleetFile) giveUp() {
	file.attempt++
	if file.cancel != nil {
		file.cancel()
		file.cancel = nil
	}
}

// uses is whether one of some modules is one of the file's filters.
func (file *fleetFile) uses(modules map[string]bool) bool {
	return file.content != nil && slices.ContainsFunc(file.content.Fleet.Filters, func(filter fleet.Filter) bool { return modules[filter.Module] })
}

func (f *Files) readModule(m *moduleFile, change watch.Change) {
	m.module, m.err, m.saved = nil, change.Err, moments{change.Noticed, change.Settled}
	if change.Err == nil {
		m.module = f.drafted(change)
	}
}

// watchModules watches the modules of all fleets that could be read.
func (f *Files) watchModules() {
	used := map[string]*moduleFile{}
	for _, file := range f.files {
		if file.content == nil {
			continue
		}
		for _, filter := range file.content.Fleet.Filters {
			m := f.modules[filter.Module]
			if m == nil {
				m = &moduleFile{}
			}
			used[filter.Module] = m
		}
	}
	for path := range f.modules {
		if used[path] == nil {
			f.forgetDraft(path)
		}
	}
	f.modules = used
	f.watcher.Watch(append([]string{f.root}, slices.Sorted(maps.Keys(used))...))
}

// ready returns the modules of a fleet; ok is false while one was not read yet.
func (f *Files) ready(c *Content) (modules map[string]*module.Module, ok bool, err error) {
	modules = map[string]*module.Module{}
	var wrong []error
	for _, filter := range c.Fleet.Filters {
		m := f.modules[filter.Module]
		switch {
		case !m.read():
			return nil, false, nil
		case errors.Is(m.err, fs.ErrNotExist):
			wrong = append(wrong, at(c.Fleet, filter, "module %s does not exist", filter.Module))
		case m.err != nil:
			wrong = append(wrong, at(c.Fleet, filter, "module %s can't be read: %v", filter.Module, m.err))
		default:
			modules[filter.Module] = m.module
		}
	}
	return modules, true, errors.Join(wrong...)
}

// at is an error about a filter's module, at its line of the fleet file.
func at(f *fleet.Fleet, filter fleet.Filter, format string, args ...any) error {
	return &fleet.Error{File: f.File, Line: filter.ModuleLine, Msg: fmt.Sprintf(format, args...)}
}

// newest are the moments of the change of a file and its modules that settled last.
func (f *Files) newest(file *fleetFile) moments {
	out := file.saved
	if file.content == nil {
		return out
	}
	for _, filter := range file.content.Fleet.Filters {
		if m := f.modules[filter.Module]; m != nil && m.saved.settled.After(out.settled) {
			out = m.saved
		}
	}
	return out
}

// savedAt is when a fleet file or one of its modules changed last.
func (f *Files) savedAt(file *fleetFile) time.Time {
	at := file.saved.noticed
	if file.content == nil {
		return at
	}
	for _, filter := range file.content.Fleet.Filters {
		if m := f.modules[filter.Module]; m != nil && m.saved.noticed.After(at) {
			at = m.saved.noticed
		}
	}
	return at
}

// describe copies what is known of a file.
func (f *Files) describe(file *fleetFile) File {
	out := File{
		Path: file.path, Fleet: file.name, Err: file.err, Twin: file.twin != nil, Gone: file.gone,
		Digest: file.digest, Content: f.contentOf(file), Saved: f.savedAt(file),
	}
	if file.content != nil {
		out.Match, out.MatchLine = &file.content.Fleet.Match, file.content.Fleet.MatchLine
		out.Certificates = file.content.Fleet.Certificates
	}
	return out
}

// contentOf names what is in a fleet file and its modules.
func (f *Files) contentOf(file *fleetFile) string {
	parts := []string{file.digest}
	if file.content != nil {
		for _, filter := range file.content.Fleet.Filters {
			switch m := f.modules[filter.Module]; {
			case !m.read():
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

// digest names bytes.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
