// Package watch turns files on disk into settled bytes: however a file is saved
// (renamed over, rewritten in place, deleted and made again, swapped behind a
// symbolic link as in a Kubernetes ConfigMap), its new content comes out once,
// whole, when it has been left alone for a moment.
package watch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/waxwing-xds/waxwing/internal/confine"
)

// rescan is how often everything is looked at even if nothing was reported: some
// file systems (NFS, some container mounts) report nothing.
const rescan = 10 * time.Second

// grain is how late a timer of Go's may be: a process with nothing to do waits in
// whole milliseconds. A wait ends with a nap, which is exact.
const grain = time.Millisecond

// A Change is the new content of a file.
type Change struct {
	Path string // as it was given to Watch, or found in a folder that was
	Data []byte
	// Err says why there is no content: errors.Is(Err, fs.ErrNotExist) for a file that is gone.
	Err error
	// Draft says that the file has not settled: it may change again, and what is in
	// it now is only for work that can be thrown away. The settled change follows.
	Draft bool
	// Same says that the file was saved and holds what it held before: it is for people,
	// and has no Data.
	Same bool
	// Folder says that there is a folder now where something else was told of before. Its files follow.
	Folder  bool
	Noticed time.Time // when the first sign of the change came
	Settled time.Time // when it was taken
}

// A Watcher watches files. Create it with New, then Run it.
type Watcher struct {
	// Rule says which files may be read, by their paths. It is set before Run; nil: any.
	Rule func(path string) confine.Rule

	log      *slog.Logger
	settings Settings
	fs       *fsnotify.Watcher
	take     func([]Change)

	mu        sync.Mutex
	wanted    []string      // the newest set, until Run takes it
	set       chan struct{} // has a token while there is one
	unsettled bool

	// Owned by Run.
	targets map[string]*target // by path
	watched map[string]bool    // folders, absolute
}

// target is a file, or a folder whose YAML files are targets of their own.
type target struct {
	path    string
	settler settler
	trail   []string
	// inFolder is the folder that the file was found in, "" for one that was asked for.
	inFolder string
	first    bool // of those that were asked for
	folder   bool
	seen     bool
	saved    bool              // the file system reported something of it
	last     [sha256.Size]byte // of the content that was last told; zero for none
}

// New makes a watcher of nothing.
func New(log *slog.Logger, settings Settings) (*Watcher, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching files: %w", err)
	}
	return &Watcher{
		log: log, settings: settings, fs: w,
		set:     make(chan struct{}, 1),
		targets: map[string]*target{}, watched: map[string]bool{},
	}, nil
}

func (w *Watcher) rule(path string) confine.Rule {
	if w.Rule == nil {
		return confine.Rule{}
	}
	return w.Rule(path)
}

// Watch sets which files and folders are watched; it may be called again at any
// time with another set. The first may be a folder, of which the files *.yaml and *.yml are
// watched; that another is none is told as what is wrong with it.
func (w *Watcher) Watch(paths []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wanted = slices.Clone(paths)
	w.unsettled = true
	select {
	case w.set <- struct{}{}:
	default:
	}
}

// Unsettled reports whether there may be a change that is yet to be taken.
func (w *Watcher) Unsettled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unsettled
}

// expect notes whether a file is due, for those who ask.
func (w *Watcher) expect(due bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unsettled = due || len(w.set) > 0
}

func (w *Watcher) newest() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wanted
}

// Run watches until the context ends. Changes go to take, first of all the content of
// each file as it is when Watch names it; files that were saved together go together.
//
// What can happen: the set changes; the file system reports something, or that it lost
// count; a file is due; nothing was reported for a while.
func (w *Watcher) Run(ctx context.Context, take func([]Change)) error {
	w.take = take
	defer w.fs.Close() //nolint:errcheck // ends with the process
	for {
		begin := time.Now()
		wait, due := w.next(begin)
		w.expect(due)
		timer := time.NewTimer(wait - grain)
		select {
		case <-w.set:
			w.replace(w.newest())
		case event, ok := <-w.fs.Events:
			if !ok {
				return errors.New("watching files: the file system's reports ended")
			}
			w.notice(event)
		case err := <-w.fs.Errors:
			w.log.Warn("watching files: looking at all of them again", "error", err)
			w.touchAll()
		case <-timer.C:
			nap(wait - time.Since(begin))
			w.takeDue()
		case <-ctx.Done():
			return nil
		}
		timer.Stop()
	}
}

