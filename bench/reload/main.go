// Command reload measures how long a saved change takes until three real Envoys
// answer by it, beside a floor: the smallest server that go-control-plane
// allows, in a process of its own, which is handed the same resources in memory.
// The two take turns, reload by reload, so that a machine that drifts does so
// for both. Run by `make bench`.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

// configurations are measured so many times as often as rebuilt modules: they are
// over in no time, and the timers of a machine with other work are a part of it.
const configurations = 3

// sets are how many servers and Envoys, one after another, share the reloads of a
// kind: where a process's memory comes to lie is worth half a millisecond.
const sets = 4

func main() { rig.Main("bench", run) }

func run(ctx context.Context) error {
	floor := flag.Bool("floor", false, "be the floor's server: for the benchmark itself")
	reloads := flag.Int("reloads", 20, "reloads of each kind that count; two more of each on each set of processes are not counted")
	languages := flag.String("filters", "go,rust", "languages of the filter to measure")
	proxies := flag.Int("proxies", 3, "Envoys of each server")
	flag.Parse()
	if *floor {
		return serveFloor(ctx, flag.Args())
	}
	if *reloads%sets != 0 {
		return fmt.Errorf("-reloads %d: want a multiple of %d, one share for each set of processes", *reloads, sets)
	}
	var ends rig.Ends
	defer ends.End()
	dir, err := ends.Folder()
	if err != nil {
		return err
	}
	filters, err := buildFilters(ctx, dir, strings.Split(*languages, ","))
	if err != nil {
		return err
	}
	fmt.Printf("a save until %d Envoys answer by it, medians of %d reloads (%d of a configuration) in turn with the floor's,\non %d sets of processes one after another, in ms\n\n",
		*proxies, *reloads, *reloads*configurations, sets)
	if err := reload(ctx, *proxies, filters, *reloads); err != nil {
		return err
	}
	fmt.Printf("\ntarget: Waxwing ≤ 1.15 × floor + the quiet period of %d ms\n", quiet.Milliseconds())
	fmt.Printf("\nfrom the flip of a proxy's real listener, or its way back, to its ACK, %d times on each of %d Envoys, in ms\n\n", *reloads, *proxies)
	fmt.Println(flipHeader)
	for _, f := range filters {
		err := on(ctx, *proxies, func(b *bench) error { return b.measureFlips(ctx, f.rebuilt, *reloads) })
		if err != nil {
			return fmt.Errorf("flips of %s: %w", f.rebuilt.name, err)
		}
	}
	return nil
}

// on does something with servers and Envoys of its own.
func on(ctx context.Context, proxies int, do func(*bench) error) error {
	b, err := newBench(ctx, proxies)
	defer b.End()
	if err != nil {
		return err
	}
	return do(b)
}

// reload measures reloads, n of each kind, and prints a line for each.
func reload(ctx context.Context, proxies int, filters []filter, n int) error {
	samples := map[string][]sample{}
	for set := range sets {
		for _, f := range filters {
			fmt.Fprintf(os.Stderr, "measuring reloads of the %s filter, on set %d of %d\n", f.language, set+1, sets)
			err := on(ctx, proxies, func(b *bench) error {
				for _, k := range f.kinds() {
					more, err := b.measure(ctx, k, k.share(n))
					if err != nil {
						return fmt.Errorf("%s: %w", k.name, err)
					}
					samples[k.name] = append(samples[k.name], more...)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	fmt.Println(header)
	for _, f := range filters {
		for _, k := range f.kinds() {
			fmt.Println(row(k.name, samples[k.name]))
		}
	}
	return nil
}
