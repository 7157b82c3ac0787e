package rollout

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// shortLived is a fleet whose proxies live for about so long, each under an id of its own; one that was given
// a candidate ends by that after ends, if it is not zero.
type shortLived struct {
	crowd
	lives, ends time.Duration
	alive       []string
	dies        map[string]time.Time
}

func (l *shortLived) born() {
	node := id(l.n)
	l.n++
	l.step(Joined{Node: node, Attributes: map[string]string{"id": node}, Health: true, Fresh: true})
	l.step(Health{Node: node, Open: true})
	l.alive = append(l.alive, node)
	// A golden angle spreads them without chance: between a half and one and a half of their usual life.
	part := math.Mod(float64(l.n)*0.618034, 1)
	l.dies[node] = l.now.Add(time.Duration((0.5 + part) * float64(l.lives)))
}

// lasts lets time pass until it is so, or for six minutes.
func (l *shortLived) lasts(until func() bool) (took time.Duration) {
	for begun := l.now; !until() && took < 6*time.Minute; took = l.now.Sub(begun) {
		l.now = l.now.Add(tickEvery)
		l.step(Tick{})
		for _, node := range slices.Clone(l.alive) {
			before := l.f.Accepted(node)
			l.answer(node)
			if after := l.f.Accepted(node); l.ends > 0 && (after.Live == "bad" || after.Shadow == "bad") && before != after {
				l.dies[node] = l.now.Add(l.ends)
			}
			if !l.now.Before(l.dies[node]) {
				l.alive = slices.DeleteFunc(l.alive, func(n string) bool { return n == node })
				l.step(Health{Node: node, Open: false})
				l.step(Left{Node: node})
				l.born()
			}
		}
	}
	return took
}

// In a fleet whose proxies live for seconds a good revision is served, and one that ends them is rejected.
func TestFleetOfShortLives(t *testing.T) {
	for _, n := range []int{4, 30, 100} {
		for _, lives := range []time.Duration{30 * time.Second, 90 * time.Second} {
			for _, ends := range []time.Duration{0, 200 * time.Millisecond} {
				t.Run(fmt.Sprintf("%d live %s, end after %s", n, lives, ends), func(t *testing.T) {
					l := &shortLived{crowd: *newCrowd(), lives: lives, ends: ends, dies: map[string]time.Time{}}
					l.step(Left{Node: id(0)})
					for range n {
						l.born()
					}
					begun := l.now
					l.lasts(func() bool { return l.now.Sub(begun) > 5*time.Minute })
					plan := crowdPlan(5 * time.Second)
					plan.Stages[0].Deadline, plan.Stages[1].Deadline = time.Minute, time.Minute
					l.step(Offered{ID: "bad", Plan: plan})
					l.step(Stored{"bad"})
					took := l.lasts(func() bool { return l.f.Rollout == nil })
					served := l.f.Serving.ID == "bad"
					t.Logf("served: %t, after %s", served, took)
					if served != (ends == 0) || l.f.Rollout != nil {
						t.Errorf("it is served: %t, after %s; %s", served, took, hold(&l.crowd))
						for _, e := range l.f.History[max(0, len(l.f.History)-8):] {
							t.Log(describe(Tell{e}))
						}
					}
				})
			}
		}
	}
}

// The most that leave by chance is the quantile of Poisson's distribution.
func TestMayLeave(t *testing.T) {
	for _, e := range []float64{0, 0.0005, 0.01, 0.5, 3, 20, 200, 650, 5000} {
		n, above := mayLeave(e), 0.0
		lgamma := func(k int) float64 { v, _ := math.Lgamma(float64(k) + 1); return v }
		for k := n + 1; e > 0 && k < n+2000; k++ {
			above += math.Exp(-e + float64(k)*math.Log(e) - lgamma(k))
		}
		if above > turnoverChance*1.05 {
			t.Errorf("of %g expected more than %d leave with a chance of %g", e, n, above)
		}
		if at := math.Exp(-e + float64(n)*math.Log(max(e, 1e-300)) - lgamma(n)); n > 0 && above+at < turnoverChance*0.95 {
			t.Errorf("of %g expected %d is too many: %g", e, n, above+at)
		}
	}
}
