package build

import (
	"sync"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/inbox"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// An Event is what Files says: Saved, Built or Unchanged. The linter finds a switch that
// forgets one.
//
//sumtype:decl
type Event interface{ event() }

// Saved are files that were saved together, or that are to be built again.
type Saved struct {
	// Read are the files whose new content was read: fleet files and modules.
	Read []Noticed
	// Files are the fleet files that are concerned, as they are now; those first that
	// are gone.
	Files []File
}

// Noticed is a save, with the moments when its first sign came and when it was taken.
type Noticed struct {
	Path             string
	Noticed, Settled time.Time
}

// A File is a fleet file as it is now.
type File struct {
	Path string
	// Fleet is the name of the fleet that was last read from it, "" for none.
	Fleet string
	// Match, with its line, is which proxies the file is for; nil while it can't be read.
	Match     *fleet.Match
	MatchLine int
	// Certificates are those that the file itself has.
	Certificates []fleet.Certificate
	// Err is why nothing is built of it, with file and line; nil where something is.
	Err error
	// Twin says that Err is of another file that has the same fleet.
	Twin bool
	// Gone says that there is no such file any more. Where it is the one that was asked
	// for, Err says so.
	Gone bool
	// Own says that the file itself was saved, and not a module of it.
	Own bool
	// Digest names the bytes of the file; Content those of its modules with them, and is
	// "" while one of these is yet to be read.
	Digest, Content string
	// Body names the bytes of the file but for the fleet's name; "" where it can't be read.
	Body string
	// Saved is when it, or a module of it, changed last.
	Saved time.Time
	// Pending says that what comes of it is not known yet; it is tried since Trying, the
	// zero time while a module is yet to be read.
	Pending bool
	Trying  time.Time
}

// Built is what came of a file: a revision of its fleet, or why there is none.
type Built struct {
	Path     string
	Fleet    string
	Snapshot *snapshot.Snapshot // nil where Err is not
	Match    fleet.Match
	Err      error   // with file and line
	Warnings []error // as well: what its filters fail that is no refusal
	// Noticed and Settled are the moments of the newest save in it, Made when it was done.
	Noticed, Settled, Made time.Time
	By                     string // who wants it, if it is not the disk alone
}

// Unchanged is that a file was saved and holds what it held.
type Unchanged struct{ Path, Fleet string }

func (Saved) event()     {}
func (Built) event()     {}
func (Unchanged) event() {}

// queue holds events until they are taken, and counts what is asked for.
type queue struct {
	*inbox.Inbox[Event]

	mu     sync.Mutex
	inHand int // what is asked for and has no event yet
	closed bool
}

// expect counts something that is asked for, and has the queue's end wait for it; ok is
// false at that end.
func (q *queue) expect(work *sync.WaitGroup) (ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		work.Add(1)
		q.inHand++
	}
	return !q.closed
}

// came takes that back: its event is there.
func (q *queue) came(work *sync.WaitGroup) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inHand--
	work.Done()
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

func (q *queue) waiting() bool {
	q.mu.Lock()
	asked := q.inHand > 0
	q.mu.Unlock()
	return asked || q.Len() > 0 // in this order: an event is there before it is not in hand any more
}
