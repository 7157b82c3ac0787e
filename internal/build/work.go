package build

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/watch"
)

// build makes a revision of a fleet file, beside whoever calls. A newer build of the same
// file ends an older one. Where a module is yet to be read, or can't be, it says so, and
// the file is built when that has changed.
func (f *Files) build(file *fleetFile) File {
	file.giveUp()
	content := file.content // a later change replaces it while it is built
	modules, ok, err := f.ready(content)
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
		result.Snapshot, result.Warnings, result.Err = f.maker.Revision(ctx, content, modules, f.served(content.Fleet.File))
		result.Made = time.Now()
		f.finished(file, attempt, result)
		f.maker.forget(content, modules) // who takes the result has it
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
	f.queue.Put(result)
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
	f.forgetDraft(change.Path) // it is of what was in the file before
	d := &draft{}
	var ctx context.Context
	ctx, d.end = context.WithCancel(f.ctx)
	f.drafts[change.Path] = d
	if f.modules[change.Path] == nil {
		if content, err := f.maker.Parse(f.ctx, change.Path, change.Data); err == nil {
			f.begin(ctx, content, nil)
		}
		return
	}
	d.module = module.New(change.Data)
	newer := map[string]*module.Module{change.Path: d.module}
	for _, path := range slices.Sorted(maps.Keys(f.files)) {
		if file := f.files[path]; file.uses(map[string]bool{change.Path: true}) {
			f.begin(ctx, file.content, newer)
		}
	}
}

// begin makes a revision of modules that are newer than what has settled.
func (f *Files) begin(ctx context.Context, content *Content, newer map[string]*module.Module) {
	modules, ok, err := f.ready(content)
	if !ok || err != nil {
		return // the build says so
	}
	maps.Copy(modules, newer)
	f.work.Go(func() {
		_, _, _ = f.maker.Revision(ctx, content, modules, f.served(content.Fleet.File)) // the build asks again
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
