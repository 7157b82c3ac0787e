package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const live = "gate #1 by ingress"

// again stands for a check that has failed once, nobody knows how, and is answered as wanted since.
const again = -200

// What failed before the flip excuses the same failure after it, and no other: not one of
// the filters' own, not another wrong answer, not one that the filters before were not to
// let through either.
func TestOnlyWhatFailedBeforeIsExcused(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after int
		want          int
		passes, old   bool
		excused       bool
	}{
		{"the service is down before and after", 503, 503, 200, true, false, true},
		{"in another way", 503, 504, 200, true, false, true},
		{"it does not answer", 0, 503, 200, true, false, true},
		{"it held before", 200, 503, 200, true, true, false},
		{"the service has no such page", 404, 404, 200, true, true, true},
		{"nor for the filters before, as far as is known", 404, 404, 200, true, false, false},
		{"the filters deny it now", 503, 403, 200, true, true, false},
		{"the filters answer as before, and should not", 403, 403, 401, false, false, false},
		{"the filters still let it pass", 200, 200, 403, false, false, false},
		{"nor did what is served, which has the same check", 200, 200, 403, false, true, true},
		{"and did not so before", 403, 200, 403, false, true, false},
		{"nobody can connect, before and after", 0, 0, 403, false, true, true},
		{"nobody can connect any more", 403, 0, 403, false, true, false},
		{"the filters fail where they should deny", 503, 503, 403, false, true, false},
		{"the service fails otherwise than before", 503, 500, 200, true, true, false},
		{"it failed once, and is answered as wanted again", 503, again, 200, true, false, true},
		{"so it is, and was answered by the service before", 404, again, 200, true, true, false},
		{"so it is, and held before", 200, again, 200, true, true, false},
	} {
		f := &Fleet{now: epoch, Rollout: newRollout(Revision{ID: "two"}, defaultPlan(), epoch)}
		s := &step{Fleet: f}
		s.noteBefore(Probed{Node: "a", Before: []CheckAnswer{{Check: live, Status: c.before, Want: c.want}}})
		wrong := CheckAnswer{Check: live, Status: c.after, Want: c.want, Passes: c.passes, Old: c.old}
		if c.after == again {
			wrong.Status, wrong.Again = c.want, true
		}
		e := Probed{Node: "a", Wrong: []CheckAnswer{wrong}}
		if got := s.excused(e); got != c.excused {
			t.Errorf("%s: excused: %v", c.name, got)
		}
		e.Node = "b"
		if s.excused(e) {
			t.Errorf("%s: another proxy's answer excuses it", c.name)
		}
	}
}

// A rate limit's answer in the real listener is no evidence where the shadow has proven the
// check; where it has not, or the check is about the limit, it is.
func TestRateLimitIsNoEvidence(t *testing.T) {
	for _, c := range []struct {
		name           string
		answered, want int
		shadow         bool
		excused        bool
	}{
		{"a rate limit beside a filter that denies", 429, 403, true, true},
		{"or of the service", 429, 200, true, true},
		{"nothing has proven it", 429, 403, false, false},
		{"another answer", 403, 200, true, false},
		{"the filter is to limit, and does not", 200, 429, true, false},
	} {
		plan := defaultPlan()
		plan.Shadow, plan.ShadowChecks = c.shadow, c.shadow
		s := &step{Fleet: &Fleet{now: epoch, Rollout: newRollout(Revision{ID: "two"}, plan, epoch)}}
		e := Probed{Node: "a", Wrong: []CheckAnswer{{Check: live, Status: c.answered, Want: c.want}}}
		if got := s.excused(e); got != c.excused {
			t.Errorf("%s: excused: %v", c.name, got)
		}
		e.Wrong = append(e.Wrong, CheckAnswer{Check: live, Status: 500, Want: 200})
		if s.excused(e) {
			t.Errorf("%s: it excuses another check", c.name)
		}
	}
}

