package control

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// ErrRefused is what a command that can't be carried out wraps.
var ErrRefused = errors.New("refused")

// Command is what a person wants of a fleet's rollout.
type Command struct {
	Fleet string       `json:"fleet"` // "" where there is only one
	Verb  rollout.Verb `json:"verb"`
	By    string       `json:"by"`
	Why   string       `json:"why"`
	ID    string       `json:"id"` // of the revision, for retry
}

type request struct {
	command Command
	reply   chan error
}

// Do has the loop carry a command out. The error says why it was not.
func (c *Control) Do(ctx context.Context, command Command) error {
	r := request{command, make(chan error, 1)}
	select {
	case c.commands <- r:
		return <-r.reply
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", command.Verb, ctx.Err())
	}
}

// carryOut takes a command, in the loop.
func (c *Control) carryOut(command Command) error {
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
	refusal := c.step(s, rollout.Command{Verb: command.Verb, By: command.By, Why: command.Why, ID: command.ID})
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
	if name == "" {
		return nil, fmt.Errorf("%w: there are %d fleets: say which", ErrRefused, len(c.fleets))
	}
	return nil, fmt.Errorf("%w: there is no fleet %q", ErrRefused, name)
}
