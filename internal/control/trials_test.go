package control

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// tries is a filter's try that a test ends.
type tries struct {
	begun int
	end   chan error
}

func (r *tries) try(ctx context.Context) error {
	r.begun++
	select {
	case err := <-r.end:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A build waits for the try that a draft began.
func TestTrialIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := trials{running: map[string]*trial{}}, tries{end: make(chan error)}
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- c.once(t.Context(), "a", r.try) }()
		synctest.Wait()
		go func() { second <- c.once(t.Context(), "a", r.try) }()
		synctest.Wait()
		r.end <- nil
		if err := errors.Join(<-first, <-second, c.once(t.Context(), "a", r.try)); err != nil || r.begun != 1 {
			t.Errorf("%v, after %d tries; want one, which all share", err, r.begun)
		}
	})
}

// A refusal is told to all who wait, and is not kept: a person may want it tried again.
func TestTrialRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := trials{running: map[string]*trial{}}, tries{end: make(chan error)}
		refused := errors.New("refused")
		for range 2 {
			got := make(chan error, 1)
			go func() { got <- c.once(t.Context(), "a", r.try) }()
			r.end <- refused
			if err := <-got; !errors.Is(err, refused) {
				t.Errorf("%v, want the refusal", err)
			}
		}
		if r.begun != 2 {
			t.Errorf("tried %d times, want 2", r.begun)
		}
	})
}

// That a draft is given up says nothing to the build that waits for it.
func TestTrialGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := trials{running: map[string]*trial{}}, tries{end: make(chan error)}
		draft, end := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- c.once(draft, "a", r.try) }()
		synctest.Wait()
		go func() { second <- c.once(t.Context(), "a", r.try) }()
		synctest.Wait()
		end()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("the draft ended with %v", err)
		}
		r.end <- nil
		if err := <-second; err != nil || r.begun != 2 {
			t.Errorf("the build ended with %v after %d tries; want one of its own", err, r.begun)
		}
	})
}
