package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/confine"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/preflight"
	"github.com/waxwing-xds/waxwing/internal/signed"
)

// trial is what `xds check` does and finds.
type trial struct {
	maker   *build.Maker                   // the server's way from files to revisions
	may     confine.Rule                   // which modules may be read
	beside  func(path string) confine.Rule // and which of their signatures and keys
	wrong   []error
	files   map[string]string // of the fleets, by their names
	claims  []api.Claim       // of the fleets
	verbose bool              // each check is told of
	strict  bool              // what is not proven is wrong
	checks  []fleet.Check     // of a module by itself
	only    selection         // of all checks
	unread  []string          // what is wrong besides filters

	Filters []tried `json:"filters"`
	// Unproven is through which listeners proxies can't ask the checks, and why; and which
	// checks the configuration of a listener answers itself.
	Unproven []string `json:"unproven,omitempty"`
	Errors   []string `json:"errors,omitempty"` // each with its file and line
	// Moves are the connected proxies of a running server that would change fleets.
	Moves []api.Move `json:"moves,omitempty"`
}

// tried is one filter.
type tried struct {
	Fleet        string         `json:"fleet,omitempty"`
	Filter       string         `json:"filter,omitempty"`
	Module       string         `json:"module"`
	Digest       string         `json:"digest"`
	Passed       bool           `json:"passed"`
	Step         preflight.Step `json:"step,omitempty"` // where it was refused
	Error        string         `json:"error,omitempty"`
	Milliseconds float64        `json:"milliseconds"`
	Unjudged     bool           `json:"unjudged,omitempty"` // by the sandbox
	Hostile      int            `json:"hostile"`            // requests that nobody thought of
	Warnings     []string       `json:"warnings,omitempty"`
	Asked        []asked        `json:"asked"`
	Routed       []asked        `json:"routed,omitempty"` // their routes switch the filter off
	// Coverage is what the checks reached, where the filter was started.
	Coverage *preflight.Coverage `json:"coverage,omitempty"`
}

// asked is a check, without its headers: they may be secrets.
type asked struct {
	Name    string `json:"name,omitempty"`
	Line    int    `json:"line"`
	Request string `json:"request"`
	Expect  int    `json:"expect"` // of several statuses the first
	Status  string `json:"status"` // all that are expected: "4xx or 200"
	Proof   string `json:"proof"`  // what of it is asked where
	// Result is what came of it here, and Error why it failed or was skipped.
	Result       result  `json:"result"`
	Error        string  `json:"error,omitempty"`
	Milliseconds float64 `json:"milliseconds,omitempty"`
}

// all tries what a path names. Its error is that it was interrupted; what is
// wrong with the filters is collected.
func (t *trial) all(ctx context.Context, path, pluginConfig string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		t.add(err)
		return nil
	case info.IsDir():
		return t.folder(ctx, path)
	case filepath.Ext(path) == ".wasm":
		return t.module(ctx, path, pluginConfig)
	}
	return t.fleet(ctx, path)
}

// add notes what is wrong besides filters.
func (t *trial) add(err error) {
	t.unread = append(t.unread, err.Error())
	t.fails(err)
}

// fails notes what is wrong.
func (t *trial) fails(err error) {
	t.wrong = append(t.wrong, err)
	t.Errors = append(t.Errors, strings.Split(err.Error(), "\n")...)
}

func (t *trial) folder(ctx context.Context, path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		t.add(err)
	}
	found := false
	for _, entry := range entries {
		name := entry.Name()
		if ext := filepath.Ext(name); strings.HasPrefix(name, ".") || ext != ".yaml" && ext != ".yml" {
			continue
		}
		found = true
		if err := t.fleet(ctx, filepath.Join(path, name)); err != nil {
			return err
		}
	}
	if !found && err == nil {
		t.add(fmt.Errorf("%s: no fleet file (*.yaml, *.yml) is in it", path))
	}
	return nil
}

func (t *trial) fleet(ctx context.Context, path string) error {
	data, err := confine.Rule{MaxBytes: fleet.MaxBytes}.ReadFile(path)
	if err != nil {
		t.add(err)
		return nil
	}
	content, err := t.content(ctx, path, data)
	if err != nil {
		t.add(err)
		return nil
	}
	f := content.Fleet
	if other := t.files[f.Name]; other != "" {
		t.add(fmt.Errorf("%s: fleet %q is that of %s already", path, f.Name, other))
		return nil
	}
	t.files[f.Name] = path
	t.claims = append(t.claims, api.Claim{Fleet: f.Name, File: path, Match: matchOf(f.Match)})
	modules, wrong := map[string]*module.Module{}, len(t.wrong)
	beside := t.besides(f)
	for _, filter := range f.Filters {
		p := build.PluginOf(f, filter, nil)
		if !t.only.choose(&p) {
			continue
		}
		if p.Module, err = t.moduleOf(path, filter); err != nil {
			t.add(err)
			continue
		}
		modules[filter.Module] = p.Module
		if err := t.maker.Verified(ctx, f, filter, p.Module, beside); err != nil {
			t.add(err)
			continue
		}
		err = t.try(ctx, tried{Fleet: f.Name, Filter: filter.Name, Module: filter.Module}, p, func(e *preflight.Error) error { return e.At(f, filter) })
		if err != nil {
			return err
		}
	}
	if len(t.wrong) > wrong || t.only.pattern != nil {
		return nil
	}
	made, _, err := t.maker.Revision(ctx, content, build.Inputs{Modules: modules, Beside: beside}, nil) // no filter is tried again
	if err != nil {
		t.add(err)
		return ctx.Err()
	}
	for _, why := range made.UnaskedListeners() {
		t.Unproven = append(t.Unproven, fmt.Sprintf("fleet %s: the checks can't be asked through %s", f.Name, why))
	}
	for _, a := range made.OwnAnswers() {
		t.Unproven = append(t.Unproven, fmt.Sprintf("%s:%d: %s", path, a.Line, a.Text))
	}
	return nil
}

