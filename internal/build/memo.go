package build

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// A memo remembers what came of work that depends on nothing but what it is of: fleet files
// that were parsed, modules that are signed, filters that passed the sandbox, revisions that were made. Each has a
// key that names its content. What is under way is not begun a second time: whoever asks
// for it waits, so that what a draft has begun serves the build that follows it.
//
// An error is told to all who wait, and is not remembered: a person may want it tried again.
type memo struct {
	mu    sync.Mutex
	works map[string]*work   // by key: under way, or done and kept
	kept  map[shelf][]string // the keys of those that are done, the newest last
}

// A shelf keeps the newest results of one kind, for one file or, with no path, for all.
type shelf struct {
	kind kind
	path string
}

type kind string

const (
	parsed kind = "parsed" // by file
	passed kind = "passed" // of all files
	// verified are modules with their signatures, of all files.
	verified kind = "verified"
	made     kind = "made" // by file
)

// keep is how many results a shelf holds. Those of a file are wanted for what it holds now;
// filters that passed, and modules that are signed, cost next to nothing.
func (k kind) keep() int {
	if k == passed || k == verified {
		return 1024
	}
	return 1
}

// A work is something that is made once.
type work struct {
	done  chan struct{} // closed when the rest is there
	value any
	err   error
}

// once gives what a key names: from the shelf, from who makes it now, or by making it.
func once[T any](ctx context.Context, m *memo, on shelf, key string, begin func(context.Context) (T, error)) (T, error) {
	var none T
	for {
		w, mine := m.find(key)
		if mine {
			value, err := begin(ctx)
			m.finish(w, on, key, value, err)
			return value, err
		}
		select {
		case <-w.done:
		case <-ctx.Done():
			return none, ctx.Err()
		}
		switch {
		case w.err == nil:
			return w.value.(T), nil
		case !errors.Is(w.err, context.Canceled):
			return none, w.err
		}
		// Given up by who wanted it, which says nothing of what it is of.
	}
}

// find finds a work, or begins one that is the caller's to finish.
func (m *memo) find(key string) (w *work, mine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w := m.works[key]; w != nil {
		return w, false
	}
	if m.works == nil {
		m.works, m.kept = map[string]*work{}, map[shelf][]string{}
	}
	w = &work{done: make(chan struct{})}
	m.works[key] = w
	return w, true
}

func (m *memo) finish(w *work, on shelf, key string, value any, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.value, w.err = value, err
	close(w.done)
	if err != nil {
		delete(m.works, key)
		return
	}
	m.kept[on] = append(m.kept[on], key)
	for len(m.kept[on]) > on.kind.keep() {
		delete(m.works, m.kept[on][0])
		m.kept[on] = m.kept[on][1:]
	}
}

// forget drops a result from its shelf.
func (m *memo) forget(on shelf, key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(m.kept[on], key); i >= 0 {
		m.kept[on] = slices.Delete(m.kept[on], i, i+1)
		delete(m.works, key)
	}
}

// clear drops all results of a file.
func (m *memo) clear(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, on := range []shelf{{parsed, path}, {made, path}} {
		for _, key := range m.kept[on] {
			delete(m.works, key)
		}
		delete(m.kept, on)
	}
}
