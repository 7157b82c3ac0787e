package rig

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Until asks, some fifty times a second, until it is so; or until the context ends, and
// then says what it was told last. What Never wraps ends it at once.
func Until(ctx context.Context, so func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := so()
		if last := (never{}); err == nil || errors.As(err, &last) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// Never says that what is waited for will never be so.
func Never(err error) error { return never{err} }

type never struct{ error }

func (n never) Unwrap() error { return n.error }
