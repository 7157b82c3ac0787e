package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// request is one kind of request.
type request struct{ name, token string }

var (
	allowed = request{"allowed", "32323"}
	denied  = request{"denied", "323232"}
	worst   = request{"worst case", "12090933928454580839"} // a large prime that needs long for its Lucas parameter
)

// largest is the largest prime below 2^64, the worst case of trial division.
const largest = "18446744073709551557"

// sample is a slice: requests/s, and the Envoy's processor time per request in µs.
type sample struct{ rate, cpu float64 }

// µs is the time of a request.
func (s sample) µs() float64 { return 1e6 / s.rate }

// lane is a side asked for one kind of request.
type lane struct {
	*side
	request
	clients clients
	samples []sample // one a round
}

// requests are what a side is asked for. Those that don't look at the token need
// not be asked twice.
func (s *side) requests() []request {
	switch s.name {
	case none, floor, floorAsking:
		return []request{allowed}
	case floorDenied:
		return []request{denied}
	case tutorial: // the worst case would take minutes
		return []request{allowed, denied}
	default:
		return []request{allowed, denied, worst}
	}
}

// status is what a side must answer, or 0 for a module that is not known.
func (s *side) status(r request) int {
	switch {
	case s.also:
		return 0
	case r == denied:
		return 403
	default:
		return 200
	}
}

// measure gives each lane its slices, with one Envoy after another. The Envoys'
// processor is not the load's where there are two: a worker that moves about, or
// waits for the load, measures the machine.
func (b *bench) measure(ctx context.Context, o options) error {
	release, err := ownProcessor()
	if err != nil {
		return err
	}
	defer release()
	for _, s := range b.sides {
		for _, r := range s.requests() {
			b.lanes = append(b.lanes, &lane{side: s, request: r})
		}
	}
	for range o.processes {
		if err := b.measureProcess(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// measureProcess starts an Envoy and gives each lane a slice in turn, each round.
func (b *bench) measureProcess(ctx context.Context, o options) error {
	sides := slices.Clone(b.sides) // nobody's VM is always the first
	rand.Shuffle(len(sides), func(i, j int) { sides[i], sides[j] = sides[j], sides[i] })
	p, err := b.start(ctx, 1, sides...)
	if err != nil {
		return err
	}
	defer p.Stop()
	if err := otherProcessor(p.PID()); err != nil {
		return fmt.Errorf("the processor of the Envoy: %w", err)
	}
	for _, l := range b.lanes {
		var err error
		l.clients, err = connect(l.address, o.headers(), l.token, o.connections, l.status(l.request))
		defer l.clients.close()
		if err != nil {
			return fmt.Errorf("%s, %s: %w", l.side.name, l.request.name, err)
		}
	}
	for round := range o.rounds + 1 { // the first warms up
		for i := range b.lanes {
			l := b.lanes[(i+round)%len(b.lanes)] // nobody is always the first
			taken, err := l.take(ctx, p.PID(), o.slice)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", l.side.name, l.request.name, err)
			}
			if round > 0 {
				l.samples = append(l.samples, taken)
			}
		}
	}
	return nil
}

func (l *lane) take(ctx context.Context, pid int, slice time.Duration) (sample, error) {
	before := cpu(pid)
	count, took, err := l.clients.run(ctx, slice)
	used := cpu(pid) - before
	return sample{count / took.Seconds(), float64(used.Nanoseconds()) / 1e3 / count}, err
}

// lane finds one by its names; nil if there is none.
func (b *bench) lane(name string, r request) *lane {
	i := slices.IndexFunc(b.lanes, func(l *lane) bool { return l.side.name == name && l.request == r })
	if i < 0 {
		return nil
	}
	return b.lanes[i]
}

// floor is the lane that another is held against.
func (b *bench) floor(r request) *lane {
	if r == denied {
		return b.lane(floorDenied, denied)
	}
	return b.lane(floor, allowed)
}

// paired is the median of what two lanes' samples of the same rounds give.
func paired(a, b *lane, f func(a, b sample) float64) float64 {
	out := make([]float64, len(a.samples))
	for i := range a.samples {
		out[i] = f(a.samples[i], b.samples[i])
	}
	slices.Sort(out)
	return out[len(out)/2]
}

func (l *lane) rate() float64 { return paired(l, l, func(a, _ sample) float64 { return a.rate }) }

// of is one lane's requests/s by another's.
func (l *lane) of(other *lane) float64 {
	return paired(l, other, func(a, b sample) float64 { return a.rate / b.rate })
}

// added is the time that a lane's request takes more than another's, in µs.
func (l *lane) added(other *lane) float64 {
	return paired(l, other, func(a, b sample) float64 { return a.µs() - b.µs() })
}

// addedCPU is the same in the Envoy's processor time.
func (l *lane) addedCPU(other *lane) float64 {
	return paired(l, other, func(a, b sample) float64 { return a.cpu - b.cpu })
}

// tutorialsWorst asks the first filter once for its worst case, last of all: trial
// division keeps the worker from anything else until it is done.
func (b *bench) tutorialsWorst(ctx context.Context) error {
	const patience = 20 * time.Second
	s := b.lane(tutorial, allowed).side
	p, err := b.start(ctx, 1, s)
	if err != nil {
		return err
	}
	defer p.Stop()
	done := make(chan error, 1)
	begin := time.Now()
	go func() {
		all, err := connect(s.address, "", largest, 1, 0)
		all.close()
		done <- err
	}()
	took := "over"
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("%s, the largest prime: %w", tutorial, err)
		}
		took = "about"
	case <-time.After(patience):
	}
	fmt.Printf("\nThe worst case of the tutorial's filter, the largest prime below 2^64, takes it %s %.0f s, once; its worker answers no one meanwhile.\n", took, time.Since(begin).Seconds())
	return nil
}
