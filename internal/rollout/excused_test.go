package rollout

import (
	"slices"
	"testing"
)

// A refusal of a filter beside those of the revision is no evidence where nobody has answered the
// check rightly yet: nothing was there before, or that filter is new, or it was refused before, too.
func TestRefusedBesideIsNoEvidence(t *testing.T) {
	authz := CheckAnswer{Check: live, Same: "a", Status: 403, Want: 200, Passes: true, By: "authz"}
	change := func(of func(*CheckAnswer)) CheckAnswer { a := authz; of(&a); return a }
	for _, c := range []struct {
		name      string
		serving   string
		before    int
		shown     bool
		shadow    bool
		wrong     CheckAnswer
		noEvident bool
	}{
		{"a first revision", "", 0, false, true, authz, true},
		{"one that nothing has proven", "", 0, false, false, authz, false},
		{"one of which the check has held", "", 0, true, true, authz, false},
		{"an answer that no other filter gives", "", 0, false, true, change(func(a *CheckAnswer) { a.By = "" }), false},
		{"one of which nobody knows how it failed", "", 0, false, true, change(func(a *CheckAnswer) { a.Again = true }), false},
		{"a later one", "one", 200, false, true, authz, false},
		{"a later one that brings that filter", "one", 200, false, true, change(func(a *CheckAnswer) { a.New = true }), true},
		{"so it does, and the check has held since", "one", 200, true, true, change(func(a *CheckAnswer) { a.New = true }), false},
		{"a later one, refused before, too", "one", 403, false, true, authz, true},
		{"a later one, refused otherwise before", "one", 401, false, true, authz, false},
		{"an answer that its own filters should give", "", 0, false, true, change(func(a *CheckAnswer) { a.Passes, a.Want = false, 401 }), true},
	} {
		plan := defaultPlan()
		plan.Shadow, plan.ShadowChecks = c.shadow, c.shadow
		f := &Fleet{now: epoch, Serving: Revision{ID: c.serving}, Rollout: newRollout(Revision{ID: "two"}, plan, epoch)}
		f.proxies = map[string]*proxy{"a": {shown: c.shown}}
		s := &step{Fleet: f}
		if c.before != 0 {
			s.noteBefore(Probed{Node: "a", Before: []CheckAnswer{{Check: live, Status: c.before, Want: 200}}})
		}
		got := s.withoutRefused(Probed{Node: "a", Wrong: []CheckAnswer{c.wrong}})
		if got.Passed != c.noEvident || (len(f.NotShown()) > 0) != c.noEvident {
			t.Errorf("%s: no evidence: %v, said: %q", c.name, got.Passed, f.NotShown())
		}
		other := CheckAnswer{Check: "other", Status: 500, Want: 200}
		if got := s.withoutRefused(Probed{Node: "a", Wrong: []CheckAnswer{c.wrong, other}}); got.Passed || got.Wrong[len(got.Wrong)-1] != other {
			t.Errorf("%s: it excuses another check", c.name)
		}
	}
}

// What was no evidence is none later, on any proxy where it tells nothing of its service; another
// answer is evidence.
func TestExcuses(t *testing.T) {
	for _, c := range []struct {
		name     string
		excuse   Excuse
		node     string
		answered int
		again    bool
		is       bool
	}{
		{"the same", Excuse{Check: live, Status: 403}, "b", 403, false, true},
		{"another", Excuse{Check: live, Status: 403}, "b", 401, false, false},
		{"nobody knows which", Excuse{Check: live, Status: 403}, "b", 403, true, false},
		{"of another revision", Excuse{Check: "x", Same: "a", Status: 403}, "b", 403, false, true},
		{"of another check", Excuse{Check: "x", Same: "b", Status: 403}, "b", 403, false, false},
		{"a service that is not there", Excuse{Check: live, Status: 503, Node: "a"}, "a", 504, false, true},
		{"so it is, on another proxy", Excuse{Check: live, Status: 503, Node: "a"}, "b", 503, false, false},
		{"a service that has come, and denies", Excuse{Check: live, Status: 503, Node: "a"}, "a", 403, false, false},
	} {
		if got := c.excuse.is(c.node, CheckAnswer{Check: live, Same: "a", Status: c.answered, Again: c.again}); got != c.is {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// What a revision was served with does not take it back while it is watched, with the service that
// was not there and the page that is not there; when the service has come and fails, it does.
func TestWatchKnowsWhatWasExcused(t *testing.T) {
	plan := defaultPlan()
	plan.Watch = surveyTime
	for name, c := range map[string]struct{ then, later int }{"the same": {404, 404}, "another": {404, 403}, "a service that has come": {503, 503}} {
		f := &Fleet{now: epoch, Serving: Revision{ID: "one"}, Rollout: newRollout(Revision{ID: "two"}, plan, epoch)}
		f.proxies = map[string]*proxy{"a": {accepted: Assignment{Live: "two"}}}
		s := &step{Fleet: f}
		s.noteBefore(Probed{Node: "a", Before: []CheckAnswer{{Check: live, Status: c.then, Want: 200}}})
		if !s.excused(Probed{Node: "a", Wrong: []CheckAnswer{{Check: live, Status: c.then, Want: 200, Passes: true, Old: true}}}) {
			t.Fatalf("%s: not excused", name)
		}
		s.watch(plan)
		f.Serving, f.Rollout = f.Rollout.Candidate, nil
		report := func(status int) {
			s.watchedProbe(Probed{Node: "a", Of: "two", Passed: status == 200, Wrong: []CheckAnswer{{Check: live, Status: status, Want: 200, Passes: true, Old: true}}})
		}
		if report(c.then); f.Watch.Degraded != nil {
			t.Errorf("%s: degraded: %+v", name, f.Watch.Degraded)
		}
		if c.then == 503 {
			report(200)
		}
		if report(c.later); (f.Watch.Degraded != nil) != (name != "the same") {
			t.Errorf("%s: degraded: %+v", name, f.Watch.Degraded)
		}
	}
}

// What failed before, and so was no evidence, is said for as long as the revision is served.
func TestWhatFailedBeforeIsSaid(t *testing.T) {
	f := &Fleet{Watch: &Watch{Excused: []Excuse{{Check: "#3", Status: 404}, {Check: "#3", Status: 404}, {Check: "#4", Status: 503, Node: "a"}}}}
	if got, want := f.NotShown(), []string{"check #3: it fails there, as it did before: it is answered 404"}; !slices.Equal(got, want) {
		t.Errorf("it is said: %q, want %q", got, want)
	}
}
