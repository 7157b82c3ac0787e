package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/process"
)

// startTimeout is for as many proxies to compile the filter, on two busy cores.
func startTimeout(proxies int) time.Duration {
	return time.Minute + time.Duration(proxies)*5*time.Second
}

// follow waits until every proxy serves, says what to try, and shows the live
// view of `xds status --follow` until Ctrl-C or until something it started ends.
func follow(ctx context.Context, server *process.Process, fleet envoys) error {
	what := fmt.Sprintf("starting %d Envoys, until each serves the filter", len(fleet))
	s := newSteps()
	stop := s.report(ctx)
	s.begin(what)
	err := waitServing(ctx, server, fleet, s.say)
	s.end(what, err)
	stop()
	if err != nil {
		return err
	}
	fmt.Print(whatToTry(len(fleet)))
	view := exec.Command("bin/xds", "status", "--follow", "--admin", adminAddress)
	view.Stdout, view.Stderr = os.Stdout, os.Stderr
	shown, err := process.Start(view, "")
	if err != nil {
		return err
	}
	defer shown.Stop()
	return watchAll(ctx, server, fleet, shown)
}

// watchAll returns when the demo is over.
func watchAll(ctx context.Context, server *process.Process, fleet envoys, view *process.Process) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-server.Done():
			return server.Err()
		case <-view.Done():
			return errors.New("`xds status --follow` ended by itself")
		case <-tick.C:
			if p := fleet.ended(); p != nil {
				return p.Err()
			}
		}
	}
}

// waitServing waits until each proxy serves a revision, and says what is in the
// way: it may be a mistake in the fleet file, which can be mended meanwhile.
func waitServing(ctx context.Context, server *process.Process, fleet envoys, say func(string)) error {
	timeout := startTimeout(len(fleet))
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	client, problem := api.New(adminAddress), ""
	defer client.Close()
	for {
		select {
		case <-tick.C:
		case <-server.Done():
			return server.Err()
		case <-ctx.Done():
			return fmt.Errorf("the proxies do not serve after %s: %s", timeout, orLogs(problem))
		}
		if p := fleet.ended(); p != nil {
			return p.Err()
		}
		serving, why := countServing(ctx, client)
		if serving == len(fleet) {
			return nil
		}
		if why != "" && why != problem {
			say(why)
		}
		problem = why
	}
}

func orLogs(problem string) string {
	if problem == "" {
		return "see the logs in " + workDir
	}
	return problem
}

// countServing asks the server how many proxies serve, and what is wrong.
func countServing(ctx context.Context, c *api.Client) (serving int, problem string) {
	status, err := c.Status(ctx)
	if errors.Is(err, api.ErrNoServer) {
		return 0, "" // not up yet
	}
	if err != nil {
		return 0, err.Error()
	}
	for _, p := range status.Proxies {
		if p.State == api.ProxyServing {
			serving++
		}
	}
	var problems []string
	for _, f := range status.Fleets {
		problems = append(problems, f.Problem)
	}
	problems = append(problems, slices.Sorted(maps.Values(status.Problems))...)
	problems = slices.DeleteFunc(problems, func(p string) bool { return p == "" })
	return serving, strings.Join(problems, "; ")
}

func whatToTry(proxies int) string {
	return fmt.Sprintf(`
  The proxies listen on %d to %d; xds itself logs to %s/xds.log. They speak
  mutual TLS, by the certificates in %s. Try:

    curl -H 'token: 32323'  localhost:%d     → Welcome to WASM land
    curl -H 'token: 323232' localhost:%d     → 403 Access forbidden.
    edit fleet.yaml (say, add denied_body: "No."), or wasm/primeauth/go/ and then `+"`make filter`"+`:
      one proxy gets it in its shadow listener, proves it and serves it, then the others
    make filter BREAK=allow    one that lets everyone in: refused before any proxy has it
    make filter BREAK=crash    one that crashes at each 20th request, which Envoy accepts: refused
                               too; with `+"`hostile: off`"+` in fleet.yaml the canary's shadow listener
                               finds it, and no request meets it
    make filter                the good one again
    bin/xds status, bin/xds rollout history

  Ctrl-C ends it all.

`, firstPort, firstPort+proxies-1, workDir, certsDir, firstPort, firstPort)
}
