// Package build makes revisions of what is on disk: it takes the bytes of fleet files and
// modules when they have settled, and says that a revision of a fleet was built, or why it
// can't be, with file and line. What it has made of some content it does not make again.
package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/waxwing-xds/waxwing/internal/confine"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/preflight"
	"github.com/waxwing-xds/waxwing/internal/signed"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// A Sandbox tries filters before any proxy has them: a *preflight.Sandbox.
type Sandbox interface {
	// Try returns a *preflight.Error that says why no proxy should have a filter.
	Try(ctx context.Context, p preflight.Plugin) (preflight.Report, error)
}

// Inspect is the Sandbox of who wants none: it only looks whether a proxy can load a module.
type Inspect struct{}

// Try looks at a filter's module.
func (Inspect) Try(ctx context.Context, p preflight.Plugin) (preflight.Report, error) {
	if err := preflight.Inspect(ctx, p.Module); err != nil {
		return preflight.Report{}, &preflight.Error{Filter: p.Name, Step: preflight.StepModule, Reason: err.Error()}
	}
	return preflight.Report{}, nil
}

// A Maker makes revisions of the content of files, step by step, and remembers what came of
// each step. It can be used by several goroutines.
type Maker struct {
	// Verify is what the modules of all fleets must be signed by, besides what their files say. It is
	// set before the first use; nil: nothing.
	Verify *fleet.Verify

	sandbox Sandbox
	files   confine.Rule
	memo    memo
	env     func(string) (string, bool) // of configurations that are secrets
}

// NewMaker makes a maker that tries filters in a sandbox, and says which files fleet files may name.
func NewMaker(sandbox Sandbox, files confine.Rule) *Maker {
	return &Maker{sandbox: sandbox, files: files, env: os.LookupEnv}
}

// Content is a fleet file that could be parsed.
type Content struct {
	Fleet  *fleet.Fleet
	key    string   // names its path and its bytes
	beside []string // the paths of signatures and keys that its modules are verified by
}

// Parse reads a fleet file. Its error has the file and the line.
func (m *Maker) Parse(ctx context.Context, path string, data []byte) (*Content, error) {
	key := nameOf(string(parsed), path, string(data))
	return once(ctx, &m.memo, shelf{parsed, path}, key, func(context.Context) (*Content, error) {
		f, err := fleet.Reader{Files: m.files}.Parse(path, data)
		if err != nil {
			return nil, err
		}
		return &Content{f, key, m.Beside(f)}, nil
	})
}

// Configured is a fleet file with the configurations that are secrets; file reads one. The error
// has a line for each that can't be read.
func (m *Maker) Configured(c *Content, file func(path string) ([]byte, error)) (*Content, error) {
	parts := []string{c.key}
	f, err := c.Fleet.Configured(func(from fleet.ConfigFrom) ([]byte, error) {
		text, err := from.Read(file, m.env)
		parts = append(parts, string(text))
		return text, err
	})
	if err != nil {
		return nil, err
	}
	return &Content{f, nameOf(parts...), c.beside}, nil
}

// Try tries a filter, unless it has passed as it is.
func (m *Maker) Try(ctx context.Context, p preflight.Plugin) (preflight.Report, error) {
	key, err := p.Key()
	if err != nil {
		return preflight.Report{}, err
	}
	// The key says nothing of the lines that checks stand in: the same filter may be in
	// another file, or further down. So they are counted, and the answer is translated.
	counted := p
	counted.Checks = slices.Clone(p.Checks)
	for i := range counted.Checks {
		counted.Checks[i].Line = i + 1
	}
	report, err := once(ctx, &m.memo, shelf{kind: passed}, key, func(ctx context.Context) (preflight.Report, error) {
		return m.sandbox.Try(ctx, counted)
	})
	report.Outcomes = slices.Clone(report.Outcomes)
	for i, o := range report.Outcomes {
		report.Outcomes[i].Line, report.Outcomes[i].Err = p.Checks[o.Line-1].Line, inFile(o.Err, p.Checks)
	}
	if refused := (*preflight.Error)(nil); errors.As(err, &refused) && refused.Line > 0 {
		return report, inFile(refused, p.Checks)
	}
	if len(report.Warnings) > 0 {
		m.memo.forget(shelf{kind: passed}, key) // another may be served when it comes again
	}
	return report, err
}

