package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
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
	body    string // and those but for the fleet's name
	by      string // who wants it built again

	attempt int                // counts builds
	failed  int                // how often in a row one of them said nothing of the file
	cancel  context.CancelFunc // ends the build under way, nil where none is
	since   time.Time          // of that
}

// moduleFile is a module as it is now; both fields are nil until it was read once.
type moduleFile struct {
	module *module.Module
	err    error
	saved  moments
}

// secretFile is a filter's configuration as it is now; both fields are nil until it was read once.
type secretFile struct {
	data  []byte // not nil where it was read, also if it is empty
	err   error
	saved moments
}

func (s *secretFile) read() bool { return s != nil && (s.data != nil || s.err != nil) }

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

// uses is whether one of some files is a part of a fleet file.
func (file *fleetFile) uses(files map[string]bool) bool {
	return file.content != nil && slices.ContainsFunc(file.content.parts(), func(path string) bool { return files[path] })
}

func (f *Files) readModule(m *moduleFile, change watch.Change) {
	m.module, m.err, m.saved = nil, change.Err, moments{change.Noticed, change.Settled}
	if change.Err == nil {
		m.module = f.drafted(change)
	}
}

// watchModules watches the modules of all fleets that could be read.
func (f *Files) watchModules() {
	used, secrets, beside := map[string]*moduleFile{}, map[string]*secretFile{}, map[string]*besideFile{}
	for _, file := range f.files {
		if file.content == nil {
			continue
		}
		for _, filter := range file.content.Fleet.Filters {
			m := f.modules[filter.Module]
			if m == nil {
				m = f.newModule(filter.Module)
			}
			used[filter.Module] = m
			if path := filter.ConfigFrom.File; path != "" {
				if secrets[path] = f.secrets[path]; secrets[path] == nil {
					secrets[path] = f.newSecret(path)
				}
			}
		}
		for _, path := range file.content.beside {
			if beside[path] = f.beside[path]; beside[path] == nil {
				beside[path] = f.newBeside(path)
			}
		}
	}
	for path := range f.modules {
		if used[path] == nil {
			f.forgetDraft(path)
		}
	}
	f.modules, f.secrets, f.beside = used, secrets, beside
	paths := slices.Concat(slices.Collect(maps.Keys(used)), slices.Collect(maps.Keys(secrets)), slices.Collect(maps.Keys(beside)))
	slices.Sort(paths)
	f.watcher.Watch(append([]string{f.root}, slices.Compact(paths)...))
}

// ready returns a fleet with its secrets, and its modules with what they are verified by; ok is false
// while some of it was not read yet.
func (f *Files) ready(c *Content) (whole *Content, in Inputs, ok bool, err error) {
	for _, filter := range c.Fleet.Filters {
		if path := filter.ConfigFrom.File; path != "" && !f.secrets[path].read() {
			return nil, Inputs{}, false, nil
		}
	}
	if in.Beside, ok = f.besideOf(c); !ok {
		return nil, Inputs{}, false, nil
	}
	if in.Modules, ok, err = f.modulesOf(c); !ok {
		return nil, Inputs{}, false, nil
	}
	whole, wrong := f.maker.Configured(c, func(path string) ([]byte, error) { return f.secrets[path].data, f.secrets[path].err })
	return whole, in, true, errors.Join(err, wrong)
}

func (f *Files) modulesOf(c *Content) (modules map[string]*module.Module, ok bool, err error) {
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

// newest are the moments of the change of a file and its parts that settled last.
func (f *Files) newest(file *fleetFile) moments {
	out := file.saved
	for _, saved := range f.partsSaved(file) {
		if saved.settled.After(out.settled) {
			out = saved
		}
	}
	return out
}

// savedAt is when a fleet file or one of its parts changed last.
func (f *Files) savedAt(file *fleetFile) time.Time {
	at := file.saved.noticed
	for _, saved := range f.partsSaved(file) {
		if saved.noticed.After(at) {
			at = saved.noticed
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
		out.Certificates, out.Body = file.content.Fleet.Certificates, file.body
	}
	return out
}

// contentOf names what is in a fleet file and its parts.
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
			switch s := f.secrets[filter.ConfigFrom.File]; {
			case filter.ConfigFrom.File == "":
			case !s.read():
				return ""
			case s.err != nil:
				parts = append(parts, s.err.Error())
			default:
				parts = append(parts, digest(s.data))
			}
		}
		beside, ok := f.besideOf(file.content)
		if !ok {
			return ""
		}
		for _, path := range file.content.beside {
			parts = append(parts, path, digest(beside[path].Data))
		}
	}
	return digest([]byte(strings.Join(parts, "\n")))
}

// BodyOf names the bytes of a fleet file but for the fleet's name: it is the same where nothing else
// was changed.
func BodyOf(data []byte, f *fleet.Fleet) string {
	lines := bytes.SplitAfter(data, []byte("\n"))
	if f.NameLine < 1 || f.NameLine > len(lines) {
		return ""
	}
	at := f.NameLine - 1
	name := regexp.MustCompile(`(fleet["']?\s*:\s*["']?)` + regexp.QuoteMeta(f.Name))
	found := name.FindSubmatchIndex(lines[at])
	if found == nil {
		return "" // written in a way that nobody writes it in
	}
	lines[at] = slices.Concat(lines[at][:found[3]], []byte{0}, lines[at][found[1]:])
	return digest(bytes.Join(lines, nil))
}

// digest names bytes.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
