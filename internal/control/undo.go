package control

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// Revisions that were served before stay on disk for `undo --to`, and all but the
// previous one on disk alone: ten of a module of 3 MB would else be 30 MB of each fleet.

// stays is whether a revision stays on disk.
func (c *Control) stays(s *fleetState, id string) bool {
	return c.wanted(s, id) || s.rollout.Keeps(id)
}

// drop lets go of what a fleet does not need in memory.
func (c *Control) drop(s *fleetState) {
	for id := range s.snapshots {
		if !c.wanted(s, id) {
			delete(s.snapshots, id)
		}
	}
	for id := range s.matches {
		if !c.stays(s, id) {
			delete(s.matches, id)
		}
	}
}

// readUndo reads what undo goes back to, if it is on disk alone. Beside the loop: a
// person waits for it, and nobody else.
func (c *Control) readUndo(ctx context.Context, command api.Command) (*snapshot.Snapshot, error) {
	if command.Verb != rollout.Undo {
		return nil, nil
	}
	var name, key string
	var to rollout.Revision
	err := c.read(ctx, command.Fleet, func(s *fleetState) {
		var refusal string
		if to, refusal = s.rollout.UndoTo(command.To); refusal != "" || s.snapshots[to.ID] != nil {
			to = rollout.Revision{} // the loop says so; or has it
		}
		name, key = s.name, s.key
	})
	if err != nil || to.ID == "" {
		return nil, err
	}
	data, err := c.Store.Load(revisionFile(key, to.ID))
	if err != nil {
		return nil, fmt.Errorf("%w: revision %d can't be read: %w", ErrRefused, to.Number, err)
	}
	snap, err := snapshot.Decode(name, data)
	if err != nil {
		return nil, fmt.Errorf("%w: revision %d can't be read: %w", ErrRefused, to.Number, err)
	}
	return snap, nil
}

// bringBack has what undo goes back to in memory.
func (c *Control) bringBack(s *fleetState, command api.Command, read *snapshot.Snapshot) (refusal string) {
	if command.Verb != rollout.Undo {
		return ""
	}
	to, refusal := s.rollout.UndoTo(command.To)
	switch {
	case refusal != "" || s.snapshots[to.ID] != nil: // the rollout says so; or it is there
		return ""
	case read == nil || read.ID != to.ID: // another command came in between
		return fmt.Sprintf("revision %d is not read: try again", to.Number)
	}
	s.snapshots[to.ID] = read
	if _, known := s.storing[to.ID]; !known {
		s.storing[to.ID] = false
	}
	return ""
}

// recall reads what is served, where it is on disk alone: evidence may take a fleet back
// further than to the one before, if that was rejected since. It is the one thing that
// the loop reads: until it has, there is nothing to give the proxies. They keep what
// they have if it can't.
func (c *Control) recall(s *fleetState) {
	id := s.rollout.Serving.ID
	if id == "" || s.snapshots[id] != nil || s.unreadable == id {
		return
	}
	if err := c.restoreRevision(s, id); err != nil {
		s.unreadable = id
		c.Log.Error("what is to be served can't be read: proxies keep what they have", "fleet", s.name, "id", id, "error", err)
	}
}

// restoreKept finds out which of the revisions that were served before are there, and
// reads the previous one: it may be wanted at once.
func (c *Control) restoreKept(s *fleetState) error {
	names, err := c.Store.List(revisionFolder(s.key))
	there := map[string]bool{}
	for _, name := range names {
		if id, ok := strings.CutSuffix(name, ".pb"); ok {
			there[id] = true
		}
	}
	err = errors.Join(err, c.restoreRevision(s, s.rollout.Previous.ID))
	s.rollout.Forget(func(id string) bool {
		return !there[id] || id == s.rollout.Previous.ID && s.snapshots[id] == nil
	})
	for _, r := range s.rollout.Kept() {
		if _, known := s.storing[r.ID]; !known {
			s.storing[r.ID] = false
		}
	}
	return err
}