// content is what is in a fleet file, with the configurations that are secrets.
func (t *trial) content(ctx context.Context, path string, data []byte) (*build.Content, error) {
	content, err := t.maker.Parse(ctx, path, data)
	if err != nil {
		return nil, err
	}
	return t.maker.Configured(content, t.may.ReadFile)
}

// moduleOf reads the module of a filter of a fleet file.
func (t *trial) moduleOf(path string, filter fleet.Filter) (*module.Module, error) {
	code, err := t.may.ReadFile(filter.Module)
	if err != nil {
		return nil, &fleet.Error{File: path, Line: filter.ModuleLine, Msg: fmt.Sprintf("module: %v", err)}
	}
	return module.New(code), nil
}

// besides reads what the modules of a fleet are verified by.
func (t *trial) besides(f *fleet.Fleet) signed.Files {
	files := signed.Files{}
	for _, path := range t.maker.Beside(f) {
		data, err := t.beside(path).ReadFile(path)
		files[path] = signed.File{Data: data, Err: err}
	}
	return files
}

// module tries a module by itself.
func (t *trial) module(ctx context.Context, path, pluginConfig string) error {
	code, err := confine.Rule{MaxBytes: t.may.MaxBytes, Setting: t.may.Setting}.ReadFile(path)
	if err != nil {
		t.add(err)
		return nil
	}
	p, err := t.alone(code, pluginConfig)
	if err != nil || !t.only.choose(&p) {
		return err
	}
	return t.try(ctx, tried{Module: path}, p, func(e *preflight.Error) error { return fmt.Errorf("%s: %w", path, e) })
}

// alone is a module by itself, as a filter.
func (t *trial) alone(code []byte, pluginConfig string) (preflight.Plugin, error) {
	packed, err := anypb.New(wrapperspb.String(pluginConfig))
	if err != nil {
		return preflight.Plugin{}, usageError{fmt.Errorf("--plugin-config: %w", err)}
	}
	return preflight.Plugin{Module: module.New(code), Config: &wasmv3.PluginConfig{Configuration: packed}, Checks: t.checks}, nil
}

// try tries one filter, and keeps what came of it. at says where an error is.
func (t *trial) try(ctx context.Context, r tried, p preflight.Plugin, at func(*preflight.Error) error) error {
	r.Digest, p.All = p.Module.Digest, true
	began := time.Now()
	report, err := t.maker.Try(ctx, p)
	r.Milliseconds = milliseconds(time.Since(began))
	r.Passed = err == nil
	r.Hostile, r.Unjudged = report.Hostile, report.Unjudged
	r.Asked, r.Routed = resultsOf(p, report), routedOf(p)
	if report.Coverage.Callbacks != nil {
		r.Coverage = &report.Coverage
	}
	for _, w := range report.Warnings {
		if err := keep(w, r.Fleet); err != nil {
			return err
		}
		r.Warnings = append(r.Warnings, at(w).Error())
	}
	t.strictly(&r, report)
	if refused := (*preflight.Error)(nil); errors.As(err, &refused) {
		if err := keep(refused, r.Fleet); err != nil {
			return err
		}
		r.Step, r.Error = refused.Step, at(refused).Error()
		t.refuses(refused, report, at)
	} else if err != nil {
		return err
	}
	t.Filters = append(t.Filters, r)
	return nil
}

// refuses notes why a filter is refused: of checks each that fails.
func (t *trial) refuses(refused *preflight.Error, report preflight.Report, at func(*preflight.Error) error) {
	if refused.Step != preflight.StepCheck {
		t.fails(at(refused))
		return
	}
	for _, o := range report.Outcomes {
		if o.Err != nil {
			t.fails(at(o.Err))
		}
	}
}

func (t *trial) table(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FLEET\tFILTER\tMODULE\tVERDICT\tTIME\tASKED")
	for _, r := range t.Filters {
		verdict := "passed"
		switch {
		case !r.Passed:
			verdict = "refused: " + string(r.Step)
		case r.Unjudged:
			verdict = "not judged"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%.0fms\t%s\n", orDash(r.Fleet), orDash(r.Filter),
			filepath.Base(r.Module)+" ("+r.Digest[:12]+")", verdict, r.Milliseconds, r.asked())
	}
	if len(t.Filters) == 0 {
		fmt.Fprintln(table, "(no filter was tried)")
	}
	if err := table.Flush(); err != nil {
		return err
	}
	t.results(w)
	for _, r := range t.Filters {
		for _, warning := range r.Warnings {
			fmt.Fprintln(w, "warning:", warning)
		}
	}
	for _, why := range t.Unproven {
		fmt.Fprintln(w, "not proven:", why)
	}
	return nil
}

// asked says what a filter was asked.
func (r tried) asked() string {
	var out []string
	for _, a := range r.Asked {
		out = append(out, fmt.Sprintf("%s=%s", a.Request, a.Status))
	}
	if len(out) == 0 {
		out = append(out, "not asked anything")
	}
	for _, a := range r.Routed {
		out = append(out, fmt.Sprintf("%s=%d by proxies only (its route switches the filter off)", a.Request, a.Expect))
	}
	if r.Hostile > 0 {
		out = append(out, fmt.Sprintf("%d hostile", r.Hostile))
	}
	return strings.Join(out, ", ")
}