// opened is a fleet whose first revision proxy a has in its real listener.
func opened(plan Plan) *Fleet {
	f := &Fleet{}
	f.Step(Joined{Node: "a", Health: true, Fresh: true}, epoch)
	f.Step(Health{Node: "a", Open: true}, epoch)
	f.Step(Offered{ID: "one", Plan: plan}, epoch)
	f.Step(Stored{ID: "one"}, epoch)
	f.Step(Served{Node: "a", Live: f.Target("a").Live, Shadow: f.Target("a").Shadow}, epoch)
	for at := range 12 {
		f.Step(Probed{Node: "a", Of: "one", Probe: ProbeShadow, Passed: true}, epoch.Add(time.Duration(at)*100*time.Millisecond))
	}
	f.Step(Served{Node: "a", Live: f.Target("a").Live, Shadow: f.Target("a").Shadow}, epoch.Add(1200*time.Millisecond))
	return f
}

// failing is a report that the service, or what stands for it, answers so.
func failing(status int, passes bool) Probed {
	return Probed{Node: "a", Of: "one", Probe: ProbeLive, Failed: live, Wrong: []CheckAnswer{{Check: live, Status: status, Want: 200, Passes: passes}}}
}

// provesTwo has the shadow of a proxy pass the checks of revision "two" for more than a second, while the real
// listener, with the revision before, answers them with a status. It returns when that is over.
func provesTwo(f *Fleet, now time.Time, status int) time.Time {
	for range 12 {
		now = now.Add(100 * time.Millisecond)
		f.Step(Probed{Node: "a", Of: "two", Probe: ProbeShadow, Passed: true, Before: []CheckAnswer{{Check: live, Status: status, Want: 200}}}, now)
	}
	return now
}

// A first revision waits for its service past any deadline, says so, and is served when the
// service is there.
func TestFirstRevisionWaitsForItsService(t *testing.T) {
	f := opened(defaultPlan())
	now := epoch.Add(2 * time.Second)
	f.Step(failing(500, true), now) // its own, which only counters tell from the filters'
	for range 600 {
		now = now.Add(time.Second)
		f.Step(failing(500+3*(now.Second()%2), true), now)
		f.Step(Tick{}, now)
		f.Step(Counted{Node: "a", Counters: Counters{At: now, Requests: 100, Errors: 100, ServiceErrors: 110}}, now)
	}
	if h := f.HoldUp(now); h == nil || h.Kind != WaitService || !h.Until.IsZero() || len(f.Rejected) > 0 {
		t.Fatalf("it waits for %+v, rejected: %v", h, f.Rejected)
	}
	f.Step(Probed{Node: "a", Of: "one", Probe: ProbeLive, Passed: true}, now)
	if f.Serving.ID != "one" {
		t.Errorf("it serves %q", f.Serving.ID)
	}
}

// A revision that is saved while the first one waits for its service waits for it as well, with
// a shadow and without: it is neither served, nor rejected for what was so before.
func TestSaveWhileTheFirstRevisionWaits(t *testing.T) {
	bare := defaultPlan()
	bare.Shadow, bare.ShadowChecks = false, false
	for name, plan := range map[string]Plan{"proven in the shadow": defaultPlan(), "told by the counters": bare} {
		f := opened(plan)
		now := epoch.Add(2 * time.Second)
		waits := func(id string) {
			t.Helper()
			for range 30 {
				now = now.Add(time.Second)
				report := failing(503, true)
				report.Of = id
				f.Step(report, now)
				f.Step(Counted{Node: "a", Counters: Counters{At: now, Requests: 100, Errors: 100, ServiceErrors: 110}}, now)
				f.Step(Tick{}, now)
			}
			if h := f.HoldUp(now); h == nil || h.Kind != WaitService || len(f.Rejected) > 0 || f.Serving.ID != "" {
				t.Fatalf("%s: %s waits for %+v, rejected: %+v, serving %q", name, id, h, f.Rejected, f.Serving.ID)
			}
		}
		give := func() { a := f.Target("a"); f.Step(Served{Node: "a", Live: a.Live, Shadow: a.Shadow}, now) }
		waits("one")
		f.Step(Offered{ID: "two", Plan: plan}, now)
		f.Step(Stored{ID: "two"}, now)
		give()
		now = provesTwo(f, now, 503)
		give()
		waits("two")
		f.Step(Probed{Node: "a", Of: "two", Probe: ProbeLive, Passed: true}, now)
		if f.Serving.ID != "two" {
			t.Errorf("%s: it serves %q", name, f.Serving.ID)
		}
	}
}

