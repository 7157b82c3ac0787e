package chains

import (
	"context"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/waxwing-xds/waxwing/internal/watch"
)

// files are a build.Watcher without a disk, of files and folders: what is saved has settled.
type files struct {
	news chan struct{}

	mu      sync.Mutex
	content map[string][]byte
	told    map[string]string // what was given out last
	gone    map[string]bool   // what was removed since
	watched []string
	busy    bool
}

func newFiles(content map[string][]byte) *files {
	return &files{news: make(chan struct{}, 1), content: content, told: map[string]string{}, gone: map[string]bool{}}
}

func (f *files) Watch(paths []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watched = slices.Clone(paths)
	maps.DeleteFunc(f.told, func(name, _ string) bool { return !f.covers(name) })
	f.wake()
}

// covers is whether a path is watched, or the folder that it is in.
func (f *files) covers(name string) bool {
	return slices.Contains(f.watched, name) || slices.Contains(f.watched, path.Dir(name))
}

func (f *files) save(name string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.content[name] = data
	f.wake()
}

func (f *files) remove(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.content, name)
	delete(f.told, name)
	f.gone[name] = true
	f.wake()
}

func (f *files) wake() {
	f.busy = true
	select {
	case f.news <- struct{}{}:
	default:
	}
}

func (f *files) Unsettled() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.busy
}

// Run gives out what is new, until ctx ends.
func (f *files) Run(ctx context.Context, take func([]watch.Change)) error {
	for {
		select {
		case <-f.news:
		case <-ctx.Done():
			return nil
		}
		if batch := f.batch(); len(batch) > 0 {
			take(batch)
		}
		f.mu.Lock()
		f.busy = len(f.news) > 0
		f.mu.Unlock()
	}
}

// batch is what is new.
func (f *files) batch() (batch []watch.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for _, name := range slices.Sorted(maps.Keys(f.gone)) {
		batch = append(batch, watch.Change{Path: name, Err: fs.ErrNotExist, Noticed: now, Settled: now})
	}
	clear(f.gone)
	for _, name := range slices.Sorted(maps.Keys(f.content)) {
		if data := f.content[name]; f.covers(name) && f.told[name] != string(data) {
			f.told[name] = string(data)
			batch = append(batch, watch.Change{Path: name, Data: data, Noticed: now, Settled: now})
		}
	}
	return batch
}