// next is how long to wait for the files that are due, or a draft, or a rescan.
func (w *Watcher) next(now time.Time) (wait time.Duration, due bool) {
	wait = rescan
	at, due := w.due()
	if due {
		wait = min(wait, max(0, at.Sub(now)))
	}
	for _, t := range w.targets {
		if at, ok := t.settler.draft(); ok {
			wait = min(wait, max(0, at.Sub(now)))
		}
	}
	return wait, due
}

// due is when the files that wait are taken: together, when the last of them has been
// left alone. A module and a fleet file that are saved one after the other are one
// change, and what is between them is no revision. None waits past its maximum delay.
func (w *Watcher) due() (at time.Time, ok bool) {
	var latest time.Time
	for _, t := range w.targets {
		own, waiting := t.settler.due()
		if !waiting {
			continue
		}
		if own.After(at) {
			at = own
		}
		if l := t.settler.latest(); !ok || l.Before(latest) {
			latest = l
		}
		ok = true
	}
	if at.After(latest) {
		return latest, ok
	}
	return at, ok
}

// replace takes a new set of paths; what stays keeps its state.
func (w *Watcher) replace(paths []string) {
	for path, t := range w.targets {
		if t.inFolder == "" && !slices.Contains(paths, path) {
			w.drop(path)
		}
	}
	for _, path := range paths {
		if t := w.targets[path]; t != nil {
			t.inFolder = ""
			continue
		}
		w.add(path, "")
	}
	for _, path := range paths {
		w.targets[path].first = path == paths[0]
	}
	w.updateWatches()
}

func (w *Watcher) add(path, inFolder string) {
	t := &target{path: path, inFolder: inFolder, settler: settler{Settings: w.settings}}
	t.trail = trail(absolute(path))
	t.settler.touch(time.Now())
	w.targets[path] = t
}

// drop forgets a target and, of a folder, its files.
func (w *Watcher) drop(path string) {
	delete(w.targets, path)
	for other, t := range w.targets {
		if t.inFolder == path {
			delete(w.targets, other)
		}
	}
}

// notice marks the targets that an event may concern.
func (w *Watcher) notice(event fsnotify.Event) {
	if event.Op == fsnotify.Chmod {
		return
	}
	for _, t := range w.targets {
		if w.concerns(t, event.Name) {
			t.saved = true
			t.settler.touch(time.Now())
		}
	}
}

func (w *Watcher) concerns(t *target, name string) bool {
	if slices.Contains(t.trail, name) {
		return true
	}
	if t.folder && filepath.Dir(name) == t.trail[len(t.trail)-1] {
		return isFleetFile(name)
	}
	// A watched folder itself went or came.
	return w.watched[name] && slices.ContainsFunc(t.trail, func(p string) bool { return filepath.Dir(p) == name })
}

func (w *Watcher) touchAll() {
	for _, t := range w.targets {
		t.settler.touch(time.Now())
		t.settler.drafted = true // there is most likely nothing new
	}
}

// takeDue reads what is due; with nothing waiting, the wait was a rescan's.
func (w *Watcher) takeDue() {
	now := time.Now()
	at, waiting := w.due()
	if !waiting {
		w.touchAll()
		return
	}
	if at.After(now) {
		w.drafts(now)
		return
	}
	var due []*target
	for _, t := range w.targets {
		if own, ok := t.settler.due(); ok && !own.After(now) {
			due = append(due, t)
			t.trail = trail(absolute(t.path))
		}
	}
	slices.SortFunc(due, func(a, b *target) int { return strings.Compare(a.path, b.path) })
	w.updateWatches() // before reading: a save in between is noticed again
	w.readAll(due)
}

