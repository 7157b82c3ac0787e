package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/waxwing-xds/waxwing/internal/inbox"
	"github.com/waxwing-xds/waxwing/internal/watch"
)

// maxFiles is how many fleet files a server reads. What it keeps of each that is not read is a name.
const maxFiles = 1000

// A Watcher is where the bytes of files come from: a *watch.Watcher.
type Watcher interface {
	// Watch sets which files and folders are watched.
	Watch(paths []string)
	// Run tells of changes until the context ends, one batch at a time.
	Run(ctx context.Context, take func([]watch.Change)) error
	// Unsettled reports whether there may be a change that is not taken.
	Unsettled() bool
}

// Files are fleet files and their modules on disk, and what is built of them. Create one
// with NewFiles, then Run it; what it says comes out of Events.
type Files struct {
	root    string // path of the fleet file, or of a folder of them
	watcher Watcher
	maker   *Maker
	queue   queue
	serving sync.Map // *snapshot.Snapshot by path

	ctx  context.Context // of what is tried: it ends with Run
	end  context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex             // held while files are read, and not while something is tried
	files   map[string]*fleetFile  // by path
	modules map[string]*moduleFile // by path
	secrets map[string]*secretFile // by path
	beside  map[string]*besideFile // by path
	drafts  map[string]*draft      // the newest, by path
}

// NewFiles makes what watches a fleet file, or a folder of them, and their modules.
func NewFiles(root string, watcher Watcher, maker *Maker) *Files {
	f := &Files{
		root: root, watcher: watcher, maker: maker, queue: queue{Inbox: inbox.New[Event]()},
		files: map[string]*fleetFile{}, modules: map[string]*moduleFile{}, secrets: map[string]*secretFile{}, beside: map[string]*besideFile{},
		drafts: map[string]*draft{},
	}
	f.ctx, f.end = context.WithCancel(context.Background())
	watcher.Watch([]string{root})
	return f
}

// Run watches until the context ends, and then gives up what is being built.
func (f *Files) Run(ctx context.Context) error {
	defer f.stop()
	return f.watcher.Run(ctx, f.Take)
}

func (f *Files) stop() {
	f.end()
	f.queue.close()
	f.work.Wait()
}

// Ready has a token while there are Events to take.
func (f *Files) Ready() <-chan struct{} { return f.queue.Ready() }

// Events are those since the last call, in the order in which they came to pass.
func (f *Files) Events() []Event { return f.queue.Take() }

// Unsettled reports whether there may be an event that is not there yet, or is not taken,
// of something other than a build under way.
func (f *Files) Unsettled() bool { return f.watcher.Unsettled() || f.queue.waiting() }

// Again builds a fleet file once more, for somebody. It returns at once.
func (f *Files) Again(path, by string) {
	if !f.queue.expect(&f.work) {
		return // the server ends
	}
	go func() {
		defer f.queue.came(&f.work)
		f.mu.Lock()
		defer f.mu.Unlock()
		if file := f.files[path]; file != nil && file.content != nil {
			file.by = by
			f.queue.Put(Saved{Files: []File{f.build(file)}})
		}
	}()
}

// Take takes files that have changed together.
func (f *Files) Take(changes []watch.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changes = slices.DeleteFunc(slices.Clone(changes), f.takeSmall)
	if len(changes) > 0 {
		f.save(changes)
	}
}

// takeSmall takes what is no new content of a file, and reports whether it was that.
func (f *Files) takeSmall(change watch.Change) bool {
	switch {
	case change.Folder && f.files[change.Path] == nil: // its files follow
	case change.Same:
		e := Unchanged{Path: change.Path}
		if file := f.files[change.Path]; file != nil {
			e.Fleet = file.name
		}
		f.queue.Put(e)
	case change.Draft:
		f.draft(change)
	default:
		return !f.isPart(change.Path) && !f.isFleetFile(change.Path) // a module that no file names any more
	}
	return true
}

func (f *Files) isFleetFile(path string) bool {
	ext := filepath.Ext(path)
	return path == f.root || ext == ".yaml" || ext == ".yml"
}

// save takes new content of files: it reads them all, finds out which fleet is whose, and
// then builds what has changed.
func (f *Files) save(changes []watch.Change) {
	slices.SortStableFunc(changes, func(a, b watch.Change) int { return order(a) - order(b) })
	var event Saved
	var batch []*fleetFile
	parts := map[string]bool{} // modules, secrets, and what is beside them
	for _, change := range changes {
		if change.Err == nil && !change.Folder {
			event.Read = append(event.Read, Noticed{change.Path, change.Noticed, change.Settled})
		}
		if f.readPart(change) {
			parts[change.Path] = true
		} else {
			batch = append(batch, f.readFile(change))
		}
	}
	batch = append(batch, f.settleNames(batch)...)
	f.watchModules()
	for _, file := range batch {
		event.Files = append(event.Files, f.taken(file))
	}
	for _, path := range slices.Sorted(maps.Keys(f.files)) { // those of which these are parts
		if file := f.files[path]; !slices.Contains(batch, file) && file.uses(parts) {
			event.Files = append(event.Files, f.build(file))
		}
	}
	f.queue.Put(event)
}

