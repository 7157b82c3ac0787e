package rollout

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// findSoon saves n changes 1.5 s after another one is served, whose last stage has baked for some
// time. Each lets a third of the requests in, which were denied. It returns how many are found on the
// canary, and how many at all.
func findSoon(n, proxies int, rate float64, bake time.Duration) (canary, all int) {
	plan := defaults()
	plan.Stages[1].Bake = bake
	return find(n, plan, func(i uint64) *simulated {
		return &simulated{r: rand.New(rand.NewPCG(i, 9)), proxies: proxies, rate: rate, kind: "steady", fault: fault{opens: 0.33}, denied: 0.33, soon: true}
	})
}

// What is saved right after another rollout is held against the other proxies, and where there are
// none, against what users are answered in the next seconds.
func TestOtherAnswersAreFoundRightAfterAnotherRollout(t *testing.T) {
	for _, proxies := range []int{1, 3, 6} {
		if canary, _ := findSoon(8, proxies, 100, 0); canary < 7 {
			t.Errorf("%d proxies: found on %d of 8 canaries", proxies, canary)
		}
	}
}

// go test ./internal/rollout -run - -bench RightAfter -benchtime 1x
func BenchmarkRightAfterAnotherRollout(b *testing.B) {
	for b.Loop() {
		for _, bake := range []time.Duration{0, 5 * time.Second} {
			for _, proxies := range []int{1, 2, 3, 6} {
				for _, rate := range []float64{10, 100, 1000} {
					canary, all := findSoon(40, proxies, rate, bake)
					fmt.Printf("| %s | %d | %.0f | %d of 40 | %d of 40 |\n", bake, proxies, rate, canary, all)
				}
			}
		}
	}
}

// Of ten thousand that are slow at once each is held against the others, and only the first in a
// second looks at them: it is what they show at that moment.
func TestManySlowOnesLookAtTheFleetOnce(t *testing.T) {
	j := flippedProxy(t)
	limits := Limits{Latency: 5, MinRequests: 20}
	p, other := j.proxies["p"], j.proxies["other"]
	slow := window{requests: 200, median: 500, p99: 900, span: time.Second}
	for range 8 {
		p.traffic.after.add(slow)
	}
	for range 2 {
		if !j.worseBy(0, p, limits, apart) {
			t.Fatal("it is slower than before, and than the other, and that is not found")
		}
		for range 3 { // the other is as slow, which is seen in the next second
			other.traffic.before.add(slow)
		}
	}
	looked := testing.AllocsPerRun(100, func() { j.worseBy(0, p, limits, apart) })
	if looked > 0 {
		t.Errorf("a report of a slow proxy allocates %.0f times: it looks at the fleet", looked)
	}
	if j.now = j.now.Add(time.Second); j.worseBy(0, p, limits, apart) {
		t.Error("the other is as slow now, and that is not seen")
	}
	left := testing.AllocsPerRun(100, func() { j.leftElsewhere() })
	if left > 0 {
		t.Errorf("requests that pile up on a proxy have it allocate %.0f times: it looks at the fleet", left)
	}
}

// go test ./internal/rollout -run - -bench SlowOnes
func BenchmarkSlowOnes(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			j := flippedProxy(&testing.T{})
			p, slow := j.proxies["p"], window{requests: 200, median: 500, p99: 900, span: time.Second}
			for range 8 {
				p.traffic.after.add(slow)
			}
			for i := range n {
				one := *j.proxies["other"]
				j.proxies[id(i)] = &one
			}
			limits := Limits{Latency: 5, MinRequests: 20}
			for b.Loop() {
				j.worseBy(0, p, limits, apart)
			}
		})
	}
}
