// Command soak runs bin/xds for long, under saves and faults, with two thousand
// simulated proxies and three real Envoys. In each round of a minute modules are
// saved and things go wrong at random; at its end all is left alone, every proxy
// must come to the newest revision, and the server's goroutines, memory and
// descriptors are written down. They must not grow. Run by `make soak`.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

func main() { rig.Main("soak", run) }

type options struct {
	duration, round, save time.Duration
	proxies, envoys       int
	seed                  uint64
}

func run(ctx context.Context) error {
	var o options
	flag.DurationVar(&o.duration, "duration", 30*time.Minute, "how long")
	flag.DurationVar(&o.round, "round", time.Minute, "of saves and faults, before all is left alone and looked at")
	flag.DurationVar(&o.save, "save", 10*time.Second, "time from one save to the next")
	flag.IntVar(&o.proxies, "proxies", 2000, "simulated proxies, half delta and half state-of-the-world")
	flag.IntVar(&o.envoys, "envoys", 3, "real Envoys")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the faults' choice")
	flag.Parse()
	fmt.Printf("%d simulated proxies and %d Envoys for %s; -seed %d\n\n", o.proxies, o.envoys, o.duration, o.seed)
	w, err := newWorld(ctx, o)
	defer w.End()
	if err != nil {
		return err
	}
	return w.soak(ctx, o)
}

// soak goes round by round, and looks at the figures at the end.
func (w *world) soak(ctx context.Context, o options) error {
	fmt.Println(header)
	begin := time.Now()
	var rows []row
	for {
		w.round(ctx, o)
		if err := w.calm(ctx, o); err != nil {
			return fmt.Errorf("after %s: %w", time.Since(begin).Round(time.Second), err)
		}
		r, err := w.look(ctx, time.Since(begin))
		if err != nil {
			return err
		}
		fmt.Println(r)
		rows = append(rows, r)
		if time.Since(begin) >= o.duration {
			break
		}
	}
	fmt.Printf("\n%s\n", w.did())
	return grows(rows)
}

// round saves, and makes things go wrong, until it is over.
func (w *world) round(ctx context.Context, o options) {
	ctx, cancel := context.WithTimeout(ctx, o.round)
	defer cancel()
	save, fault := time.NewTicker(o.save), time.NewTimer(0)
	defer save.Stop()
	defer fault.Stop()
	for {
		select {
		case <-save.C:
			w.save()
		case <-fault.C:
			w.fault()
			fault.Reset(time.Second + rand.N(3*time.Second))
		case <-ctx.Done():
			return
		}
	}
}
