package rollout

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// trial is one of many: the first ones are of each size.
func trial(i int, seed uint64, kind string) *simulated {
	return &simulated{
		r: rand.New(rand.NewPCG(uint64(i), seed)), kind: kind,
		proxies: []int{3, 1, 6, 20}[i%4], rate: []float64{100, 10, 1000, 2}[i/4%4],
	}
}

// good rolls n good changes out, and returns why some were rejected.
func good(kind string, n int, soon bool) (rejected []string) {
	for i := range n {
		s := trial(i, 1, kind)
		s.soon = soon
		if reason, after := s.run(defaults()); reason != "" {
			rejected = append(rejected, fmt.Sprintf("%s, trial %d, %d proxies of %.0f requests a second: after %s: %s", kind, i, s.proxies, s.rate, after, reason))
		}
	}
	return rejected
}

// Whatever goes on beside a good change, it is served.
func TestGoodChangesAreServed(t *testing.T) {
	for _, kind := range kinds {
		for _, why := range append(good(kind, 5, false), good(kind, 2, true)...) {
			t.Error(why)
		}
	}
}

var faults = []struct {
	what string
	of   func(share float64) fault
}{
	{"more 4xx", func(share float64) fault { return fault{denies: share} }},
	{"more 3xx", func(share float64) fault { return fault{redirects: share} }},
	{"fewer 4xx", func(share float64) fault { return fault{opens: share} }},
}

// find rolls n bad changes out, each of a fleet that is made for it, and returns how many are found
// on the canary, and how many at all.
func find(n int, plan Plan, fleet func(i uint64) *simulated) (canary, all int) {
	for i := range n {
		s := fleet(uint64(i))
		if reason, _ := s.run(plan); reason == "" {
			continue
		}
		all++
		if len(s.flippedAt) == 1 {
			canary++
		}
	}
	return canary, all
}

// findOthers rolls out what answers otherwise.
func findOthers(n int, rate, limit float64, bad fault) (canary, all int) {
	plan := defaults()
	plan.Limits.Answers = limit
	return find(n, plan, func(i uint64) *simulated {
		return &simulated{r: rand.New(rand.NewPCG(i, 7)), proxies: 3, rate: rate, kind: "steady", fault: bad, denied: max(0.1, bad.opens)}
	})
}

// What a new revision answers otherwise is found, and where it is much, on the canary.
func TestOtherAnswersAreFound(t *testing.T) {
	for _, f := range faults {
		for rate, share := range map[float64]float64{10: 0.6, 100: 0.2, 1000: 0.1} {
			if canary, _ := findOthers(4, rate, 0.05, f.of(share)); canary < 3 {
				t.Errorf("%s for %.0f%% of %.0f requests a second: found on %d of 4 canaries", f.what, 100*share, rate, canary)
			}
		}
	}
}

// A person can say that other answers are meant; and a file, that they are never evidence.
func TestOtherAnswersThatAreMeant(t *testing.T) {
	denies := func() *simulated {
		return &simulated{r: rand.New(rand.NewPCG(1, 2)), proxies: 3, rate: 100, kind: "steady", fault: fault{denies: 0.5}}
	}
	s := denies()
	if reason, _ := s.run(defaults()); reason == "" {
		t.Fatal("half of the requests are denied, and that is not found")
	}
	s.f.Step(Command{Verb: Retry, By: "ann", AnswersMeant: true}, s.now)
	s.saves(defaults())
	if reason, _ := s.goOn(); reason != "" {
		t.Errorf("it is meant, and rejected again: %s", reason)
	}
	off := defaults()
	off.Limits.Answers = 0
	if reason, _ := denies().run(off); reason != "" {
		t.Errorf("it is no evidence, and rejected: %s", reason)
	}
	s = denies()
	s.run(defaults())
	s.saves(off) // only the limit is another: it is tried again by that
	if reason, _ := s.goOn(); reason != "" {
		t.Errorf("it is no evidence any more, and rejected: %s", reason)
	}
}

// go test ./internal/rollout -run - -bench GoodChanges -benchtime 1x
func BenchmarkGoodChanges(b *testing.B) {
	for b.Loop() {
		for _, kind := range kinds {
			rejected, soon := good(kind, 400, false), good(kind, 100, true)
			fmt.Printf("| %s | %d of 400 | %d of 100 |\n", kind, len(rejected), len(soon))
			for _, why := range append(rejected, soon...) {
				fmt.Println(why)
			}
		}
	}
}

// go test ./internal/rollout -run - -bench Power -benchtime 1x
func BenchmarkPower(b *testing.B) {
	const n = 40
	for b.Loop() {
		for _, f := range faults {
			for _, limit := range []float64{0.05, 0.01} {
				for _, rate := range []float64{10, 100, 1000} {
					fmt.Println(smallest(n, f.what, f.of, limit, rate))
				}
			}
		}
	}
}

// smallest looks for the smallest fault of which 19 of 20 are found.
func smallest(n int, what string, of func(float64) fault, limit, rate float64) string {
	for _, share := range []float64{0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8} {
		if canary, all := findOthers(n, rate, limit, of(share)); 20*canary >= 19*n {
			return fmt.Sprintf("| %s | %.0f%% | %.0f | %.1f%% | %d of %d | %d of %d |", what, 100*limit, rate, 100*share, canary, n, all, n)
		}
	}
	return fmt.Sprintf("| %s | %.0f%% | %.0f | none | | |", what, 100*limit, rate)
}
