package rollout

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// Of few requests a difference is certain only where it is large.
func TestByChance(t *testing.T) {
	for _, c := range []struct {
		newErrors, newRequests, oldErrors, oldRequests uint64
		more                                           bool
	}{
		{2, 20, 0, 20, false}, // twice the limit, and chance
		{2, 20, 0, 800, false},
		{6, 20, 0, 20, false},
		{20, 20, 0, 20, true},
		{6, 20, 0, 100, true},
		{6, 60, 0, 600, true},
		{600, 2000, 580, 2000, false},
		{600, 2000, 300, 2000, true},
		{0, 20, 20, 20, false},
		{20, 20, 20, 20, false},
	} {
		if p := byChance(c.newErrors, c.newRequests, c.oldErrors, c.oldRequests); (p < chance) != c.more {
			t.Errorf("%+v: by chance %g", c, p)
		}
	}
	// Fisher's lady, who told all of eight cups, and one with two mistaken: 1 and 17 of 70.
	for told, ways := range map[uint64]float64{4: 1, 3: 17} {
		if p := byChance(told, 4, 4-told, 4); math.Abs(p-ways/70) > 1e-9 {
			t.Errorf("%d of 4 cups: %v", told, p)
		}
	}
}

// rate is the share of requests that fail at a moment, of those of the new and of the old.
type rate func(at time.Duration) (newer, older float64)

// canary has one of six proxies on a new revision, or all but two, for as long as it takes or two minutes,
// each reporting when it does and with some requests, and returns when it was rejected.
func canary(t *testing.T, r *rand.Rand, newOnes int, flush time.Duration, requests int, fails rate) (after time.Duration, reason string) {
	t.Helper()
	f, plan := &Fleet{}, defaultPlan()
	plan.Stages[0].Bake, plan.Stages[0].Proxies, plan.Stages[0].Manual = 0, newOnes, true
	plan.ShadowChecks, plan.LiveChecks = false, false
	var nodes []string
	next := map[string]time.Time{}
	for i := range 6 {
		node := fmt.Sprint("p", i)
		nodes = append(nodes, node)
		next[node] = epoch.Add(time.Duration(r.Int64N(int64(flush))))
		f.Step(Joined{Node: node}, epoch)
	}
	give := func(now time.Time) {
		for range 3 {
			for _, node := range nodes {
				a := f.Target(node)
				f.Step(Served{Node: node, Live: a.Live, Shadow: a.Shadow}, now)
			}
		}
	}
	offer := func(id string, now time.Time) {
		f.Step(Offered{ID: id, Plan: plan}, now)
		f.Step(Stored{ID: id}, now)
		give(now)
	}
	offer("one", epoch)
	begin := epoch.Add(10 * flush)
	offered := false
	for now := epoch; now.Before(begin.Add(2 * time.Minute)); now = now.Add(100 * time.Millisecond) {
		if !offered && now.After(begin) {
			offered = true
			offer("two", now)
		}
		f.Step(Tick{}, now)
		for _, node := range nodes {
			if now.Before(next[node]) {
				continue
			}
			next[node] = now.Add(flush)
			c := Counters{At: now}
			for range requests/2 + r.IntN(requests+1) {
				newer, older := fails(now.Add(-time.Duration(r.Int64N(int64(flush)))).Sub(begin))
				if f.Accepted(node).Live == "two" {
					older = newer
				}
				c.Requests++
				if r.Float64() < older {
					c.Errors++
				}
			}
			f.Step(Counted{Node: node, Counters: c}, now)
		}
		if len(f.Rejected) > 0 {
			return now.Sub(begin), f.Rejected[0].Reason
		}
	}
	return 0, ""
}

// outages are times in which the service fails for all, in whole or in part.
func outages(r *rand.Rand) rate {
	type outage struct {
		from, to time.Duration
		share    float64
	}
	var all []outage
	for at := 5 * time.Second; at < 2*time.Minute; {
		at += time.Duration(r.Int64N(int64(20 * time.Second)))
		length := []time.Duration{300 * time.Millisecond, 2 * time.Second, 30 * time.Second}[r.IntN(3)]
		all = append(all, outage{at, at + time.Duration(r.Int64N(int64(length))), []float64{0.1, 0.5, 1}[r.IntN(3)]})
		at += length
	}
	return func(at time.Duration) (newer, older float64) {
		for _, o := range all {
			if at >= o.from && at < o.to {
				return o.share, o.share
			}
		}
		return 0.002, 0.002
	}
}

// Whatever outages the service has, and whenever a proxy says so: what hits all is no
// evidence against the revision of some.
func TestOutageOfAllIsNoEvidence(t *testing.T) {
	for seed := range uint64(90) {
		r := rand.New(rand.NewPCG(seed, 1))
		flush := []time.Duration{time.Second, time.Second, 5 * time.Second}[seed%3]
		requests := []int{2, 30, 500}[seed/3%3]
		if after, reason := canary(t, r, 1+4*int(seed%2), flush, requests, outages(r)); reason != "" {
			t.Errorf("seed %d (flush %s, %d requests): rejected after %s: %s", seed, flush, requests, after, reason)
		}
	}
}

// What hits the new ones alone is found, also where the service has an outage for all at times,
// and where they are asked little.
func TestErrorsOfTheNewOnesAreFound(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 2))
		requests := []int{3, 30, 500}[seed%3]
		all := outages(r)
		after, reason := canary(t, r, 1+4*int(seed%2), time.Second, requests, func(at time.Duration) (newer, older float64) {
			newer, older = all(at)
			if at > 6*time.Second {
				newer += (1 - newer) * 0.5
			}
			return newer, older
		})
		if reason == "" || after < 6*time.Second {
			t.Errorf("seed %d (%d requests): rejected after %s: %s", seed, requests, after, reason)
		}
	}
}

// A proxy that failed more than the others before it had the revision may do so after it.
func TestProxyThatFailedMoreBefore(t *testing.T) {
	m, limits := errorsMeasure, Limits{Errors: 0.05, MinRequests: 20}
	now, old := window{requests: 1000, errors: 210}, meanwhile{window: window{requests: 5000, errors: 10}}
	if m.worse(now, old, limits, 0) == "" {
		t.Error("a fifth fails, and of the others none: that is worse")
	}
	p := &proxy{traffic: traffic{ownBefore: window{requests: 100, errors: 20}, restBefore: window{requests: 100}}}
	if why := m.worse(now, old, limits, m.apart(p)); why != "" {
		t.Errorf("it did before: %s", why)
	}
}
