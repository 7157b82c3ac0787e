// Package control is the one loop that owns the state of the fleets. Files that
// settle, builds that finish, what proxies say and what people ask reach it as
// events, one at a time; it steps the rollout and carries out what that decides.
package control

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/deliver"
	"github.com/waxwing-xds/waxwing/internal/inbox"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// Config is what the loop works with.
type Config struct {
	Log    *slog.Logger
	Source Source
	XDS    deliver.Streams
	Store  Store
	// KeepRevisions is how many that were served before are kept; 0 for rollout.DefaultKeep.
	KeepRevisions int
	// Grace is how long the file of a fleet may be gone before that is retired.
	Grace time.Duration
	// Port says how the xDS port is guarded, for the status; nil where nobody knows.
	Port func() *api.Port
	// Admin says who may ask the admin API, for the status; nil where nobody knows.
	Admin func() *api.Admin
	// Forbidden is told of a proxy that would be of a fleet if its certificate let it; or nil.
	Forbidden func(node, fleet string)
}

// DefaultGrace is what Config.Grace is where it is 0.
const DefaultGrace = 30 * time.Second

// Control is the loop. Create it with New, then Run it.
type Control struct {
	Config
	feed *feed

	commands chan request
	from     *api.Source // of the command that is carried out
	reads    chan func()

	delivery Delivery

	writing sync.WaitGroup       // what is written to it, beside the loop
	results *inbox.Inbox[func()] // what came of that, for the loop to call
	ended   chan struct{}        // closed when the loop has ended

	// Owned by Run.
	files    map[string]build.File  // fleet files on disk, by path
	problems map[string]string      // what on disk can't be served, by fleet or file
	fleets   map[string]*fleetState // by name
	nodes    map[string]*nodeState  // connected proxies, by node id
	timer    *time.Timer            // when a rollout wants to know that time has passed
	wakeAt   time.Time              // zero: never
	erasing  map[string]bool        // keys of forgotten fleets that are yet to be removed from the state directory
	away     map[string]*nodeState  // proxies that left, by node id
	twins    twins
	salt     salt
	before   map[string]claim // in force when the server started, by the fleets' keys
	began    time.Time
	unsorted bool          // which fleet a proxy is to be of may have changed
	unplaced []string      // proxies that are yet to be looked at for that
	moved    int           // how many were moved in this turn of the loop
	more     chan struct{} // holds a token while there are some that a turn has left for the next
	sorting  bool
	depth    int  // steps within steps
	deferred bool // states are stored when all of a batch is taken
}

// New makes a loop and restores what an earlier one saved.
func New(c Config) (*Control, error) {
	control := &Control{
		Config: c, feed: newFeed(time.Now()),
		commands: make(chan request), reads: make(chan func()), timer: time.NewTimer(0),
		results: inbox.New[func()](), ended: make(chan struct{}),
		files: map[string]build.File{}, problems: map[string]string{}, fleets: map[string]*fleetState{}, nodes: map[string]*nodeState{},
		more: make(chan struct{}, 1),
		away: map[string]*nodeState{}, erasing: map[string]bool{}, began: time.Now(),
	}
	if control.Grace == 0 {
		control.Grace = DefaultGrace
	}
	space, err := c.Store.Identity(snapshot.SpacePrefix) // of the state directory
	if err != nil {
		return nil, err
	}
	control.readSalt()
	control.delivery = deliver.New(c.Log, c.XDS, control, space)
	if err := control.restore(); err != nil {
		return nil, fmt.Errorf("restoring the last state: %w", err)
	}
	control.restoreTwins()
	return control, nil
}

// Run is the loop. What can happen:
//
//   - fleet files or their modules have new content, or are gone;
//   - a revision was built of them, or could not be;
//   - a revision or a state was written to the state directory, or could not be;
//   - a proxy connected, left, accepted or refused something, reported on checks
//     or sent its counters;
//   - time has passed that a rollout waits for;
//   - a person wants something of a rollout;
//   - someone asks for the status, the history or a difference.
//
// Nothing in it waits for a proxy, a disk or a build.
func (c *Control) Run(ctx context.Context) error {
	defer c.saveLast() // the directory is given back when the loop has ended
	for {
		c.nextTurn()
		select {
		case <-c.Source.Ready():
			c.sourceEvents(c.Source.Events())
		case <-c.results.Ready():
			c.written()
		case <-c.delivery.Ready():
			c.proxyEvents(c.delivery.Events())
		case <-c.timer.C:
			c.tick()
		case <-c.more:
		case r := <-c.commands:
			c.take(r)
		case read := <-c.reads:
			read()
		case <-ctx.Done():
			return nil
		}
	}
}

// wake sets the timer, if it is not set for sooner.
func (c *Control) wake(at time.Time) {
	if at.IsZero() || !c.wakeAt.IsZero() && !at.Before(c.wakeAt) {
		return
	}
	c.wakeAt = at
	c.timer.Reset(time.Until(at))
}

// tick tells every rollout in progress that time has passed, and tries again what
// the disk did not take.
func (c *Control) tick() {
	c.wakeAt = time.Time{}
	c.retireGone()
	c.storeTwins()
	c.retrySalt()
	c.filesKnown()
	for _, name := range slices.Sorted(maps.Keys(c.fleets)) {
		s := c.fleets[name]
		if !s.rollout.Next(time.Now()).IsZero() {
			c.step(s, rollout.Tick{})
		}
		c.retrySaving(s)
		if r := s.rollout.Rollout; r != nil && len(r.Members) == 0 && !s.rollout.Open() {
			c.unsorted = true // it may be for proxies that have come to another fleet meanwhile
		}
	}
	c.sort()
}

// Status asks the loop for a copy of its state, with the first proxies: at most as many.
// What it says is on disk: a crash right after does not take it back, unless the disk
// does not take it in time.
func (c *Control) Status(ctx context.Context, proxies int) (api.Status, error) {
	var status api.Status
	var stored <-chan struct{}
	done := make(chan struct{})
	if err := c.ask(ctx, "the status", func() { status, stored = c.show(proxies); close(done) }); err != nil {
		return api.Status{}, err
	}
	<-done
	patiently(stored)
	return status, nil
}

// show copies the state for who asks; saved is closed when that is on disk.
func (c *Control) show(proxies int) (status api.Status, stored <-chan struct{}) {
	done := make(chan struct{})
	whenStored(slices.Collect(maps.Values(c.fleets)), func() { close(done) })
	return c.status(proxies), done
}

// Subscribe returns what happens from now on or, with the ID of a record, since that.
// A subscriber that does not keep up is cut off: its channel is closed. Call stop when
// done.
func (c *Control) Subscribe(after string) (records <-chan api.Event, stop func(), err error) {
	return c.feed.subscribe(after)
}