// readAll reads targets and tells what is new. Where one is half-written, all wait for it.
func (w *Watcher) readAll(due []*target) {
	var changes []Change
	for _, t := range due {
		info, err := os.Stat(t.path)
		if t.folder = err == nil && info.IsDir() && (t.first || t.inFolder != ""); t.folder {
			if t.seen {
				changes = append(changes, Change{Path: t.path, Folder: true, Noticed: t.settler.first})
			}
			continue
		}
		data, whole, err := w.read(t.path)
		if !whole && t.settler.again(time.Now()) {
			return
		}
		changes = append(changes, Change{Path: t.path, Data: data, Err: err, Noticed: t.settler.first})
	}
	for _, t := range due {
		t.settler.done()
		if t.folder {
			w.list(t)
		}
	}
	changes = slices.DeleteFunc(changes, func(c Change) bool { return !w.isNew(c) })
	for i := range changes {
		changes[i].Settled = time.Now()
	}
	if changes = append(w.same(due, changes), changes...); len(changes) > 0 {
		w.take(changes)
	}
}

// same are the files that were saved and hold what they held.
func (w *Watcher) same(due []*target, changes []Change) (same []Change) {
	for _, t := range due {
		news := slices.ContainsFunc(changes, func(c Change) bool { return c.Path == t.path })
		if t.saved && t.seen && !t.folder && !news {
			same = append(same, Change{Path: t.path, Same: true})
		}
		t.saved = false
	}
	return same
}

// isNew notes what a file holds, and reports whether it held something else before.
func (w *Watcher) isNew(c Change) bool {
	t := w.targets[c.Path]
	sum := sha256.Sum256(c.Data)
	switch {
	case c.Folder:
		sum = sha256.Sum256([]byte("folder"))
	case c.Err != nil:
		sum = sha256.Sum256([]byte("error: " + c.Err.Error()))
	}
	if t.inFolder != "" && errors.Is(c.Err, fs.ErrNotExist) && !isLink(t.path) {
		delete(w.targets, t.path) // its folder finds it again
	}
	if t.seen && sum == t.last {
		return false
	}
	t.seen, t.last = true, sum
	return true
}

// isLink is whether there is a symbolic link. One that leads nowhere is a file that is gone, but
// it may come back where the link leads to, of which its folder knows nothing.
func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// drafts reads the targets that may be read for a draft.
func (w *Watcher) drafts(now time.Time) {
	for _, t := range w.targets {
		if at, ok := t.settler.draft(); ok && !at.After(now) {
			w.draft(t)
		}
	}
}

// draft reads a target that may change again, and tells what is new if it is whole.
func (w *Watcher) draft(t *target) {
	t.settler.drafted = true
	data, whole, err := w.read(t.path)
	if !whole || err != nil || t.seen && sha256.Sum256(data) == t.last {
		return // there is nothing to begin with, or nothing new; readAll tells the error
	}
	w.take([]Change{{Path: t.path, Data: data, Draft: true, Noticed: t.settler.first}})
}

// list finds the files of a folder.
func (w *Watcher) list(t *target) {
	entries, err := os.ReadDir(t.path)
	if err != nil {
		w.log.Error("reading a folder of fleet files: its files are as they were", "folder", t.path, "error", err)
		return
	}
	for _, entry := range entries {
		path := filepath.Join(t.path, entry.Name())
		if isFleetFile(path) && w.targets[path] == nil {
			w.add(path, t.path)
		}
	}
	w.updateWatches()
}

// isFleetFile reports whether a name in a folder is a fleet file's: editors'
// and Kubernetes' own files begin with a dot.
func isFleetFile(path string) bool {
	name := filepath.Base(path)
	return !strings.HasPrefix(name, ".") && (strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml"))
}

// updateWatches watches the folder of each path on each trail, and of a folder
// the folder itself.
func (w *Watcher) updateWatches() {
	wanted := map[string]bool{}
	for _, t := range w.targets {
		for _, p := range t.trail {
			wanted[filepath.Dir(p)] = true
		}
		if t.folder {
			wanted[t.trail[len(t.trail)-1]] = true
		}
	}
	for dir := range w.watched {
		if !wanted[dir] {
			_ = w.fs.Remove(dir) // fails for a folder that is gone, and unwatched with that
			delete(w.watched, dir)
		}
	}
	for dir := range wanted {
		// Also for a folder that is watched already: it may be another one by now.
		if err := w.fs.Add(dir); err == nil {
			w.watched[dir] = true
		} else if !errors.Is(err, fs.ErrNotExist) {
			w.log.Error("watching a folder: changes in it are seen late", "folder", dir, "within", rescan, "error", err)
		}
	}
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path // no working directory: a relative path leads nowhere
}
