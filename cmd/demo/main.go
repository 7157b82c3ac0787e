// Command demo shows the whole of it on one machine: it builds the server and
// the filter, starts them with an echo service and real Envoys, and follows what
// happens until Ctrl-C, which ends all that it started.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:])) }

// untilEnded is a context that lasts until someone ends the demo: by Ctrl-C, by a
// SIGTERM, or by closing the terminal. What it started is in process groups of its
// own, and would go on, and keep the ports, if the demo just died.
func untilEnded() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
}

// maxProxies keeps the proxies' ports clear of the echo's.
const maxProxies = 64

func run(args []string) int {
	ctx, stop := untilEnded()
	defer stop()
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	proxies := flags.Int("proxies", 3, "how many Envoys to run")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *proxies < 1 || *proxies > maxProxies {
		fmt.Fprintf(os.Stderr, "demo: %d proxies: choose from 1 to %d\n", *proxies, maxProxies)
		return 2
	}
	err := demo(ctx, *proxies)
	switch {
	case ctx.Err() != nil: // Ctrl-C, whatever it cut short
		fmt.Println("\nstopped")
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	return 0
}