// order has what is gone come first, so that a fleet may go from one file to another.
func order(change watch.Change) int {
	if change.Folder || errors.Is(change.Err, fs.ErrNotExist) {
		return 0
	}
	return 1
}

// readFile takes what is in a fleet file now, and forgets what was built of it.
func (f *Files) readFile(change watch.Change) *fleetFile {
	file := f.files[change.Path]
	if file == nil {
		if len(f.files) >= maxFiles && change.Err == nil {
			change.Data, change.Err = nil, fmt.Errorf("%s: there are %d fleet files already, and no more are read", change.Path, maxFiles)
		}
		file = &fleetFile{path: change.Path}
		f.files[change.Path] = file
	}
	file.giveUp()
	file.had, file.gone = file.name, false
	file.content, file.twin, file.err = nil, nil, change.Err
	file.saved, file.digest = moments{change.Noticed, change.Settled}, digest(change.Data)
	switch {
	case change.Folder: // what was there is gone, or is missed no more
		f.forgetFile(file)
	case change.Err == nil:
		file.twin, file.err = f.maker.Parse(f.ctx, change.Path, change.Data) // whose it is: settleNames
		if file.err != nil {
			file.twin = nil
			break
		}
		file.body = BodyOf(change.Data, file.twin.Fleet)
	case errors.Is(change.Err, fs.ErrNotExist):
		f.forgetFile(file)
		if change.Path == f.root { // that one is missed
			file.err, f.files[change.Path] = fmt.Errorf("%s: the fleet file does not exist", change.Path), file
		}
	}
	return file
}

// forgetFile takes that a fleet file is gone.
func (f *Files) forgetFile(file *fleetFile) {
	file.gone, file.err = true, nil
	f.forgetDraft(file.path)
	f.maker.memo.clear(file.path)
	delete(f.files, file.path)
}

// settleNames says which of the files that have changed together have the fleets that they
// name. A fleet is of one file. It stays with the one that has it, also over a restart; but in
// a file that is gone, or says that it has another fleet now, it is free. It returns other
// files of which something else is to be said: they take a fleet which is free now, say.
func (f *Files) settleNames(batch []*fleetFile) (more []*fleetFile) {
	for _, keeps := range []bool{true, false} {
		for _, file := range batch {
			if file.twin != nil && f.had(file, file.twin.Fleet.Name) == keeps {
				f.claim(file)
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(f.files)) {
		file := f.files[path]
		if file.twin == nil {
			continue
		}
		said := fmt.Sprint(file.err)
		if (f.isKept(file.twin.Fleet.Name) || !f.claim(file)) && fmt.Sprint(file.err) == said || slices.Contains(batch, file) {
			continue
		}
		more = append(more, file)
	}
	return more
}

// had is whether a file had a fleet before it was saved; the first time that it is read, before
// the server was started.
func (f *Files) had(file *fleetFile, name string) bool {
	if s := f.served(file.path); file.had == "" && s != nil {
		return s.Fleet == name
	}
	return file.had == name
}

// isKept is whether a file that can't be read just now has a fleet: it is most likely its own
// again in a moment.
func (f *Files) isKept(name string) bool {
	for _, file := range f.files {
		if file.name == name && file.content == nil && file.twin == nil && !file.gone {
			return true
		}
	}
	return false
}

// claim has a file have the fleet that it names, unless another one has it.
func (f *Files) claim(file *fleetFile) bool {
	name := file.twin.Fleet.Name
	for _, path := range slices.Sorted(maps.Keys(f.files)) {
		if other := f.files[path]; other != file && other.content != nil && other.content.Fleet.Name == name {
			file.err = fmt.Errorf("%s:%d: fleet %q is that of %s:%d already",
				file.path, file.twin.Fleet.NameLine, name, path, other.content.Fleet.NameLine)
			return false
		}
	}
	file.content, file.twin, file.err, file.name = file.twin, nil, nil, name
	return true
}

// taken builds a file that was saved, if there is something to be built.
func (f *Files) taken(file *fleetFile) File {
	out := f.describe(file)
	if file.content != nil {
		out = f.build(file)
	}
	out.Own = true
	return out
}
