package rollout

import (
	"testing"
	"time"
)

// second is what a proxy does in one.
type second struct{ begun, answered, active int }

func (s second) count(in *share, now time.Time) {
	in.add(window{requests: uint64(s.answered), begun: uint64(s.begun), active: s.active, span: time.Second, at: now})
}

// Of requests that do not end some may be answered; and what is served goes on being watched.
func TestRequestsThatPileUp(t *testing.T) {
	well := second{100, 100, 4}
	times := func(n int, s second) (out []second) {
		for range n {
			out = append(out, s)
		}
		return out
	}
	grows := func(begun, answered int) (out []second) {
		for i := range 8 {
			out = append(out, second{begun, answered, 4 + (i+1)*(begun-answered)})
		}
		return out
	}
	for _, c := range []struct {
		name          string
		before, after []second
		rest          second // what the other proxy answers
		served        bool   // it is served, and watched
		found         bool
	}{
		{"a path hangs", times(8, well), grows(100, 70), well, false, true},
		{"a path hangs once it is served", times(8, well), grows(100, 70), well, true, true},
		{"users give up after two seconds", times(8, well), times(8, second{100, 70, 64}), well, false, true},
		{"they did so before", times(8, second{100, 75, 64}), times(8, second{100, 70, 65}), well, false, false},
		{"on all proxies", times(8, well), grows(100, 70), second{100, 60, 80}, false, false},
		{"for three seconds", times(8, well), append(grows(100, 70)[:3], times(6, well)...), well, false, false},
		{"streams that are as many", times(8, second{100, 100, 900}), append(grows(100, 70), grows(100, 70)...), well, false, false},
		{"more traffic", times(8, well), times(12, second{1000, 997, 30}), well, false, false},
		{"no traffic", times(8, well), times(12, second{0, 0, 0}), well, true, false},
		{"all hang, and nobody asks again", nil, append(times(8, well), times(6, second{0, 0, 8})...), well, true, true},
		{"users go, streams stay", nil, append(times(8, second{100, 100, 12}), times(6, second{0, 0, 8})...), well, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := false
			j := flippedProxy(t)
			p, other := j.proxies["p"], &proxy{}
			p.traffic.before, j.proxies["q"] = share{}, other
			for _, s := range c.before {
				s.count(&p.traffic.before, j.now)
			}
			if c.served {
				j.Rollout = nil
			}
			for _, s := range c.after {
				j.now = j.now.Add(time.Second)
				s.count(&p.traffic.after, j.now)
				c.rest.count(&other.traffic.before, j.now)
				found = found || unended.against(j.step, "p", Counters{}, Plan{}).reason != ""
			}
			if found != c.found {
				t.Errorf("found: %t", found)
			}
		})
	}
}
