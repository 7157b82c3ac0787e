package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// ErrRefused is what a command that can't be carried out wraps.
var ErrRefused = errors.New("refused")

// NoFleetError is that there is no fleet of a name, or none at all. It is an ErrRefused.
type NoFleetError struct{ Name string }

// Error implements error.
func (e *NoFleetError) Error() string {
	if e.Name == "" {
		return "there is no fleet yet"
	}
	return fmt.Sprintf("there is no fleet %q", e.Name)
}

// Unwrap makes it an ErrRefused.
func (e *NoFleetError) Unwrap() error { return ErrRefused }

// From is a context of what somebody asks of the loop: a command's source.
func From(ctx context.Context, source api.Source) context.Context {
	return context.WithValue(ctx, sourceKey{}, &source)
}

type sourceKey struct{}

type request struct {
	command api.Command
	from    *api.Source        // who has given it; nil where nobody said
	undoTo  *snapshot.Snapshot // what undo goes back to, if it had to be read
	reply   chan error
}

// storePatience is how long a command that is carried out waits for the disk.
const storePatience = 3 * time.Second

// Do has the loop carry a command out. The error says why it was not. It returns
// when the state that has it is stored, so that a crash does not take it back; or
// when the disk takes it not at all, or not in time, which the status says.
func (c *Control) Do(ctx context.Context, command api.Command) error {
	r := request{command: command, reply: make(chan error, 1)}
	r.from, _ = ctx.Value(sourceKey{}).(*api.Source)
	var err error
	if r.undoTo, err = c.readUndo(ctx, command); err != nil {
		return err
	}
	select {
	case c.commands <- r:
	case <-c.ended:
		return fmt.Errorf("%s: %w", command.Verb, ErrEnded)
	case <-ctx.Done():
		return fmt.Errorf("%s: the loop is busy: %w", command.Verb, ctx.Err())
	}
	select {
	case err := <-r.reply:
		return err
	case <-time.After(storePatience):
		return nil
	}
}

// take carries a command out, in the loop, and sees to its answer.
func (c *Control) take(r request) {
	c.from = r.from
	defer func() { c.from = nil }()
	if slices.Contains(fleetVerbs, r.command.Verb) {
		r.reply <- c.fleetCommand(r.command)
		return
	}
	if err := c.carryOut(r.command, r.undoTo); err != nil {
		r.reply <- err
		return
	}
	s, _ := c.fleetNamed(r.command.Fleet) // as carryOut has found it
	whenStored([]*fleetState{s}, func() { r.reply <- nil })
}

// whenStored calls back when the states of fleets, as they are now, are on disk: what a
// person was told is so after a crash, too. A disk that does not take one is not waited
// for; the status says so.
func whenStored(fleets []*fleetState, tell func()) {
	waits := 0
	stored := func() {
		if waits--; waits == 0 {
			tell()
		}
	}
	for _, s := range fleets {
		switch {
		case s.disk.reason != "":
		case s.dirty:
			waits++
			s.unanswered = append(s.unanswered, stored)
		case s.writing:
			waits++
			s.answering = append(s.answering, stored)
		}
	}
	if waits == 0 {
		tell()
	}
}

// answer tells who waits for the state that was written, or was not.
func (c *Control) answer(s *fleetState) {
	answering := s.answering
	s.answering = nil
	for _, tell := range answering {
		tell()
	}
}

// carryOut takes a command, in the loop.
func (c *Control) carryOut(command api.Command, undoTo *snapshot.Snapshot) error {
	if !slices.Contains(rollout.Verbs, command.Verb) {
		return fmt.Errorf("%w: %q is not something to do to a rollout", ErrRefused, command.Verb)
	}
	s, err := c.fleetNamed(command.Fleet)
	if err != nil {
		return err
	}
	if command.Verb == rollout.Retry && command.ID == "" {
		command.ID = s.onDisk
	}
	if refusal := c.bringBack(s, command, undoTo); refusal != "" {
		return fmt.Errorf("%w: fleet %s: %s", ErrRefused, s.name, refusal)
	}
	refusal := c.step(s, rollout.Command{
		Verb: command.Verb, By: command.By, Why: command.Why, ID: command.ID, SkipEmpty: command.SkipEmpty, AnswersMeant: command.AnswersMeant, To: command.To, From: c.from,
	})
	c.drop(s)
	if refusal != "" {
		return fmt.Errorf("%w: fleet %s: %s", ErrRefused, s.name, refusal)
	}
	return nil
}

func (c *Control) fleetNamed(name string) (*fleetState, error) {
	if name == "" && len(c.fleets) == 1 {
		for _, s := range c.fleets {
			return s, nil
		}
	}
	if s := c.fleets[name]; s != nil {
		return s, nil
	}
	if name == "" && len(c.fleets) > 0 {
		return nil, fmt.Errorf("%w: there are %d fleets: say which (--fleet): %s", ErrRefused, len(c.fleets), strings.Join(slices.Sorted(maps.Keys(c.fleets)), ", "))
	}
	return nil, &NoFleetError{name}
}
