package control

import (
	"context"
	"fmt"
	"slices"

	"github.com/waxwing-xds/waxwing/internal/rollout"
)

type historyQuery struct {
	fleet string
	reply chan<- historyAnswer
}

type historyAnswer struct {
	entries []rollout.Entry
	err     error
}

// History is what happened to a fleet, oldest first; "" names the only one.
func (c *Control) History(ctx context.Context, fleet string) ([]rollout.Entry, error) {
	reply := make(chan historyAnswer, 1)
	select {
	case c.histories <- historyQuery{fleet, reply}:
		answer := <-reply
		return answer.entries, answer.err
	case <-ctx.Done():
		return nil, fmt.Errorf("asking for the history: %w", ctx.Err())
	}
}

func (c *Control) history(fleet string) historyAnswer {
	s, err := c.fleetNamed(fleet)
	if err != nil {
		return historyAnswer{nil, err}
	}
	return historyAnswer{slices.Clone(s.rollout.History), nil}
}
