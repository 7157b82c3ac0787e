package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// kind is a kind of change: two states of what is on disk, by turns.
type kind struct {
	name    string
	states  [2]state
	rebuilt bool // the module differs
}

// state is what is on disk, and how an answer by it is known.
type state struct {
	wasm           []byte
	config         string
	header, answer string
}

// filter is what is measured of a language's filter.
type filter struct {
	language            string
	rebuilt, configured kind
}

func (f filter) kinds() []kind { return []kind{f.rebuilt, f.configured} }

// buildFilters builds each filter twice, differing in the version that it names.
func buildFilters(ctx context.Context, dir string, languages []string) ([]filter, error) {
	var filters []filter
	for _, language := range languages {
		k := kind{name: "a rebuilt module (" + language + ")", rebuilt: true}
		for i, version := range []string{"A", "B"} {
			out := filepath.Join(dir, language+version+".wasm")
			cmd := exec.CommandContext(ctx, "make", "--no-print-directory", "filter", "FILTER="+language, "VERSION="+version, "WASM="+out)
			if text, err := cmd.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("building the %s filter: %w\n%s", language, err, text)
			}
			wasm, err := os.ReadFile(out)
			if err != nil {
				return nil, err
			}
			k.states[i] = state{wasm, "{response_header: x-build}", "X-Build", "primeauth/" + version}
		}
		first := k.states[0]
		first.config, first.header = "{response_header: x-one}", "X-One"
		second := first
		second.config, second.header = "{response_header: x-two}", "X-Two"
		configured := kind{"a change of configuration (" + language + ")", [2]state{first, second}, false}
		filters = append(filters, filter{language, k, configured})
	}
	return filters, nil
}

// share is how many of n reloads are measured on one set of processes.
func (k kind) share(n int) int {
	if !k.rebuilt {
		n *= configurations
	}
	return n / sets
}

// fresh is a state that was never there before, so that a server which remembers
// what it has tried has to try it: of a rebuilt module another one, with a custom
// section more, of a configuration one with another path that needs no token.
func (k kind) fresh(i int) state {
	s := k.states[i%2]
	name := fmt.Sprintf("reload %d", i)
	if k.rebuilt {
		s.wasm = rig.WithSection(s.wasm, name, nil)
	} else {
		s.config = strings.Replace(s.config, "}", fmt.Sprintf(", allow_paths: [%q]}", "/"+name), 1)
	}
	return s
}

// sample is one reload by each server.
type sample struct {
	ours, floor                          time.Duration
	notice, settle, build, push, deliver time.Duration // of ours
}

// measure reloads by turns, ours and the floor's.
func (b *bench) measure(ctx context.Context, k kind, n int) ([]sample, error) {
	events, err := b.server.API.Events(ctx, "")
	if err != nil {
		return nil, err
	}
	defer events.Close()
	var samples []sample
	for i := range n + 2 { // the first brings up the kind, the second warms it up
		s := k.fresh(i)
		one, err := b.reloadOurs(ctx, s, events)
		if err != nil {
			return nil, err
		}
		if one.floor, err = b.reloadFloor(ctx, s); err != nil {
			return nil, err
		}
		if i >= 2 {
			samples = append(samples, one)
		}
	}
	return samples, nil
}

// reloadOurs reads what the server says only when all has been measured: to read it is work.
func (b *bench) reloadOurs(ctx context.Context, s state, events *api.Stream) (sample, error) {
	begin, served, err := b.save(ctx, s)
	if err != nil {
		return sample{}, err
	}
	one := sample{ours: served.Sub(begin)}
	all, err := until(events, api.EventServing) // the proxies are at rest again
	for _, e := range all {
		if t := e.Timings; e.Kind == api.EventStarted {
			one.notice, one.settle, one.build = t.Noticed.Sub(begin), t.Settled.Sub(t.Noticed), t.Built.Sub(t.Settled)
			one.push, one.deliver = t.Pushed.Sub(t.Built), served.Sub(t.Pushed)
		}
	}
	return one, err
}

// save puts a state on disk and waits until all proxies answer by it.
func (b *bench) save(ctx context.Context, s state) (begin, served time.Time, err error) {
	answered := answers(ctx, b.ours, s)
	// What has not changed is not saved.
	for name, data := range map[string][]byte{"filter.wasm": s.wasm, "fleet.yaml": b.fleet(s).YAML()} {
		if old, err := os.ReadFile(b.server.File(name)); err == nil && slices.Equal(old, data) {
			continue
		}
		if begin, err = b.replace(name, data); err != nil {
			return begin, served, err
		}
	}
	served, err = answered()
	return begin, served, err
}

func (b *bench) reloadFloor(ctx context.Context, s state) (time.Duration, error) {
	if err := b.prepare(s); err != nil {
		return 0, err
	}
	answered := answers(ctx, b.floors, s)
	time.Sleep(quiet) // its proxies are asked for as long as ours are by then, which is work
	begin := time.Now()
	if err := b.tell(command{}); err != nil {
		return 0, err
	}
	served, err := answered()
	return served.Sub(begin), err
}

// answers asks each proxy, every half millisecond, until it answers by
// the state; the returned function waits for the last of them.
func answers(ctx context.Context, addresses []string, want state) func() (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	var wg sync.WaitGroup
	times, errs := make([]time.Time, len(addresses)), make([]error, len(addresses))
	for i, address := range addresses {
		wg.Go(func() { times[i], errs[i] = ask(ctx, address, want) })
	}
	return func() (time.Time, error) {
		defer cancel()
		wg.Wait()
		return slices.MaxFunc(times, time.Time.Compare), errors.Join(errs...)
	}
}

func ask(ctx context.Context, address string, want state) (time.Time, error) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%s does not answer by %s: %s: %w", address, want.header, want.answer, ctx.Err())
		case <-tick.C:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address, nil)
		if err != nil {
			return time.Time{}, err
		}
		req.Header.Set("token", "7")
		resp, err := client.Do(req)
		if err != nil {
			continue // not listening yet
		}
		_ = resp.Body.Close()
		if resp.Header.Get(want.header) == want.answer {
			return time.Now(), nil
		}
	}
}
