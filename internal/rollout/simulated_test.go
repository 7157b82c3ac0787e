package rollout

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// A simulated fleet: its users, its service, and proxies that report when they do. The change
// that is rolled out is a good one, unless fault says otherwise; what happens beside it is kind's.
type simulated struct {
	r       *rand.Rand
	proxies int
	rate    float64 // requests a second of each proxy
	kind    string
	fault   fault
	denied  float64 // the share of requests that are answered 4xx before; 0 for any
	// soon says that it is saved 1.5 s after another change, which is harmless, is served.
	soon bool
	// lasts is how long a proxy that was given the change answers by it before it says that it has it.
	lasts time.Duration

	f         *Fleet
	saved     string
	now       time.Time
	flush     time.Duration
	users     []*user
	due       []time.Time
	counters  []Counters
	storms    []storm
	flippedAt map[int]time.Time
}

// fault is what the new revision does to requests that were answered 2xx, and to those that were 4xx.
type fault struct {
	denies, redirects, opens float64 // the shares of all requests that change
}

// user is a client, or many alike, at one proxy.
type user struct {
	at            int
	weight        float64
	denied, moved float64 // the shares of its requests that are answered 4xx and 3xx
	burst         int     // how many requests of it are alike
}

type storm struct {
	from, to      time.Time
	denied, fails float64
	all           bool
	at            int
}

// kinds are what goes on beside a rollout.
var kinds = []string{"steady", "unlike proxies", "bursts of one client", "storms for all", "traffic comes and goes", "users move", "clustered requests", "starved", "outages", "drift"}

func poisson(r *rand.Rand, mean float64) int {
	if mean > 30 {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*r.NormFloat64())))
	}
	n, p := 0, r.Float64()
	for limit := math.Exp(-mean); p > limit; p *= r.Float64() {
		n++
	}
	return n
}

func binomial(r *rand.Rand, n int, p float64) (k int) {
	if v := float64(n) * p * (1 - p); v > 20 {
		return min(n, max(0, int(math.Round(float64(n)*p+math.Sqrt(v)*r.NormFloat64()))))
	}
	for range n {
		if r.Float64() < p {
			k++
		}
	}
	return k
}

func (s *simulated) begin() {
	s.f, s.now, s.flippedAt = &Fleet{}, epoch, map[int]time.Time{}
	s.flush = time.Second
	s.due, s.counters = make([]time.Time, s.proxies), make([]Counters, s.proxies)
	base, moved := 0.02+0.2*s.r.Float64()*s.r.Float64(), 0.05*s.r.Float64()
	if s.denied > 0 {
		base = s.denied
	}
	for i := range s.proxies {
		s.due[i] = epoch.Add(time.Duration(s.r.Int64N(int64(s.flush))))
		users := 1 + s.r.IntN(5)
		for range users {
			weight := 0.2 + s.r.Float64()
			if s.denied > 0 {
				weight = 1 / float64(users) // the rate is exact
			}
			u := &user{at: i, weight: weight, denied: base, moved: moved, burst: 1}
			switch s.kind {
			case "unlike proxies", "users move":
				u.denied, u.moved = s.r.Float64()*s.r.Float64(), 0.3*s.r.Float64()
			case "clustered requests":
				u.burst = 10
			}
			s.users = append(s.users, u)
		}
		s.f.Step(Joined{Node: s.node(i)}, epoch)
	}
	s.weather()
}

func (s *simulated) node(i int) string { return fmt.Sprint("p", i) }

func (s *simulated) weather() {
	for at := epoch; at.Before(epoch.Add(6 * time.Minute)); {
		at = at.Add(time.Duration(s.r.Int64N(int64(40 * time.Second))))
		long := time.Duration(s.r.Int64N(int64(12 * time.Second)))
		switch s.kind {
		case "storms for all":
			s.storms = append(s.storms, storm{from: at, to: at.Add(long), denied: s.r.Float64() * 0.6, all: true})
		case "outages":
			s.storms = append(s.storms, storm{from: at, to: at.Add(long), fails: s.r.Float64(), all: true})
		case "bursts of one client":
			s.storms = append(s.storms, storm{from: at, to: at.Add(long), denied: s.r.Float64() * 0.5, at: s.r.IntN(s.proxies)})
		}
	}
}

func (s *simulated) give() {
	for range 3 {
		for i := range s.proxies {
			a := s.f.Target(s.node(i))
			had := s.f.Accepted(s.node(i)).Live
			if a.Live == "two" && had != "two" && s.lasts > 0 {
				if s.flippedAt[i].IsZero() {
					s.flippedAt[i] = s.now
					s.drained(i)
				}
				if s.now.Sub(s.flippedAt[i]) < s.lasts {
					continue
				}
			}
			s.f.Step(Served{Node: s.node(i), Live: a.Live, Shadow: a.Shadow}, s.now)
			if a.Live == "two" && had != "two" && s.lasts == 0 {
				s.flippedAt[i] = s.now
				s.drained(i)
			}
		}
	}
}

// drained is that the connections of a proxy end, and their users come back, to any proxy.
func (s *simulated) drained(i int) {
	if s.kind != "users move" {
		return
	}
	for _, u := range s.users {
		if u.at == i {
			u.at = s.r.IntN(s.proxies)
		}
	}
}