// inFile is an error about a check that was counted, at its line of the file.
func inFile(e *preflight.Error, checks []fleet.Check) *preflight.Error {
	if e == nil {
		return nil
	}
	here := *e
	here.Line = checks[e.Line-1].Line
	return &here
}

// Inputs are what a revision is made of besides its fleet file, by path.
type Inputs struct {
	Modules map[string]*module.Module
	Beside  signed.Files // what they are verified by
}

// Revision makes a revision of a fleet file and its modules, which it has by path, if these are
// signed as they must be, and its filters pass the sandbox. Its error has a line for each that does
// not. What a filter is no worse in than the one of its name among those that are served is a warning.
func (m *Maker) Revision(ctx context.Context, c *Content, in Inputs, served *snapshot.Snapshot) (s *snapshot.Snapshot, warnings []error, err error) {
	modules := in.Modules
	if err = m.verifyAll(ctx, c.Fleet, modules, in.Beside); err != nil {
		return nil, nil, err // before any of it runs, be it in the sandbox
	}
	if warnings, err = m.tryAll(ctx, c.Fleet, modules, served); err != nil {
		return nil, nil, err
	}
	s, err = once(ctx, &m.memo, shelf{made, c.Fleet.File}, revisionKey(c, modules), func(context.Context) (*snapshot.Snapshot, error) {
		s, err := snapshot.Build(c.Fleet, modules)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Fleet.File, err)
		}
		return s, nil
	})
	if err == nil {
		err = retyped(c.Fleet, s, served)
	}
	if err != nil {
		return nil, warnings, err
	}
	return s, warnings, nil
}

// retyped refuses filters that no proxy would take beside what is served.
func retyped(f *fleet.Fleet, s, served *snapshot.Snapshot) error {
	filters, err := s.Retyped(served)
	wrong := []error{err}
	for _, r := range filters {
		why := fmt.Sprintf("is of the type %s, and of %s in what is served: an Envoy takes no other type by a name that it has", r.Is, r.Was)
		if r.Is == r.Was {
			why = "asks for something (a secret, routes) that it does not ask for in what is served: an Envoy begins to ask for nothing new by a name that it has"
		}
		wrong = append(wrong, &fleet.Error{File: f.File, Line: f.LineOfFilter(r.Name), Msg: fmt.Sprintf(
			"filter %q %s, and something in this file or in a bootstrap may go by the name. Give it another one", r.Name, why)})
	}
	return errors.Join(wrong...)
}

// forget drops a revision that its user holds on to.
func (m *Maker) forget(c *Content, modules map[string]*module.Module) {
	m.memo.forget(shelf{made, c.Fleet.File}, revisionKey(c, modules))
}

func (m *Maker) tryAll(ctx context.Context, f *fleet.Fleet, modules map[string]*module.Module, served *snapshot.Snapshot) (warnings []error, err error) {
	var wrong []error
	for _, filter := range f.Filters {
		p := PluginOf(f, filter, modules[filter.Module])
		p.Served = servedAs(filter.Name, served)
		report, err := m.Try(ctx, p)
		if refused := (*preflight.Error)(nil); errors.As(err, &refused) {
			wrong = append(wrong, refused.At(f, filter))
		} else if err != nil {
			return nil, err
		}
		for _, w := range report.Warnings {
			warnings = append(warnings, w.At(f, filter))
		}
	}
	return warnings, errors.Join(wrong...)
}

// PluginOf is a filter of a fleet file with its module, for the sandbox. Checks whose route
// switches the filter off are for proxies only, which know of routes.
func PluginOf(of *fleet.Fleet, f fleet.Filter, m *module.Module) preflight.Plugin {
	p := preflight.Plugin{Name: f.Name, Config: f.Plugin, Module: m, Callouts: f.Callouts, Hostile: f.Hostile, Limits: f.Preflight, Secret: f.Secret()}
	for _, c := range f.Checks {
		if of.SwitchedOff(f, c) {
			p.Routed = append(p.Routed, c)
		} else {
			p.Checks = append(p.Checks, c)
		}
	}
	return p
}

func revisionKey(c *Content, modules map[string]*module.Module) string {
	parts := []string{string(made), c.key}
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		parts = append(parts, path, modules[path].Digest)
	}
	return nameOf(parts...)
}

// nameOf names strings by their content.
func nameOf(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}
