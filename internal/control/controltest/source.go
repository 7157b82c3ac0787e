package controltest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/inbox"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/rig"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// Gone is the content of a file that is no more.
const Gone = "(gone)"

// Missed is that of one that is no more, and was asked for by its path.
const Missed = "(missed)"

// A Source has the fleets that a test saves. It builds them at once, with modules that
// nobody tries.
type Source struct {
	mu      sync.Mutex
	events  *inbox.Inbox[build.Event]
	files   map[string]string // their content, by path
	names   map[string]string // their fleets, by path
	refused error
	warned  []error
	serving map[string]*snapshot.Snapshot // by path
	held    []build.Event
	holding bool
}

// NewSource makes one that has no files.
func NewSource() *Source {
	return &Source{events: inbox.New[build.Event](), files: map[string]string{}, names: map[string]string{}, serving: map[string]*snapshot.Snapshot{}}
}

// Save has files saved together: fleet files, by their paths.
func (s *Source) Save(files map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	saved := build.Saved{}
	var built []build.Event
	for _, path := range slices.Sorted(maps.Keys(files)) {
		file, result := s.read(path, files[path])
		file.Own = true
		saved.Files = append(saved.Files, file)
		saved.Read = append(saved.Read, build.Noticed{Path: path, Noticed: file.Saved, Settled: file.Saved})
		built = append(built, result...)
	}
	slices.SortStableFunc(saved.Files, func(a, b build.File) int { return btoi(b.Gone) - btoi(a.Gone) })
	s.events.Put(saved)
	s.build(built)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// SaveAsItWas has a file be saved with what it held.
func (s *Source) SaveAsItWas(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events.Put(build.Unchanged{Path: path, Fleet: s.names[path]})
}

// set changes how it is from now on.
func (s *Source) set(how func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	how()
}

// Refuse has nothing pass the sandbox from now on, for a reason, or everything, for nil.
func (s *Source) Refuse(why error) {
	s.set(func() { s.refused = why })
}

// Warn has what passes from now on come with a warning, or without, for nil.
func (s *Source) Warn(of error) {
	s.set(func() {
		if s.warned = nil; of != nil {
			s.warned = []error{of}
		}
	})
}

// Serving implements control.Source.
func (s *Source) Serving(path string, snap *snapshot.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving[path] = snap
}

// Served is what the loop last said that the fleet of a file serves, "" for nothing.
func (s *Source) Served(path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if snap := s.serving[path]; snap != nil {
		return snap.ID
	}
	return ""
}

// Hold has what is built from now on not come out until what it returns is called.
func (s *Source) Hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holding = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.holding = false
		s.build(s.held)
		s.held = nil
	}
}

// read takes a file's content, and says what comes of it.
func (s *Source) read(path, text string) (build.File, []build.Event) {
	now := time.Now()
	file := build.File{Path: path, Fleet: s.names[path], Digest: text, Content: text, Saved: now}
	if text == Gone || text == Missed {
		delete(s.files, path)
		delete(s.names, path)
		if file.Gone = true; text == Missed {
			file.Err = fmt.Errorf("%s: the fleet file does not exist", path)
		}
		return file, nil
	}
	s.files[path] = text
	f, err := fleet.Parse(path, []byte(text))
	if err != nil {
		file.Err = err
		return file, nil
	}
	file.Fleet, file.Match, file.MatchLine, file.Body = f.Name, &f.Match, f.MatchLine, build.BodyOf([]byte(text), f)
	file.Pending, file.Trying = true, now
	s.names[path] = f.Name
	built := build.Built{Path: path, Fleet: f.Name, Match: f.Match, Noticed: now, Settled: now, Made: now, Err: s.refused, Warnings: s.warned}
	if built.Err == nil {
		built.Snapshot, built.Err = snapshot.Build(f, modules(f))
	}
	return file, []build.Event{built}
}

// modules are those of a fleet, of which nothing but the name counts.
func modules(f *fleet.Fleet) map[string]*module.Module {
	out := map[string]*module.Module{}
	for _, filter := range f.Filters {
		out[filter.Module] = module.New([]byte(filter.Module))
	}
	return out
}

func (s *Source) build(events []build.Event) {
	if s.holding {
		s.held = append(s.held, events...)
		return
	}
	for _, e := range events {
		s.events.Put(e)
	}
}

// Ready implements control.Source.
func (s *Source) Ready() <-chan struct{} { return s.events.Ready() }

// Events implements control.Source.
func (s *Source) Events() []build.Event { return s.events.Take() }

// Unsettled implements control.Source.
func (s *Source) Unsettled() bool { return s.events.Len() > 0 }

// Again implements control.Source.
func (s *Source) Again(path, by string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	file, built := s.read(path, s.files[path])
	s.events.Put(build.Saved{Files: []build.File{file}})
	for i := range built {
		b := built[i].(build.Built) //nolint:forcetypeassert // read makes nothing else
		b.By = by
		built[i] = b
	}
	s.build(built)
}

// Refused is an error as the sandbox would give it.
func Refused(text string) error { return errors.New(text) }

// YAML is a fleet file: of a listener at a port with one filter, which has a check.
func YAML(name string, port int, more ...string) string {
	return fmt.Sprintf(`fleet: %s
filters: [{name: gate, module: {file: gate.wasm}, listeners: [ingress], checks: [{request: {headers: {token: secret}}, expect: {status: 200}}]}]
resources:
  listeners:%s
%s`, name, rig.Listener("ingress", fmt.Sprint("0.0.0.0:", port), rig.Answers, ""), strings.Join(more, "\n"))
}
