package build

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/waxwing-xds/waxwing/internal/confine"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/preflight"
)

// attempts are the attempts at some work that a test ends.
type attempts struct {
	begun int
	end   chan error
}

func (a *attempts) work(ctx context.Context) (string, error) {
	a.begun++
	select {
	case err := <-a.end:
		return "made", err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// ask asks a memo for something in the background.
func (a *attempts) ask(ctx context.Context, m *memo) chan error {
	out := make(chan error, 1)
	go func() {
		value, err := once(ctx, m, shelf{kind: passed}, "a", a.work)
		if err == nil && value != "made" {
			err = fmt.Errorf("it is %q", value)
		}
		out <- err
	}()
	synctest.Wait()
	return out
}

// A build waits for what a draft has begun; whoever asks later has it at once.
func TestWorkIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := memo{}, attempts{end: make(chan error)}
		first, second := a.ask(t.Context(), &m), a.ask(t.Context(), &m)
		a.end <- nil
		if err := errors.Join(<-first, <-second, <-a.ask(t.Context(), &m)); err != nil || a.begun != 1 {
			t.Errorf("%v, after %d attempts; want one, which all share", err, a.begun)
		}
	})
}

// A refusal is told to all who wait, and is not kept: a person may want it tried again.
func TestRefusalIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := memo{}, attempts{end: make(chan error)}
		refused := errors.New("refused")
		for range 2 {
			first, second := a.ask(t.Context(), &m), a.ask(t.Context(), &m)
			a.end <- refused
			if err1, err2 := <-first, <-second; !errors.Is(err1, refused) || !errors.Is(err2, refused) {
				t.Errorf("%v and %v, want the refusal", err1, err2)
			}
		}
		if a.begun != 2 {
			t.Errorf("tried %d times, want 2", a.begun)
		}
	})
}

// That a draft is given up says nothing to the build that waits for it; nor does a build
// that is given up itself wait any longer.
func TestWorkGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := memo{}, attempts{end: make(chan error)}
		draft, endDraft := context.WithCancel(t.Context())
		build, endBuild := context.WithCancel(t.Context())
		first, second, third := a.ask(draft, &m), a.ask(build, &m), a.ask(t.Context(), &m)
		endBuild()
		if err := <-second; !errors.Is(err, context.Canceled) {
			t.Errorf("a build that was given up ended with %v", err)
		}
		endDraft()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("the draft ended with %v", err)
		}
		a.end <- nil
		if err := <-third; err != nil || a.begun != 2 {
			t.Errorf("the build ended with %v after %d attempts; want one of its own", err, a.begun)
		}
	})
}

// Of each kind the newest results are kept, and no more.
func TestMemoIsBounded(t *testing.T) {
	m := memo{}
	put := func(on shelf, i int) {
		t.Helper()
		_, err := once(t.Context(), &m, on, fmt.Sprint(on, i), func(context.Context) (int, error) { return i, nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3000 {
		put(shelf{kind: passed}, i)
		put(shelf{made, "a"}, i)
		put(shelf{made, "b"}, i)
	}
	if len(m.works) != 1024+1+1 {
		t.Errorf("%d results are kept", len(m.works))
	}
	m.clear("a")
	m.forget(shelf{made, "b"}, fmt.Sprint(shelf{made, "b"}, 2999))
	if len(m.works) != 1024 {
		t.Errorf("%d results are kept, of filters and of files that are gone", len(m.works))
	}
}

// The same filter is in two files, at other lines: it is tried once, and each is told
// its own line.
func TestRefusalHasTheLineOfWhoAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &sandbox{hold: make(chan struct{})}
		m := NewMaker(box, confine.Rule{})
		box.refuse = func(p preflight.Plugin) error {
			return &preflight.Error{Step: preflight.StepCheck, Line: p.Checks[1].Line, Reason: "no"}
		}
		lines := make(chan int, 2)
		for _, first := range []int{10, 70} {
			go func() {
				_, err := m.Try(t.Context(), preflight.Plugin{Name: "gate", Module: module.New([]byte("x")), Checks: []fleet.Check{
					{Line: first, Path: "/a"}, {Line: first + 5, Path: "/b"},
				}})
				refused := (*preflight.Error)(nil)
				if !errors.As(err, &refused) {
					t.Errorf("%v is no refusal", err)
					return
				}
				lines <- refused.Line
			}()
		}
		synctest.Wait()
		close(box.hold)
		if a, b := <-lines, <-lines; a+b != 15+75 || box.tried != 1 {
			t.Errorf("lines %d and %d, want 15 and 75; tried %d times", a, b, box.tried)
		}
	})
}