// What fails only since the revision is there is not the service's lateness, though nothing is
// served yet: the checks have held with the one before.
func TestSaveThatBreaksTheFirstRevision(t *testing.T) {
	f := opened(defaultPlan())
	now := epoch.Add(2 * time.Second)
	give := func() { a := f.Target("a"); f.Step(Served{Node: "a", Live: a.Live, Shadow: a.Shadow}, now) }
	f.Step(Offered{ID: "two", Plan: defaultPlan()}, now)
	f.Step(Stored{ID: "two"}, now)
	give()
	now = provesTwo(f, now, 200)
	give()
	report := failing(503, true)
	report.Of = "two"
	for range 3 {
		now = now.Add(time.Second)
		f.Step(report, now)
	}
	if len(f.Rejected) != 1 || f.Target("a").Live != closedMark+"two" {
		t.Errorf("rejected: %+v, it is to have %+v", f.Rejected, f.Target("a"))
	}
}

// What filters answer is not waited for: by a check that no service answers, by counters,
// or where neither a shadow nor counters tell.
func TestFirstRevisionDoesNotWaitForItsFilters(t *testing.T) {
	bare := defaultPlan()
	bare.Shadow, bare.ShadowChecks = false, false
	for name, c := range map[string]struct {
		plan   Plan
		report Probed
		count  Counters
	}{
		"a check of the filters' own": {defaultPlan(), failing(503, false), Counters{}},
		"another answer":              {defaultPlan(), failing(403, true), Counters{}},
		"a 500, and no counters":      {defaultPlan(), failing(500, true), Counters{}},
		"a 500, and its filters'":     {defaultPlan(), failing(500, true), Counters{Filtered: 5}},
		"the counters":                {defaultPlan(), failing(503, true), Counters{Filtered: 5}},
		"nothing tells":               {bare, failing(503, true), Counters{}},
	} {
		f := opened(c.plan)
		now := epoch.Add(1500 * time.Millisecond)
		for range 5 {
			now = now.Add(time.Second)
			f.Step(c.report, now)
			c.count.At = now
			f.Step(Counted{Node: "a", Counters: c.count}, now)
		}
		if len(f.Rejected) != 1 || f.Rejected[0].Surroundings {
			t.Errorf("%s: rejected: %+v, waits for %+v", name, f.Rejected, f.HoldUp(now))
		}
		if a := f.Target("a"); a.Live != closedMark+"one" {
			t.Errorf("%s: it is to have %+v", name, a)
		}
	}
}

// failsAfterFlip is a second revision whose check fails once it has flipped. Counters tell whose
// doing it is, before the check does, or after it.
func failsAfterFlip(before, held bool, told Counters) *Fleet {
	f := opened(defaultPlan())
	now := epoch.Add(2 * time.Second)
	f.Step(Probed{Node: "a", Of: "one", Probe: ProbeLive, Passed: true}, now)
	plan := defaultPlan()
	f.Step(Offered{ID: "two", Plan: plan}, now)
	f.Step(Stored{ID: "two"}, now)
	give := func() { a := f.Target("a"); f.Step(Served{Node: "a", Live: a.Live, Shadow: a.Shadow}, now) }
	give()
	give()
	now = provesTwo(f, now, 200)
	give()
	if before {
		f.Step(Counted{Node: "a", Counters: Counters{At: now, ServiceErrors: 3}}, now)
	}
	if held {
		f.Step(Probed{Node: "a", Of: "two", Probe: ProbeLive, Passed: true}, now)
	}
	report := failing(503, true)
	report.Of = "two"
	f.Step(report, now)
	now = now.Add(blip)
	f.Step(report, now) // asked anew
	if !before {
		now = now.Add(time.Second)
		f.Step(Counted{Node: "a", Counters: told}, now)
	}
	return f
}

// Where a service fails only after the flip, and the counters say that it is the service's
// doing, before the check fails or, where it has held since, a moment later, the revision is
// taken back, and tried again by itself.
func TestServiceThatFailsAfterTheFlipIsTheSurroundings(t *testing.T) {
	for name, c := range map[string]struct {
		before, held, service bool
		told                  Counters
	}{
		"told before":          {true, false, true, Counters{}},
		"told after":           {false, true, true, Counters{ServiceErrors: 3}},
		"not told":             {false, true, false, Counters{Requests: 3}},
		"a filter":             {false, true, false, Counters{ServiceErrors: 3, Filtered: 2}},
		"a cluster of its own": {false, false, true, Counters{ServiceErrors: 3}},
	} {
		f := failsAfterFlip(c.before, c.held, c.told)
		if len(f.Rejected) != 1 || f.Rejected[0].Surroundings != c.service || f.Serving.ID != "one" {
			t.Errorf("%s: it serves %s; rejected: %+v", name, f.Serving.ID, f.Rejected)
		}
	}
}

