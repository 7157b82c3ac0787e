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
	"os/signal"
	"strings"
	"syscall"
)

// configurations are measured so many times as often as rebuilt modules: they are
// over in no time, and the timers of a machine with other work are a part of it.
const configurations = 3

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	floor := flag.Bool("floor", false, "be the floor's server: for the benchmark itself")
	reloads := flag.Int("reloads", 20, "reloads of each kind that count; one more of each is not counted")
	languages := flag.String("filters", "go,rust", "languages of the filter to measure")
	proxies := flag.Int("proxies", 3, "Envoys of each server")
	flag.Parse()
	if *floor {
		return serveFloor(ctx, flag.Args())
	}
	b, err := newBench(ctx, *proxies, strings.Split(*languages, ","))
	defer b.close()
	if err != nil {
		return err
	}
	fmt.Printf("a save until %d Envoys answer by it, medians of %d reloads (%d of a configuration) in turn with the floor's, in ms\n\n",
		*proxies, *reloads, *reloads*configurations)
	fmt.Println(header)
	for _, kind := range b.kinds {
		n := *reloads
		if !kind.rebuilt {
			n *= configurations
		}
		samples, err := b.measure(ctx, kind, n)
		if err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
		fmt.Println(row(kind.name, samples))
	}
	fmt.Printf("\ntarget: ours ≤ 1.15 × floor + the quiet period of %d ms\n", quiet.Milliseconds())
	fmt.Printf("\nfrom the flip of a proxy's real listener, or its way back, to its ACK, %d times on each of %d Envoys, in ms\n\n", *reloads, *proxies)
	fmt.Println(flipHeader)
	for _, kind := range b.kinds {
		if !kind.rebuilt {
			continue
		}
		if err := b.measureFlips(ctx, kind, *reloads); err != nil {
			return fmt.Errorf("flips of %s: %w", kind.name, err)
		}
	}
	return nil
}