// ask has the users ask for a tenth of a second.
func (s *simulated) ask() {
	t := s.now.Sub(epoch).Seconds()
	weights := make([]float64, s.proxies)
	for _, u := range s.users {
		weights[u.at] += u.weight
	}
	mean := 0.0
	for _, w := range weights {
		mean += w / float64(s.proxies)
	}
	for _, u := range s.users {
		rate := s.rate * u.weight / mean / 10
		switch s.kind {
		case "traffic comes and goes":
			rate *= 1 + 0.9*math.Sin(t/7)
		case "drift":
			u.denied = math.Min(0.5, u.denied+0.00003)
		}
		n := u.burst * poisson(s.r, rate/float64(u.burst))
		if n == 0 {
			continue
		}
		denied, fails := u.denied, 0.001
		for _, w := range s.storms {
			if !s.now.Before(w.from) && s.now.Before(w.to) && (w.all || w.at == u.at) {
				denied, fails = denied+(1-denied)*w.denied, max(fails, w.fails)
			}
		}
		s.answer(&s.counters[u.at], u, n, denied, fails, s.f.Target(s.node(u.at)).Live == "two")
	}
}

func (s *simulated) answer(c *Counters, u *user, n int, denied, fails float64, changed bool) {
	one := func(n int, p float64) int {
		if u.burst > 1 { // all of a burst are alike
			return u.burst * binomial(s.r, n/u.burst, p)
		}
		return binomial(s.r, n, p)
	}
	failed := one(n, fails)
	d := one(n-failed, denied)
	m := min(n-failed-d, one(n-failed-d, u.moved))
	if changed {
		if d > 0 {
			d -= binomial(s.r, d, min(1, s.fault.opens/max(denied, 1e-9)))
		}
		ok := n - failed - d - m
		more := binomial(s.r, ok, min(1, s.fault.denies/max(1e-9, 1-denied-u.moved)))
		d += more
		m += binomial(s.r, ok-more, min(1, s.fault.redirects/max(1e-9, 1-denied-u.moved)))
	}
	c.Requests += uint64(n)
	c.Begun += uint64(n)
	c.Errors += uint64(failed)
	c.Denials += int64(d)
	c.Redirects += int64(m)
}

func (s *simulated) report() {
	for i := range s.proxies {
		if s.now.Before(s.due[i]) {
			continue
		}
		s.due[i] = s.now.Add(s.flush)
		if s.kind == "starved" {
			s.due[i] = s.now.Add(time.Duration(float64(s.flush) * (0.5 + 4*s.r.Float64()*s.r.Float64())))
		}
		c := s.counters[i]
		c.At = s.now
		s.counters[i] = Counters{}
		s.like(i, &c)
		s.f.Step(Counted{Node: s.node(i), Counters: c}, s.now)
	}
}

// like makes up how long the requests of a report took, and how much was sent: much of both is
// in few, and on a machine that is starved all wait at times, and one by itself for some seconds.
func (s *simulated) like(i int, c *Counters) {
	c.Median = float64(1+i) * 20 * math.Exp(0.3*s.r.NormFloat64())
	c.P99 = c.Median * 8 * math.Exp(0.7*s.r.NormFloat64())
	t := s.now.Sub(epoch).Seconds()
	if s.kind == "starved" {
		wait := 1 + 400*math.Max(0, math.Sin(t/20)) + 2000*math.Max(0, math.Sin(t/2+float64(3*i))-0.8)
		c.Median, c.P99 = c.Median+wait, c.P99+3*wait
	}
	c.Bytes = uint64(float64(c.Requests) * 3000 * math.Exp(0.5*s.r.NormFloat64()))
	if s.r.IntN(20) == 0 {
		c.Bytes += 500_000_000
	}
}

// run rolls a change out by the default plan, and returns how that ended and when.
func (s *simulated) run(plan Plan) (reason string, after time.Duration) {
	s.begin()
	first := plan
	s.f.Step(Offered{ID: "one", Plan: first}, s.now)
	s.f.Step(Stored{ID: "one"}, s.now)
	s.give()
	for until := epoch.Add(70*time.Second + time.Duration(s.r.Int64N(int64(20*time.Second)))); s.now.Before(until); {
		s.pass()
	}
	if s.soon {
		s.save("harmless", plan)
		if reason, after := s.goOn(); reason != "" {
			return "harmless: " + reason, after
		}
		for until := s.now.Add(1500 * time.Millisecond); s.now.Before(until); {
			s.pass()
		}
	}
	s.saves(plan)
	return s.goOn()
}

// saves has the change on disk.
func (s *simulated) saves(plan Plan) { s.save("two", plan) }

func (s *simulated) save(id string, plan Plan) {
	s.saved = id
	s.f.Step(Offered{ID: id, Plan: plan}, s.now)
	s.f.Step(Stored{ID: id}, s.now)
}

// pass is a tenth of a second.
func (s *simulated) pass() {
	s.now = s.now.Add(100 * time.Millisecond)
	s.f.Step(Tick{}, s.now)
	s.give()
	s.ask()
	s.report()
}

// goOn goes on until the rollout has ended.
func (s *simulated) goOn() (reason string, after time.Duration) {
	begun := s.now
	for s.now.Before(begun.Add(5 * time.Minute)) {
		s.pass()
		switch {
		case len(s.f.Rejected) > 0:
			return s.f.Rejected[0].Reason, s.now.Sub(begun)
		case s.f.Serving.ID == s.saved:
			return "", s.now.Sub(begun)
		}
	}
	return "it does not end", s.now.Sub(begun)
}

// defaults is the plan of a fleet file that says nothing, without checks.
func defaults() Plan {
	return Plan{
		Stages: []Stage{
			{Name: "canary", Proxies: 1, Bake: 5 * time.Second, Deadline: 5 * time.Minute},
			{Name: "all", Percent: 100, Bake: 5 * time.Second, Deadline: 5 * time.Minute},
		},
		Limits: Limits{Errors: 1, MinRequests: 20, Answers: 0.05, Latency: 5, Length: 10, Disconnects: 3, Troubled: 0.1},
	}
}
