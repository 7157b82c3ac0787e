package rollout

import (
	"math/rand/v2"
	"testing"
	"time"
)

// partial is a proxy that has taken a part of the candidate, and answers so many requests a second,
// of which shares are answered 5xx before and after it has; by a filter, where it says so. others is
// whether another proxy has the revision before. It returns what is found in some seconds.
func partial(t *testing.T, r *rand.Rand, rate float64, before, after float64, byFilter, others bool) string {
	t.Helper()
	j := flippedProxy(t)
	p := j.proxies["p"]
	p.trouble, p.traffic.before, j.rest = &trouble{}, share{}, share{}
	second := func(share float64) window {
		n := poisson(r, rate)
		w := window{requests: uint64(n), errors: uint64(binomial(r, n, share)), span: time.Second, at: j.now}
		if byFilter {
			w.filtered = w.errors
		}
		return w
	}
	for range 8 {
		p.traffic.before.add(second(before))
		if others {
			j.rest.add(second(before))
		}
	}
	for range 8 {
		j.now = j.now.Add(time.Second)
		w := second(after)
		p.traffic.add(w)
		if found := j.partly("p", Counters{At: j.now}, w); found.reason != "" {
			return found.reason
		}
	}
	return ""
}

// Of a thousand good changes ten may be rejected by chance, for what a proxy answers that has a part of
// them; and what fails for a third more of the requests is found. Where requests are so few that
// none may have failed before, any are news, and forty may be.
func TestPartsOfGoodChangesAreServed(t *testing.T) {
	for _, rate := range []float64{10, 30, 100} {
		for _, usual := range []float64{0.02, 0.1, 0.3} {
			few := 10
			if 8*rate*usual < 4 {
				few = 40
			}
			for _, byFilter := range []bool{false, true} {
				for _, others := range []bool{false, true} {
					good := manyParts(t, 1000, rate, usual, usual, byFilter, others)
					bad := manyParts(t, 50, max(rate, 50), usual, usual+1.0/3, byFilter, others)
					if t.Logf("%.0f requests a second, %.0f%% fail, by filters %t, others %t: %d of 1000", rate, 100*usual, byFilter, others, good); good > few || bad < 45 {
						t.Errorf("%d of 1000 good changes are rejected, %d of 50 bad ones", good, bad)
					}
				}
			}
		}
	}
}

// manyParts is how many of n changes are found to fail.
func manyParts(t *testing.T, n int, rate, before, after float64, byFilter, others bool) (found int) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(rate), uint64(100*before)))
	for range n {
		if partial(t, r, rate, before, after, byFilter, others) != "" {
			found++
		}
	}
	return found
}

// The same for a filter that answers 5xx itself now and then, on a proxy that has all of the
// revision, and no other beside it.
func TestFiltersThatFailNowAndThen(t *testing.T) {
	const trials, few = 1000, 10
	for _, rate := range []float64{10, 30, 100} {
		r, rejected := rand.New(rand.NewPCG(uint64(rate), 3)), 0
		for range trials {
			if filtered(t, r, rate, 0.1, 0.1) {
				rejected++
			}
		}
		if t.Logf("%.0f requests a second: %d of %d", rate, rejected, trials); rejected > few {
			t.Errorf("%.0f requests a second: %d of %d good changes are rejected", rate, rejected, trials)
		}
		found := 0
		for range 50 {
			if filtered(t, r, max(rate, 50), 0.1, 0.5) {
				found++
			}
		}
		if found < 45 {
			t.Errorf("%.0f requests a second: found %d of 50", rate, found)
		}
	}
}

// filtered is whether such shares of requests that a filter answers 5xx, before and after, are evidence.
func filtered(t *testing.T, r *rand.Rand, rate, before, after float64) bool {
	t.Helper()
	j := flippedProxy(t)
	p := j.proxies["p"]
	p.traffic.before, j.rest, p.traffic.right = share{}, share{}, true
	second := func(share float64) window {
		n := poisson(r, rate)
		k := uint64(binomial(r, n, share))
		return window{requests: uint64(n), errors: k, filtered: k, span: time.Second, at: j.now}
	}
	for range 8 {
		p.traffic.before.add(second(before))
	}
	for range 8 {
		j.now = j.now.Add(time.Second)
		p.traffic.add(second(after))
		if j.byFilters(p, j.Rollout.Plan).reason != "" {
			return true
		}
	}
	return false
}
