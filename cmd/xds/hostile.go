package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/preflight"
)

// keep writes what a filter failed that nobody thought of to a file in the current folder,
// to be tried by hand. Its headers may be secrets: the file is its owner's alone.
func keep(e *preflight.Error, fleetName string) error {
	r := e.Replay()
	if r == nil {
		return nil
	}
	text, err := r.Text()
	if err != nil {
		return err
	}
	words := []string{"hostile"}
	for _, word := range []string{fleetName, e.Filter} {
		if word != "" {
			words = append(words, word)
		}
	}
	file := strings.Join(words, "-") + ".yaml"
	err = os.Remove(file) // one of before may have another mode
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keeping what the filter failed: %w", err)
	}
	e.Kept = file
	return nil
}

// strictly adds what is not proven of a filter, where that is wanted.
func (t *trial) strictly(r *tried, report preflight.Report) {
	if !t.strict {
		return
	}
	where := r.Module
	if r.Fleet != "" {
		where = fmt.Sprintf("fleet %s, filter %q", r.Fleet, r.Filter)
	}
	if len(r.Asked) == 0 {
		t.fails(fmt.Errorf("%s: it has no checks: nothing says what it is to answer (--strict)", where))
	}
	for _, w := range r.Warnings {
		t.fails(fmt.Errorf("%s (--strict)", w))
	}
	if report.Left > 0 {
		t.fails(fmt.Errorf("%s: it is too slow here to be asked %d hostile requests (--strict)", where, report.Left))
	}
}

// replayed prints what a filter answers to what a file holds.
func (t *trial) replayed(ctx context.Context, sandbox box, file, path, config string, out io.Writer) error {
	answers, err := t.replay(ctx, sandbox, file, path, config)
	for _, answer := range answers {
		if _, err := fmt.Fprintln(out, answer); err != nil {
			return fmt.Errorf("printing what was answered: %w", err)
		}
	}
	return err
}

// replay asks a filter of a fleet file, or a module by itself, what a file holds.
func (t *trial) replay(ctx context.Context, sandbox box, file, path, config string) (answers []string, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("what is to be replayed: %w", err)
	}
	r, err := preflight.ReadReplay(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	p, err := t.plugin(ctx, path, r.Filter, config)
	if err != nil {
		return nil, err
	}
	answers, err = sandbox.Replay(ctx, p, r)
	if e := (*preflight.Error)(nil); errors.As(err, &e) {
		e.Kept = file
		return answers, fmt.Errorf("filter %q: %w", r.Filter, e)
	}
	return answers, err
}

// plugin finds a filter of a fleet file, or makes one of a module by itself.
func (t *trial) plugin(ctx context.Context, path, name, config string) (preflight.Plugin, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return preflight.Plugin{}, err
	}
	if strings.HasSuffix(path, ".wasm") {
		return t.alone(data, config)
	}
	content, err := t.content(ctx, path, data)
	if err != nil {
		return preflight.Plugin{}, err
	}
	for _, filter := range content.Fleet.Filters {
		if filter.Name != name {
			continue
		}
		m, err := t.moduleOf(path, filter)
		if err == nil {
			err = t.maker.Verified(ctx, content.Fleet, filter, m, t.besides(content.Fleet))
		}
		if err != nil {
			return preflight.Plugin{}, err
		}
		return build.PluginOf(content.Fleet, filter, m), nil
	}
	return preflight.Plugin{}, fmt.Errorf("%s: it has no filter %q", path, name)
}

// requestChecks are the checks of the command line: a request for each status.
func requestChecks(requests, statuses []string) ([]fleet.Check, error) {
	if len(requests) != len(statuses) {
		return nil, fmt.Errorf("--request and --expect go together: there are %d and %d of them", len(requests), len(statuses))
	}
	var out []fleet.Check
	for i, text := range requests {
		status, err := strconv.Atoi(statuses[i])
		if err != nil {
			return nil, fmt.Errorf("--expect: %q is not a status", statuses[i])
		}
		c, err := fleet.CheckOf(text, status)
		if err != nil {
			return nil, fmt.Errorf("--request and --expect: %w", err)
		}
		c.Line = i + 1
		out = append(out, c)
	}
	return out, nil
}
