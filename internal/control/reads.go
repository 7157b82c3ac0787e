package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// ErrEnded is what is answered once the loop has ended.
var ErrEnded = errors.New("the server is ending")

// ask has the loop call a function.
func (c *Control) ask(ctx context.Context, what string, question func()) error {
	select {
	case c.reads <- question:
		return nil
	case <-c.ended:
		return fmt.Errorf("asking for %s: %w", what, ErrEnded)
	case <-ctx.Done():
		return fmt.Errorf("asking for %s: the loop is busy: %w", what, ctx.Err())
	}
}

// read has the loop call a function that reads the state of a fleet; "" names the
// only one.
func (c *Control) read(ctx context.Context, fleet string, read func(*fleetState)) error {
	done, stored := make(chan error, 1), make(chan struct{})
	question := func() {
		s, err := c.fleetNamed(fleet)
		if err != nil {
			done <- err
			return
		}
		read(s)
		done <- nil
		whenStored([]*fleetState{s}, func() { close(stored) })
	}
	if err := c.ask(ctx, "a fleet", question); err != nil {
		return err
	}
	if err := <-done; err != nil {
		return err
	}
	patiently(stored)
	return nil
}

// patiently waits until what was read is on disk, or the disk has had its time.
func patiently(stored <-chan struct{}) {
	select {
	case <-stored:
	case <-time.After(storePatience):
	}
}

// History is what happened to a fleet, oldest first.
func (c *Control) History(ctx context.Context, fleet string) (entries []rollout.Entry, err error) {
	err = c.read(ctx, fleet, func(s *fleetState) { entries = slices.Clone(s.rollout.History) })
	return entries, err
}

// Diff is what a fleet's candidate changes against what it serves.
func (c *Control) Diff(ctx context.Context, fleet string) (api.Difference, error) {
	var d api.Difference
	var serving, candidate *snapshot.Snapshot
	err := c.read(ctx, fleet, func(s *fleetState) {
		d.Serving, d.Candidate = s.rollout.Serving, s.candidate()
		if m := s.next(); m != nil {
			d.Moves = c.preview([]supposed{{s.name, s.file, *m}})
		} else if m := c.onDiskMatch(s.name); m != nil {
			d.Moves = c.preview([]supposed{{s.name, s.file, *m}})
		}
		serving, candidate = s.snapshots[d.Serving.ID], s.snapshots[d.Candidate.ID]
	})
	if err != nil || candidate == nil {
		return d, err
	}
	// Beside the loop: it takes a while, and snapshots don't change.
	changes, err := snapshot.Diff(serving, candidate)
	for _, change := range changes {
		d.Changes = append(d.Changes, api.Change(change))
	}
	return d, err
}
