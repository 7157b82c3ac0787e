// Command chains makes random changes of a random fleet, one after another, on a real Envoy
// under load: each must end in serving, and no request may fail that the change does not
// explain. What fails is made as small as it can be, and written out as fleet files. Run by
// `make chains`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/waxwing-xds/waxwing/internal/chains"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

func main() { rig.Main("chains", run) }

type options struct {
	changes, length, tries int
	restarts               bool
	seed                   uint64
	xds, envoy             string
}

func run(ctx context.Context) error {
	var o options
	flag.IntVar(&o.changes, "changes", 100, "how many in all")
	flag.IntVar(&o.length, "length", 10, "of a chain; each begins with an Envoy and a server of its own, in turn delta and state-of-the-world")
	flag.IntVar(&o.tries, "tries", 25, "how often a chain that fails is run again, to make it smaller")
	flag.BoolVar(&o.restarts, "restarts", true, "kill the server after every third save or so, and start it again")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()%1e6), "of the first chain")
	flag.StringVar(&o.xds, "xds", "bin/xds", "the server's binary")
	flag.Parse()
	var err error
	if o.envoy, err = rig.FindEnvoy(ctx); err != nil {
		return err
	}
	var total chains.Count
	var failed []error
	for made := 0; made < o.changes && ctx.Err() == nil; made += o.length {
		g := chains.NewGenerator(o.seed)
		g.Delta = o.seed%2 == 0
		c := g.NewChain(o.seed, min(o.length, o.changes-made))
		c.Noise = o.restarts
		count, err := o.play(ctx, c)
		total.Add(count)
		if err != nil {
			failed = append(failed, o.shrink(ctx, c, err))
		}
		o.seed++
	}
	fmt.Printf("%d changes; %d requests, of which %d were answered with a mixture of before and after, %d were not answered where a listener was replaced by another, and %d failed\n",
		total.Changes, total.Requests, total.Between, total.Refused, total.Failed)
	return errors.Join(append(failed, ctx.Err())...)
}

// play plays a chain in a world of its own.
func (o options) play(ctx context.Context, c chains.Chain) (chains.Count, error) {
	dir, err := os.MkdirTemp("", "waxwing-chains-*")
	if err != nil {
		return chains.Count{}, err
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, nil)).With("seed", c.Seed)
	r, err := chains.NewReal(ctx, chains.RealOptions{Log: log, XDS: o.xds, Envoy: o.envoy, Dir: dir, SotW: !c.Delta})
	defer r.End()
	if err != nil {
		return chains.Count{}, err
	}
	count, err := r.Play(ctx, c)
	if err != nil {
		return count, fmt.Errorf("seed %d: %w (logs: %s)", c.Seed, err, dir)
	}
	return count, os.RemoveAll(dir)
}

// shrink writes out the smallest chain that fails like this one.
func (o options) shrink(ctx context.Context, c chains.Chain, failure error) error {
	fmt.Println(failure)
	small := chains.Shrink(c, o.tries, func(c chains.Chain) bool {
		_, err := o.play(ctx, c)
		return err != nil && ctx.Err() == nil && chains.Kind(err) == chains.Kind(failure)
	})
	report, err := small.Report(chains.Example())
	fmt.Println(report)
	return errors.Join(failure, err)
}
