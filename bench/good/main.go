// Command good makes good changes, one after another, of three real Envoys that users ask all the
// time, and fails if one of them is rejected: it was a false alarm. They are of every kind that a
// fleet file has, but for scopes and virtual hosts by xDS. Run by `make bench-good`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

func main() { rig.Main("good", run) }

type options struct {
	changes, proxies, starve int
	rate                     float64
	pause                    time.Duration
	stages, only             string
	seed                     uint64
}

// A change is held against what users were answered before: for some time, that the server knows what
// they are used to, and lately.
const known, baseline = 40 * time.Second, 8 * time.Second

func run(ctx context.Context) error {
	var o options
	flag.IntVar(&o.changes, "changes", 50, "how many; the kinds take turns, each time in another order")
	flag.IntVar(&o.proxies, "proxies", 3, "Envoys")
	flag.IntVar(&o.starve, "starve", 0, "busy loops beside it, each a process of its own")
	flag.Float64Var(&o.rate, "rate", 15, "users' requests a second to each proxy")
	flag.DurationVar(&o.pause, "pause", 8*time.Second, "at most, from the end of a change to the next: half of them follow at once")
	flag.StringVar(&o.stages, "stages", "[{name: canary, proxies: 1, bake: 5s}, {name: all, percent: 100, bake: 5s}]", "of the rollout; these are the default")
	flag.StringVar(&o.only, "only", "", "only changes whose kind has this in its name")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()%1e6), "of the order of the changes")
	spins := flag.Bool("spin", false, "keep a processor busy: for the benchmark itself")
	flag.Parse()
	if *spins {
		return spin()
	}
	fmt.Printf("%d changes of %d Envoys; stages %s; %g requests a second to each; %d busy loops beside; load average %s; -seed %d\n\n",
		o.changes, o.proxies, o.stages, o.rate, o.starve, load(), o.seed)
	w, err := newWorld(ctx, o)
	defer w.End()
	if err == nil {
		err = w.starve(ctx, o.starve)
	}
	if err != nil {
		return err
	}
	if err := w.outcome(ctx); err != nil {
		return fmt.Errorf("the first revision is not served: %w; the log of the server:\n%s", err, w.server.Tail(30))
	}
	return w.changes(ctx, o)
}

// A sum is what came of all changes.
type sum struct{ made, rejected, asked, failed int }

func (s *sum) add(f rig.Figures) {
	s.asked, s.failed = s.asked+f.Asked, s.failed+len(f.Wrong)
	for _, wrong := range f.Wrong[:min(5, len(f.Wrong))] {
		fmt.Println("     failed:", wrong)
	}
}

// changes makes them, and sums up what came of them.
func (w *world) changes(ctx context.Context, o options) error {
	random := rand.New(rand.NewPCG(o.seed, 0))
	u, began := w.startUsers(ctx, o.rate), time.Now()
	pause(ctx, known)
	var s sum
	for i, name := range order(o.changes, o.only, random) {
		if random.IntN(2) == 0 {
			pause(ctx, time.Duration(random.Int64N(max(1, int64(o.pause)))))
		}
		at, verdict := time.Now(), "served"
		err := w.change(ctx, name, random)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.made++
		if err != nil {
			s.rejected++
			verdict = err.Error()
		}
		f := u.Figures()
		fmt.Printf("%3d  %-30s %6.1f s  %5d requests, %d failed  %s\n", i+1, name, time.Since(at).Seconds(), f.Asked, len(f.Wrong), verdict)
		s.add(f)
	}
	s.add(u.Figures())
	fmt.Printf("\n%d of %d good changes were not served, in %s; %d of %d requests failed\n%s\nload average %s\n",
		s.rejected, s.made, time.Since(began).Round(time.Second), s.failed, s.asked, u, load())
	err := w.control(ctx)
	if s.rejected+s.failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d changes were not served, %d requests failed", s.rejected, s.failed))
	}
	return err
}

// control makes a bad change at the end, which must be rejected: else nobody looked, and that no
// good one was says nothing. What users are answered meanwhile does not count.
func (w *world) control(ctx context.Context) error {
	pause(ctx, baseline)
	w.now.Gone = true
	if err := w.save(); err != nil {
		return err
	}
	at, err := time.Now(), w.outcome(ctx)
	if err == nil {
		return errors.New("a bad change was served, after which a path is not found")
	}
	fmt.Printf("a bad change, after which a path is not found: after %.1f s %s\n", time.Since(at).Seconds(), err)
	if errors.Is(err, errRejected) {
		err = nil
	}
	return err
}

// change makes one of a kind. The next is made of what is served: this one, or, where it was not
// served, the one before.
func (w *world) change(ctx context.Context, name string, random *rand.Rand) error {
	was := w.now
	w.now = changed(was, w.before, name, random)
	if err := w.save(); err != nil {
		return err
	}
	if err := w.outcome(ctx); err != nil {
		w.now = was
		return err
	}
	w.before = was
	return nil
}
