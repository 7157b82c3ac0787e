package watch

import (
	"testing"
	"time"
)

// FuzzSettler plays changes at the given distances (each byte: milliseconds) and
// holds the rules: nothing is taken before its quiet period, unless the maximum
// delay is over; nothing waits longer than the maximum delay; nothing is lost.
func FuzzSettler(f *testing.F) {
	f.Add([]byte{0}, uint8(50), uint8(200))
	f.Add([]byte{10, 10, 10, 10, 10, 200, 1}, uint8(50), uint8(100))
	f.Add([]byte{255, 255}, uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, gaps []byte, quiet, limit uint8) {
		settings := Settings{Quiet: time.Duration(quiet) * time.Millisecond, Max: time.Duration(limit) * time.Millisecond}
		s := settler{Settings: settings}
		now := time.Unix(1000, 0)
		var first, last time.Time // of the changes that are waiting
		take := func(at time.Time) {
			if at.Before(last.Add(settings.Quiet)) && at.Before(first.Add(settings.Max)) {
				t.Fatalf("taken %v after the last change and %v after the first, with %+v", at.Sub(last), at.Sub(first), settings)
			}
			if at.After(last.Add(settings.Quiet)) && at.After(first.Add(settings.Max)) {
				t.Fatalf("taken as late as %v after the last change and %v after the first, with %+v", at.Sub(last), at.Sub(first), settings)
			}
			s.done()
			first, last = time.Time{}, time.Time{}
		}
		for _, gap := range gaps {
			next := now.Add(time.Duration(gap) * time.Millisecond)
			if at, ok := s.due(); ok && !at.After(next) {
				take(at)
			}
			now = next
			s.touch(now)
			if first.IsZero() {
				first = now
			}
			last = now
		}
		at, ok := s.due()
		if ok == first.IsZero() {
			t.Fatalf("due %v, waiting since %v", ok, first)
		}
		if ok {
			take(at)
		}
		if _, ok := s.due(); ok {
			t.Fatal("due again without a change")
		}
	})
}

func TestSettlerAgain(t *testing.T) {
	s := settler{Settings: Settings{Quiet: 50 * time.Millisecond, Max: 120 * time.Millisecond}}
	start := time.Unix(1000, 0)
	s.touch(start)
	for _, at := range []time.Duration{50, 100} {
		if !s.again(start.Add(at * time.Millisecond)) {
			t.Errorf("not postponed at %d ms", at)
		}
	}
	due, _ := s.due()
	if due != start.Add(120*time.Millisecond) {
		t.Errorf("due after %v, want the maximum delay", due.Sub(start))
	}
	if s.again(due) {
		t.Error("postponed past the maximum delay")
	}
}
