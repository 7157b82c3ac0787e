package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// The loop writes nothing itself. A revision is written by a goroutine of its own;
// a fleet's state by one at a time, from a copy: what changes meanwhile is in the
// next, so that a slow disk gets fewer states and not a queue of them. What comes
// of it reaches the loop as results.

// written takes what came of writing.
func (c *Control) written() {
	for _, result := range c.results.Take() {
		result()
	}
}

// saveDelay is how long after its push a revision is written that compiles nothing.
// Most proxies take it in less, and sooner while nobody writes to a disk on their
// machine; and a crash in between costs them nothing. One with new code is written
// at once: without it they would be sent that code, and compile it, again.
const saveDelay = 20 * time.Millisecond

// saveRevision writes a revision that is being tried: proxies don't wait for the
// disk. The state that names it is saved after it.
func (c *Control) saveRevision(s *fleetState, snap *snapshot.Snapshot) {
	underWay, known := s.storing[snap.ID]
	switch {
	case s.snapshots[snap.ID] == nil || underWay: // refused before; or on its way
		return
	case s.removing[snap.ID]: // stateWritten begins again
		return
	case known:
		c.step(s, rollout.Stored{ID: snap.ID})
		return
	}
	s.storing[snap.ID] = true
	delay := time.Duration(0)
	if snap.SameCode(s.snapshots[s.rollout.Serving.ID]) {
		delay = saveDelay
	}
	key := s.key // the goroutine reads nothing of the loop's
	c.writing.Go(func() {
		select {
		case <-time.After(delay):
		case <-c.ended:
		}
		data, err := snap.Encode()
		if err == nil {
			err = c.Store.Save(revisionFile(key, snap.ID), data)
		}
		c.results.Put(func() { c.revisionWritten(s, snap.ID, err) })
	})
}

// revisionWritten tells the rollout, which lets a revision become good only then.
func (c *Control) revisionWritten(s *fleetState, id string, err error) {
	if s.forgotten {
		c.erase(s)
		return
	}
	again := s.rewrite[id]
	delete(s.rewrite, id)
	if snap := s.snapshots[id]; err == nil && again && snap != nil { // it has other checks since
		delete(s.storing, id)
		c.saveRevision(s, snap)
		return
	}
	if err != nil {
		delete(s.storing, id)
		c.unsaved(s, err)
		c.storeChanges(s)
		return
	}
	s.storing[id] = false
	c.step(s, rollout.Stored{ID: id})
}

// batch takes several steps, and stores what they changed once.
func (c *Control) batch(steps func()) {
	c.deferred = true
	steps()
	c.deferred = false
	for _, s := range c.fleets {
		c.storeChanges(s)
	}
}

// storeChanges saves the state if it has changed. One that names a revision on its
// way to the disk waits for that: without it a restart could not go on from there.
// One that the disk did not take waits for its turn to be tried again.
func (c *Control) storeChanges(s *fleetState) {
	if s.dirty && !c.deferred && !s.writing && s.disk.retryAt.IsZero() && !s.storing[s.candidate().ID] {
		c.store(s)
	}
}

// store has the state written, and then those revisions removed that it does not name.
func (c *Control) store(s *fleetState) {
	s.dirty, s.writing = false, true
	s.answering, s.unanswered = s.unanswered, nil
	job := c.job(s)
	c.writing.Go(func() {
		saveErr, removeErr := job.write(c)
		c.results.Put(func() { c.stateWritten(s, saveErr, removeErr) })
	})
}

// A stateJob is a state to be written, apart from the loop's own.
type stateJob struct {
	key    string // of the fleet
	state  storedFleet
	remove []string // IDs of revisions that it does not name
}

func (c *Control) job(s *fleetState) stateJob {
	job := stateJob{key: s.key, state: storedFleet{
		Format: snapshot.Format, Match: s.match, Moving: s.moving, Declined: s.declined, Matches: maps.Clone(s.matches),
		Guests: map[string]time.Time{}, Runs: map[string]string{}, Rollout: s.rollout.Copy(),
	}}
	for id, g := range s.guests {
		job.state.Guests[id] = g.since
		if g.runs.ID != "" {
			job.state.Runs[id] = g.runs.String()
		}
	}
	job.state.File, job.state.Retired, job.state.Renamed = s.file, s.retirement, s.renamed
	if s.name != s.key {
		job.state.Name = s.name
	}
	s.removing = map[string]bool{}
	for id, underWay := range s.storing {
		if !underWay && !c.stays(s, id) {
			delete(s.storing, id)
			s.removing[id] = true
		}
	}
	for _, id := range s.leftover {
		if _, known := s.storing[id]; !known {
			s.removing[id] = true
		}
	}
	s.leftover = nil
	for id := range s.removing {
		job.remove = append(job.remove, id)
	}
	return job
}

