package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/watch"
)

// build makes a revision of a fleet file, beside whoever calls. A newer build of the same
// file ends an older one. Where a module is yet to be read, or can't be, it says so, and
// the file is built when that has changed.
func (f *Files) build(file *fleetFile) File {
	file.giveUp()
	content := file.content // a later change replaces it while it is built
	whole, in, ok, err := f.ready(content)
	out := f.describe(file)
	out.Pending, out.Err = !ok, err
	if !ok || err != nil {
		return out
	}
	file.since = time.Now()
	out.Pending, out.Trying = true, file.since
	newest, attempt := f.newest(file), file.attempt
	result := Built{
		Path: file.path, Fleet: file.name, Match: content.Fleet.Match,
		Noticed: newest.noticed, Settled: newest.settled, By: file.by,
	}
	file.by = ""
	var ctx context.Context
	ctx, file.cancel = context.WithCancel(f.ctx)
	f.work.Go(func() {
		result.Snapshot, result.Warnings, result.Err = f.maker.Revision(ctx, whole, in, f.served(content.Fleet.File))
		result.Made = time.Now()
		f.finished(file, attempt, result) //nolint:contextcheck // what is tried again has a context of its own
		f.maker.forget(whole, in.Modules) // who takes the result has it
	})
	return out
}

// finished says what came of a build, unless it was given up.
func (f *Files) finished(file *fleetFile, attempt int, result Built) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if attempt != file.attempt || errors.Is(result.Err, context.Canceled) {
		return
	}
	file.giveUp() // what is left of it
	if problem := (unjudged)(nil); errors.As(result.Err, &problem) && problem.Again() {
		result.Err = fmt.Errorf("%w; it is tried again in %v", result.Err, f.later(file))
	} else {
		file.failed = 0
	}
	f.queue.Put(result)
}

// unjudged is an error that says nothing of what is built: a sandbox that could not be started.
type unjudged interface {
	error
	Again() bool
}

// How long it is until such a build is tried again: twice as long each time.
const (
	firstAgain = time.Second
	lastAgain  = time.Minute
)

// later builds a file again after a while, unless it is built before, and returns after how long.
func (f *Files) later(file *fleetFile) time.Duration {
	wait := min(firstAgain<<min(file.failed, 10), lastAgain)
	file.failed++
	attempt := file.attempt
	time.AfterFunc(wait, func() {
		if !f.queue.expect(&f.work) {
			return // the server ends
		}
		defer f.queue.came(&f.work)
		f.mu.Lock()
		defer f.mu.Unlock()
		if file.attempt == attempt && file.content != nil {
			f.queue.Put(Saved{Files: []File{f.build(file)}})
		}
	})
	return wait
}

// A draft is of a file that has changed, while it is not known yet whether it changes
// again. Nobody is told what comes of it: the build that follows when the file has settled
// asks the maker for the same, and finds it there or waits for it.
type draft struct {
	module *module.Module // nil of a fleet file, and when it was handed out
	end    context.CancelFunc
}

// draft begins what a build will ask for of a file that may have settled.
func (f *Files) draft(change watch.Change) {
	if f.beside[change.Path] != nil {
		return // a module with a signature that may be half of one is verified when both have settled
	}
	f.forgetDraft(change.Path) // it is of what was in the file before
	d := &draft{}
	var ctx context.Context
	ctx, d.end = context.WithCancel(f.ctx)
	f.drafts[change.Path] = d
	if f.secrets[change.Path] != nil {
		return // what it is of is tried in no time, once it has settled
	}
	if f.modules[change.Path] == nil {
		if content, err := f.maker.Parse(f.ctx, change.Path, change.Data); err == nil {
			f.begin(ctx, content, nil)
		}
		return
	}
	d.module = module.New(change.Data)
	newer := map[string]*module.Module{change.Path: d.module}
	for _, path := range slices.Sorted(maps.Keys(f.files)) {
		if file := f.files[path]; file.content != nil && slices.ContainsFunc(file.content.Fleet.Filters, func(filter fleet.Filter) bool { return filter.Module == change.Path }) {
			f.begin(ctx, file.content, newer)
		}
	}
}

// begin makes a revision of modules that are newer than what has settled.
func (f *Files) begin(ctx context.Context, content *Content, newer map[string]*module.Module) {
	whole, in, ok, err := f.ready(content)
	if !ok || err != nil {
		return // the build says so
	}
	maps.Copy(in.Modules, newer)
	f.work.Go(func() {
		_, _, _ = f.maker.Revision(ctx, whole, in, f.served(content.Fleet.File)) // the build asks again
	})
}

// drafted is the module of a change: that of its draft, if it has the same bytes, so that
// they are not hashed twice.
func (f *Files) drafted(change watch.Change) *module.Module {
	d := f.drafts[change.Path]
	if d == nil || d.module == nil || !bytes.Equal(d.module.Bytes, change.Data) {
		return module.New(change.Data)
	}
	m := d.module
	d.module = nil
	return m
}

// forgetDraft drops the draft of a file that is gone, or of no use any more.
func (f *Files) forgetDraft(path string) {
	if d := f.drafts[path]; d != nil {
		d.end()
		delete(f.drafts, path)
	}
}
