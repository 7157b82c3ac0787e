package watch

import "time"

// Settings say when a file that changes is taken.
type Settings struct {
	// Quiet is how long a file must be left alone before it is read.
	Quiet time.Duration
	// Max is how long after its first change it is read all the same, for a file
	// that is never left alone.
	Max time.Duration
}

// A settler is the rule for one file: it is due a quiet period after its last
// change, and at most the maximum delay after its first.
type settler struct {
	Settings
	first, last time.Time // zero: nothing is waiting
	drafted     bool      // since the last change
}

// touch notes a change.
func (s *settler) touch(now time.Time) {
	if s.first.IsZero() {
		s.first = now
	}
	if now.After(s.last) {
		s.last = now
	}
	s.drafted = false
}

// due is when the file is to be read; ok is false when nothing is waiting.
func (s *settler) due() (at time.Time, ok bool) {
	if s.first.IsZero() {
		return time.Time{}, false
	}
	quiet, latest := s.last.Add(s.Quiet), s.latest()
	if quiet.After(latest) {
		return latest, true
	}
	return quiet, true
}

// latest is when a file that is waiting is to be read at the latest.
func (s *settler) latest() time.Time { return s.first.Add(s.Max) }

// draft is when the file may be read for work that can be thrown away: soon after
// its last change, for most saves are one. ok is false when that was done, or
// nothing is waiting.
func (s *settler) draft() (at time.Time, ok bool) {
	return s.last.Add(s.Quiet / 50), !s.first.IsZero() && !s.drafted
}

// again postpones a file that was found half-written when it was due, by a
// quiet period; past the maximum delay it says false: take it as it is.
func (s *settler) again(now time.Time) bool {
	if !now.Before(s.latest()) {
		return false
	}
	s.touch(now)
	return true
}

// done forgets the changes that were waiting.
func (s *settler) done() { *s = settler{Settings: s.Settings} }
