package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Each source finds its own fault, and nothing in a proxy that is well; and says when that
// is over, unless it is of a rollout alone. A new source needs a line here.
func TestCounterSources(t *testing.T) {
	well := Counters{Requests: 100, Begun: 100, VMs: 4, WantVMs: 4}
	faults := map[*source]struct {
		fault   Counters
		evident Evidence
	}{
		missing:           {fault: Counters{Requests: 100, Begun: 100, VMs: 3, WantVMs: 4}, evident: CrashedVMs},
		crashed:           {fault: Counters{Requests: 100, Begun: 100, VMs: 4, WantVMs: 4, Crashes: 1}, evident: CrashedVMs},
		answeredByFilters: {fault: Counters{Requests: 100, Begun: 100, VMs: 4, WantVMs: 4, Errors: 50, Filtered: 50}, evident: CrashedVMs},
		moreErrors:        {fault: Counters{Requests: 100, Begun: 100, VMs: 4, WantVMs: 4, Errors: 50}, evident: Errors},
		otherAnswers:      {fault: Counters{Requests: 100, Begun: 100, VMs: 4, WantVMs: 4, Denials: 50}, evident: OtherAnswers},
		grown:             {fault: Counters{Requests: 100, Begun: 100, VMs: 4, WantVMs: 4, Named: map[string]Named{"some": {Value: 20}}}, evident: GrownStats},
		unlikeAnswers:     {fault: Counters{Requests: 100, Begun: 100, VMs: 4, WantVMs: 4, Median: 900}, evident: OtherAnswers},
		unended:           {fault: Counters{Requests: 1, Begun: 50, Active: 50, VMs: 4, WantVMs: 4}, evident: Errors},
	}
	for _, source := range counterSources {
		t.Run(source.name, func(t *testing.T) {
			c, known := faults[source]
			if !known {
				t.Fatal("there is no fault that it finds")
			}
			s := flippedProxy(t)
			for range 6 {
				if found := s.report(well); found.reason != "" {
					t.Fatalf("a proxy that is well: %q", found.reason)
				}
			}
			var found charge
			for range 10 {
				if found = s.report(c.fault); found.reason != "" {
					break
				}
			}
			if found.from != source || found.evidence != c.evident {
				t.Errorf("%+v is found by %v: %q", c.fault, found.from, found.reason)
			}
			if source.shows(c.fault) && source.over != nil || !source.shows(well) {
				t.Error("it does not tell when it is over")
			}
		})
	}
	for source := range faults {
		if !slices.Contains(counterSources, source) {
			t.Errorf("%s is asked by nobody", source.name)
		}
	}
	if checks.shows(well) {
		t.Error("counters tell that checks hold")
	}
}

// judged is a proxy that runs a candidate.
type judged struct{ *step }

func flippedProxy(t *testing.T) judged {
	t.Helper()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	plan := Plan{Stages: []Stage{{Name: "all", Percent: 100}}, Limits: Limits{Errors: 0.05, MinRequests: 20, Answers: 0.05, Latency: 5, Length: 10}, LiveChecks: true, Evidence: []StatLimit{{Stat: "some", MaxIncrease: 3}}}
	p := &proxy{accepted: Assignment{Live: "new"}, phase: Confirming}
	f := &Fleet{Serving: Revision{ID: "old", Number: 1}, now: now, proxies: map[string]*proxy{"p": p}}
	f.Rollout = newRollout(Revision{ID: "new", Number: 2}, plan, now)
	f.habits.blocks = habitKnown
	f.Rollout.Members["p"], f.Rollout.Flipped["p"] = 0, true
	other := &proxy{accepted: Assignment{Live: "old"}}
	f.proxies["other"] = other
	for range 8 {
		other.traffic.before.add(window{requests: 100, begun: 100, median: 5, p99: 20, span: time.Second})
	}
	for range 8 { // what it answered before
		(&step{Fleet: f}).track(p, Counters{}, time.Second)
		p.traffic.before.add(window{requests: 100, begun: 100, median: 5, p99: 20, bytes: 500_000, span: time.Second})
	}
	p.traffic.habit.own = tally{answers: 3000, millis: 30000}
	p.traffic.habit.treat("old", "")
	p.traffic.flip()
	p.traffic.mixed, p.traffic.hadVMs, p.traffic.last = false, true, now
	return judged{&step{Fleet: f}}
}

// report is what a second of counters says against it.
func (j judged) report(c Counters) charge {
	j.now = j.now.Add(time.Second)
	c.At = j.now
	p := j.proxies["p"]
	w := window{requests: c.Requests, begun: c.Begun, errors: c.Errors, filtered: c.Filtered, denials: uint64(c.Denials), median: c.Median, p99: c.P99, bytes: c.Bytes, active: c.Active, at: j.now, span: time.Second}
	p.traffic.unended += int64(c.Begun) - int64(c.Requests)
	p.traffic.add(w)
	j.practise(p, w)
	j.track(p, c, w.span)
	return j.against("p", c, j.Rollout.Plan)
}

// Whatever speaks against a candidate, its reason reaches people.
func TestAccuse(t *testing.T) {
	s := flippedProxy(t)
	s.accuse("p", charge{reason: "so it is"})
	if s.Rollout != nil || !strings.Contains(s.Rejected[0].Reason, "so it is") {
		t.Errorf("%+v", s.Rejected)
	}
}

// Under FAIL_OPEN a filter that crashes at its first requests answers one of each worker, and
// lets all pass from then on: the report that tells is that of the flip itself. Where such
// answers were usual before, it tells nothing.
func TestCrashAtTheFlipUnderFailOpen(t *testing.T) {
	for _, c := range []struct {
		name        string
		phase       Phase
		before, now uint64 // requests of 100 that a filter answered 5xx
		want        bool
	}{
		{"in the report of the flip", Confirming, 0, 1, true},
		{"before the proxy said that it has it", Flipping, 0, 2, true},
		{"usual", Confirming, 50, 1, false},
		{"none", Confirming, 0, 0, false},
	} {
		s := flippedProxy(t)
		s.Rollout.Plan.FailOpen = true
		p := s.proxies["p"]
		p.phase, p.traffic.mixed = c.phase, true
		for range 8 {
			p.traffic.before.add(window{requests: 100, begun: 100, filtered: c.before, errors: c.before, span: time.Second})
		}
		for i, filtered := range []uint64{c.now, 0, 0} {
			if i > 0 {
				p.phase = Confirming
			}
			s.now = s.now.Add(time.Second)
			s.counted(Counted{Node: "p", Counters: Counters{At: s.now, Requests: 100, Begun: 100, Errors: filtered, Filtered: filtered}})
		}
		if rejected := s.Rollout == nil; rejected != c.want {
			t.Errorf("%s: rejected: %t", c.name, rejected)
		}
	}
}