func (j stateJob) write(c *Control) (saveErr, removeErr error) {
	data, err := json.MarshalIndent(j.state, "", "  ")
	if err != nil {
		return fmt.Errorf("the state of fleet %s: %w", j.key, err), nil
	}
	if err := c.Store.Save(fleetFileName(j.key), data); err != nil {
		return err, nil
	}
	for _, id := range j.remove {
		removeErr = errors.Join(removeErr, c.Store.Remove(revisionFile(j.key, id)))
	}
	return nil, removeErr
}

// stateWritten goes on with what has changed while the state was written.
func (c *Control) stateWritten(s *fleetState, saveErr, removeErr error) {
	s.writing = false
	if s.forgotten {
		c.answer(s)
		c.erase(s)
		return
	}
	if saveErr != nil || removeErr != nil {
		for id := range s.removing { // they are there still
			s.leftover = append(s.leftover, id)
		}
	}
	s.removing = nil
	if removeErr != nil {
		c.Log.Warn("old revisions stay in the state directory", "fleet", s.name, "error", removeErr)
	}
	c.answer(s)
	if saveErr != nil {
		s.dirty = true
		c.unsaved(s, saveErr)
		return
	}
	c.savedAgain(s)
	c.saveMissing(s)
	c.storeChanges(s)
}

// saveMissing writes revisions that are wanted and not on disk: one that came back
// while it was removed, or that the disk did not take.
func (c *Control) saveMissing(s *fleetState) {
	for id, snap := range s.snapshots {
		if _, known := s.storing[id]; !known && c.wanted(s, id) {
			c.saveRevision(s, snap)
		}
	}
}

// A diskTrouble is a disk that did not take the last write of a fleet.
type diskTrouble struct {
	reason  string        // "" for none
	since   time.Time     // of the first write in a row that failed
	wait    time.Duration // before the next try
	retryAt time.Time     // of that; zero while one is under way
}

// How long a write that failed waits for the next try: each time twice as long.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 15 * time.Second
)

// unsaved notes that the disk does not take something, says so once, and has it
// tried again.
func (c *Control) unsaved(s *fleetState, err error) {
	if s.disk.reason == "" {
		s.disk.since, s.disk.wait = time.Now(), firstRetry
		c.Log.Error("the state is not stored: a restart goes back to what was stored last; it is tried again", "fleet", s.name, "error", err)
		c.feed.put(api.Event{Kind: api.EventUnsaved, Fleet: s.name, Message: err.Error()})
	}
	s.disk.reason = err.Error()
	s.disk.retryAt = time.Now().Add(s.disk.wait)
	s.disk.wait = min(2*s.disk.wait, lastRetry)
	c.wake(s.disk.retryAt)
}

// savedAgain takes that back.
func (c *Control) savedAgain(s *fleetState) {
	if s.disk.reason != "" {
		c.Log.Info("the state is stored again", "fleet", s.name, "after", time.Since(s.disk.since).Round(time.Millisecond))
		c.feed.put(api.Event{Kind: api.EventSaved, Fleet: s.name})
	}
	s.disk = diskTrouble{}
}

// retrySaving tries again what the disk did not take, when it is time.
func (c *Control) retrySaving(s *fleetState) {
	if s.disk.retryAt.IsZero() {
		return
	}
	if wait := time.Until(s.disk.retryAt); wait > 0 {
		c.wake(s.disk.retryAt)
		return
	}
	s.disk.retryAt = time.Time{}
	s.dirty = true // savedAgain is for a state that is written
	c.saveMissing(s)
	c.storeChanges(s)
}

// flushPatience is how long the server's end waits for the disk.
const flushPatience = 10 * time.Second

// saveLast saves what is not saved when the loop ends.
func (c *Control) saveLast() {
	close(c.ended)
	c.deferred = true // what comes of the last writes begins no states
	flushed := make(chan struct{}, 1)
	patience := time.NewTimer(flushPatience)
	defer patience.Stop()
	for range 2 { // what is under way, and revisions that waited for that
		go func() {
			c.writing.Wait()
			flushed <- struct{}{}
		}()
		select {
		case <-flushed:
			c.written()
		case <-patience.C:
			c.Log.Error("the disk takes nothing: the last state is not stored")
			return
		}
	}
	for _, s := range c.fleets {
		if !s.dirty {
			continue
		}
		if err, _ := c.job(s).write(c); err != nil {
			c.Log.Error("the last state is not stored: a restart goes back to what was saved last", "fleet", s.name, "error", err)
		}
	}
}
