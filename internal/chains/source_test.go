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
	changes chan []watch.Change
	news    chan struct{}

	mu      sync.Mutex
	content map[string][]byte
	told    map[string]string // what was given out last
	watched []string
	busy    bool
}

func newFiles(content map[string][]byte) *files {
	return &files{changes: make(chan []watch.Change), news: make(chan struct{}, 1), content: content, told: map[string]string{}}
}

func (f *files) Changes() <-chan []watch.Change { return f.changes }

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

// Same tells nothing: no file is saved as it was.
func (f *files) Same() <-chan string { return nil }

func (f *files) Unsettled() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.busy
}

// run gives out what is new, until ctx ends.
func (f *files) run(ctx context.Context) {
	for {
		select {
		case <-f.news:
		case <-ctx.Done():
			return
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
			select {
			case f.changes <- batch:
			case <-ctx.Done():
				return
			}
		}
		f.mu.Lock()
		f.busy = len(f.news) > 0
		f.mu.Unlock()
	}
}
