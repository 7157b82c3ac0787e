package rollout

import (
	"testing"
	"time"
)

// What users were answered 5xx while the service behind a first revision was not there is no
// evidence when it is served, however long it was waited for, also where the proxy was started
// anew meanwhile; what they are answered so after that is, at once.
func TestServedAfterALateService(t *testing.T) {
	for name, restarted := range map[string]bool{"it waits": false, "it waits, and is started anew": true} {
		for _, bake := range []time.Duration{0, 3 * time.Second} {
			plan := defaultPlan()
			plan.Stages = []Stage{{Name: "all", Percent: 100, Bake: bake, Deadline: time.Minute}}
			plan.Watch, plan.OnEvidence = time.Hour, OnEvidenceUndo
			l := late{opened(plan), epoch.Add(2 * time.Second)}
			l.second(failing(503, true), 20)
			for range 10 {
				l.second(failing(503, true), 20)
			}
			if restarted {
				l.restarts()
			}
			l.second(Probed{Node: "a", Of: "one", Probe: ProbeLive, Passed: true}, 10)
			for range 6 {
				l.second(Probed{Node: "a", Of: "one", Probe: ProbeLive, Passed: true}, 0)
			}
			if l.Serving.ID != "one" || l.Watch == nil || l.Watch.Degraded != nil {
				t.Fatalf("%s, bake %s: it serves %q, watched by %+v", name, bake, l.Serving.ID, l.Watch)
			}
			l.second(Probed{Node: "a", Of: "one", Probe: ProbeLive, Passed: true}, 40)
			if l.Watch != nil && l.Watch.Degraded == nil {
				t.Errorf("%s, bake %s: the service is gone again, and nothing is said", name, bake)
			}
		}
	}
}

type late struct {
	*Fleet
	now time.Time
}

// second has a proxy say what came of its checks, and of 50 requests how many were answered 5xx.
func (l *late) second(e Probed, errors uint64) {
	l.now = l.now.Add(time.Second)
	l.Step(e, l.now)
	l.take()
	l.Step(Counted{Node: "a", Counters: Counters{At: l.now, Requests: 50, Begun: 50, Errors: errors, ServiceErrors: errors}}, l.now)
	l.Step(Tick{}, l.now)
}

func (l *late) take() {
	a := l.Target("a")
	l.Step(Served{Node: "a", Live: a.Live, Shadow: a.Shadow}, l.now)
}

// restarts has the proxy be a new process, which gets what the old one had.
func (l *late) restarts() {
	l.Step(Left{Node: "a"}, l.now)
	l.Step(Joined{Node: "a", Attributes: map[string]string{"id": "a"}, Health: true, Fresh: true}, l.now)
	l.Step(Health{Node: "a", Open: true}, l.now)
	for range 3 {
		l.take()
		l.second(Probed{Node: "a", Of: "one", Probe: ProbeShadow, Passed: true}, 20)
	}
	l.second(failing(503, true), 20)
}
