package chains

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/waxwing-xds/waxwing/internal/watch"
)

// files are a control.Source without a disk: what is saved has settled.
type files struct {
	news chan struct{}

	mu      sync.Mutex
	content map[string][]byte
	told    map[string]string // what was given out last
	watched []string
	busy    bool
}

func newFiles(content map[string][]byte) *files {
	return &files{news: make(chan struct{}, 1), content: content, told: map[string]string{}}
}

func (f *files) Watch(paths []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watched = slices.Clone(paths)
	maps.DeleteFunc(f.told, func(path, _ string) bool { return !slices.Contains(paths, path) })
	f.wake()
}

func (f *files) save(path string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.content[path] = data
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
		f.mu.Lock()
		var batch []watch.Change
		for _, path := range f.watched {
			if data, ok := f.content[path]; ok && f.told[path] != string(data) {
				f.told[path] = string(data)
				batch = append(batch, watch.Change{Path: path, Data: data, Noticed: time.Now(), Settled: time.Now()})
			}
		}
		f.mu.Unlock()
		if len(batch) > 0 {
			take(batch)
		}
		f.mu.Lock()
		f.busy = len(f.news) > 0
		f.mu.Unlock()
	}
}
