package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// savedFleet is what survives of a fleet.
type savedFleet struct {
	Match   fleet.Match   `json:"match"`
	Rollout rollout.Fleet `json:"rollout"`
}

func fleetFileName(name string) string     { return "fleets/" + name + ".json" }
func revisionFolder(fleet string) string   { return "revisions/" + fleet }
func revisionFile(fleet, id string) string { return revisionFolder(fleet) + "/" + id + ".pb" }

// restore reads what an earlier server saved: until what is on disk has been
// read, and if that is bad for as long as it is, the last good revision is
// served. What of it can't be read is said, and the server goes on without.
func (c *Control) restore() error {
	names, err := c.Store.List("fleets")
	if err != nil {
		return err
	}
	for _, file := range names {
		name := strings.TrimSuffix(file, ".json")
		if err := c.restoreFleet(name); err != nil {
			c.Log.Error("a part of the last state of a fleet can't be read: it goes on without", "fleet", name, "error", err)
		}
	}
	return nil
}

func (c *Control) restoreFleet(name string) error {
	data, err := c.Store.Load(fleetFileName(name))
	if err != nil {
		return err
	}
	var saved savedFleet
	if err := json.Unmarshal(data, &saved); err != nil {
		return fmt.Errorf("%s: %w", fleetFileName(name), err)
	}
	s := c.fleet(name)
	s.match, s.rollout = saved.Match, saved.Rollout
	// What can't be read is gone, and the rest goes on without.
	errs := []error{c.restoreRevision(s, s.rollout.Serving.ID), c.restoreRevision(s, s.rollout.Previous.ID), c.restoreRevision(s, s.candidate().ID)}
	if errs[0] != nil {
		s.rollout.Serving = rollout.Revision{}
	}
	if errs[1] != nil {
		s.rollout.Previous = rollout.Revision{}
	}
	if errs[2] != nil {
		s.rollout.Rollout = nil // it is built anew of what is on disk
	}
	if candidate := s.candidate(); candidate.ID != "" {
		c.step(s, rollout.Stored{ID: candidate.ID})
		c.Log.Info("goes on with a rollout", "fleet", name, "revision", candidate.Number, "id", candidate.ID, "stage", s.rollout.Rollout.Stage+1)
	}
	c.Log.Info("restored", "fleet", name, "revision", s.rollout.Serving.Number, "id", s.rollout.Serving.ID)
	return errors.Join(errs...)
}

func (c *Control) restoreRevision(s *fleetState, id string) error {
	if id == "" || s.snapshots[id] != nil {
		return nil
	}
	data, err := c.Store.Load(revisionFile(s.name, id))
	if err != nil {
		return err
	}
	snap, err := snapshot.Decode(s.name, data)
	if err != nil {
		return fmt.Errorf("%s: %w", revisionFile(s.name, id), err)
	}
	s.snapshots[id], s.saving[id] = snap, false
	return nil
}

// savedRevision is what came of writing a revision.
type savedRevision struct {
	fleet, id string
	err       error
}

// saveDelay is how long after its push a revision is written that compiles nothing.
// Most proxies take it in less, and sooner while nobody writes to a disk on their
// machine; and a crash in between costs them nothing. One with new code is written
// at once: without it they would be sent that code, and compile it, again.
const saveDelay = 20 * time.Millisecond

// saveRevision writes a revision that is being tried, beside the loop: proxies
// don't wait for the disk. The state that names it is saved after it.
func (c *Control) saveRevision(ctx context.Context, s *fleetState, snap *snapshot.Snapshot) {
	underWay, known := s.saving[snap.ID]
	switch {
	case s.snapshots[snap.ID] == nil || underWay: // refused before; or on its way
		return
	case known:
		c.step(s, rollout.Stored{ID: snap.ID})
		return
	}
	s.saving[snap.ID] = true
	delay := time.Duration(0)
	if snap.SameCode(s.snapshots[s.rollout.Serving.ID]) {
		delay = saveDelay
	}
	c.writing.Go(func() {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
		r := savedRevision{fleet: s.name, id: snap.ID}
		var data []byte
		if data, r.err = snap.Encode(); r.err == nil {
			r.err = c.Store.Save(revisionFile(r.fleet, r.id), data)
		}
		select {
		case c.saved <- r:
		case <-ctx.Done():
		}
	})
}

// revisionSaved tells the rollout, which lets a revision become good only then.
func (c *Control) revisionSaved(r savedRevision) {
	s := c.fleet(r.fleet)
	if r.err != nil {
		delete(s.saving, r.id)
		c.Log.Error("a revision is not saved: a restart goes back to the last one that was", "fleet", r.fleet, "id", r.id, "error", r.err)
		c.saveChanges(s)
		return
	}
	s.saving[r.id] = false
	c.step(s, rollout.Stored{ID: r.id})
}

// batch takes several steps, and saves what they changed once.
func (c *Control) batch(steps func()) {
	c.later = true
	steps()
	c.later = false
	for _, s := range c.fleets {
		c.saveChanges(s)
	}
}

// saveChanges saves the state if it has changed. One that names a revision on its
// way to the disk waits for that: without it a restart could not go on from there.
func (c *Control) saveChanges(s *fleetState) {
	if s.dirty && !c.later && !s.saving[s.candidate().ID] {
		c.save(s)
	}
}

// saveLast saves what is not saved when the loop ends.
func (c *Control) saveLast() {
	c.writing.Wait()
	for _, s := range c.fleets {
		if s.dirty {
			c.save(s)
		}
	}
}

// save writes the state.
func (c *Control) save(s *fleetState) {
	s.dirty = false
	data, err := json.MarshalIndent(savedFleet{Match: s.match, Rollout: s.rollout}, "", "  ")
	if err == nil {
		err = c.Store.Save(fleetFileName(s.name), data)
	}
	if err != nil {
		c.Log.Error("the state is not saved: a restart goes back to what was saved last", "fleet", s.name, "error", err)
		return
	}
	c.prune(s)
}

// prune removes revisions that nothing refers to any more.
func (c *Control) prune(s *fleetState) {
	var keep []string
	for id, underWay := range s.saving {
		if underWay || s.wanted(id) {
			keep = append(keep, id+".pb")
		} else {
			delete(s.saving, id)
		}
	}
	if err := c.Store.Prune(revisionFolder(s.name), keep...); err != nil {
		c.Log.Warn("old revisions stay in the state directory", "fleet", s.name, "error", err)
	}
}
