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
	stages                   string
	seed                     uint64
}

func run(ctx context.Context) error {
	var o options
	flag.IntVar(&o.changes, "changes", 50, "how many; the kinds take turns, each time in another order")
	flag.IntVar(&o.proxies, "proxies", 3, "Envoys")
	flag.IntVar(&o.starve, "starve", 0, "busy loops beside it, each a process of its own")
	flag.Float64Var(&o.rate, "rate", 15, "users' requests a second to each proxy")
	flag.DurationVar(&o.pause, "pause", 8*time.Second, "at most, from the end of a change to the next: half of them follow at once")
	flag.StringVar(&o.stages, "stages", "[{name: canary, proxies: 1, bake: 5s}, {name: all, percent: 100, bake: 5s}]", "of the rollout; these are the default")
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

// changes makes them, and sums up what came of them.
func (w *world) changes(ctx context.Context, o options) error {
	random := rand.New(rand.NewPCG(o.seed, 0))
	u := w.startUsers(ctx, o.rate)
	var asked, failed, rejected, made int
	began := time.Now()
	for i, name := range order(o.changes, random) {
		if random.IntN(2) == 0 {
			pause(ctx, time.Duration(random.Int64N(max(1, int64(o.pause)))))
		}
		at := time.Now()
		err := w.change(ctx, name, random)
		if ctx.Err() != nil {
			break
		}
		made++
		f := u.Figures()
		asked, failed = asked+f.Asked, failed+len(f.Wrong)
		verdict := "served"
		if err != nil {
			rejected++
			verdict = err.Error()
		}
		fmt.Printf("%3d  %-30s %6.1f s  %5d requests, %d failed  %s\n", i+1, name, time.Since(at).Seconds(), f.Asked, len(f.Wrong), verdict)
		for _, wrong := range f.Wrong[:min(5, len(f.Wrong))] {
			fmt.Println("    ", wrong)
		}
	}
	f := u.End()
	asked, failed = asked+f.Asked, failed+len(f.Wrong)
	fmt.Printf("\n%d of %d good changes were not served, in %s; %d of %d requests failed\n%s\nload average %s\n",
		rejected, made, time.Since(began).Round(time.Second), failed, asked, u, load())
	if rejected+failed > 0 {
		return errors.Join(fmt.Errorf("%d changes were not served, %d requests failed", rejected, failed), ctx.Err())
	}
	return ctx.Err()
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