// A service that answers 4xx while a first revision starts is waited for where the shadow has
// proven the filters and the counters say that the service did: until the deadline, which is
// said, and what a person can do. Without either, it may be a filter's answer.
func TestFirstRevisionWaitsForAServiceThatDenies(t *testing.T) {
	bare := defaultPlan()
	bare.ShadowChecks = false
	for name, c := range map[string]struct {
		plan  Plan
		count Counters
		waits bool
	}{
		"the service": {defaultPlan(), Counters{Requests: 5, ServiceDenials: 5}, true},
		"a filter":    {defaultPlan(), Counters{Requests: 5}, false},
		"not proven":  {bare, Counters{Requests: 5, ServiceDenials: 5}, false},
	} {
		f := opened(c.plan)
		now := epoch.Add(1500 * time.Millisecond)
		ask := func(seconds int) {
			for range seconds {
				now = now.Add(time.Second)
				f.Step(failing(404, true), now)
				c.count.At = now
				f.Step(Counted{Node: "a", Counters: c.count}, now)
				f.Step(Tick{}, now)
			}
		}
		ask(6)
		if h := f.HoldUp(now); c.waits != (h != nil && h.Kind == WaitService && !h.Until.IsZero()) || c.waits == (len(f.Rejected) > 0) {
			t.Errorf("%s: waits for %+v, rejected: %+v", name, h, f.Rejected)
		}
		if !c.waits {
			continue
		}
		ask(60)
		if len(f.Rejected) != 1 || !f.Rejected[0].Surroundings || !strings.Contains(f.Rejected[0].Reason, "mend the service") {
			t.Errorf("%s: after the deadline: %+v, waits for %+v", name, f.Rejected, f.HoldUp(now))
		}
	}
}

// A first revision is rejected past the limit for troubled proxies where none has it, and is
// tried again; where one has it, it serves there.
func TestFirstRevisionPastTheLimit(t *testing.T) {
	for name, c := range map[string]struct {
		busy     []string
		all      []string
		rejected bool
	}{
		"one of three": {[]string{"a"}, []string{"a", "b", "c"}, false},
		"two of three": {[]string{"a", "b"}, []string{"a", "b", "c"}, false},
		"both of two":  {[]string{"a", "b"}, []string{"a", "b"}, true},
		"the only one": {[]string{"a"}, []string{"a"}, false},
	} {
		plan := defaultPlan()
		plan.Shadow, plan.ShadowChecks, plan.LiveChecks = false, false, false
		f := &Fleet{}
		for _, node := range c.all {
			f.Step(Joined{Node: node, Fresh: true}, epoch)
		}
		f.Step(Offered{ID: "one", Plan: plan}, epoch)
		f.Step(Stored{ID: "one"}, epoch)
		for _, node := range c.busy {
			f.Step(Troubled{Node: node, Live: "one", Reason: "its port is in use"}, epoch)
		}
		for _, node := range c.all {
			if !slices.Contains(c.busy, node) {
				f.Step(Served{Node: node, Live: "one"}, epoch)
			}
		}
		if rejected := len(f.Rejected) == 1 && f.Rejected[0].Surroundings; rejected != c.rejected {
			t.Errorf("%s: %+v, serving %q", name, f.Rejected, f.Serving.ID)
		}
		if serves := f.Serving.ID == "one"; serves != (len(c.all) > len(c.busy)) {
			t.Errorf("%s: serving %q", name, f.Serving.ID)
		}
		if !c.rejected {
			continue
		}
		again := slices.ContainsFunc(f.Step(Tick{}, epoch.Add(2*time.Second)), func(e Effect) bool { _, ok := e.(Offer); return ok })
		if !again {
			t.Errorf("%s: it is not tried again", name)
		}
	}
}
