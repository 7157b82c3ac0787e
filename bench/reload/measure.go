package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/rollout"
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
// https://webassembly.github.io/spec/core/binary/modules.html#custom-section
func (k kind) fresh(i int) state {
	s := k.states[i%2]
	name := fmt.Sprintf("reload %d", i) // shorter than 127 bytes: lengths are a byte
	if k.rebuilt {
		s.wasm = append(slices.Clone(s.wasm), 0, byte(len(name)+1), byte(len(name)))
		s.wasm = append(s.wasm, name...)
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
	ctx, stop := context.WithCancel(ctx)
	defer stop() // to follow the server
	records, err := b.records(ctx)
	if err != nil {
		return nil, err
	}
	var samples []sample
	for i := range n + 2 { // the first brings up the kind, the second warms it up
		s := k.fresh(i)
		one, err := b.reloadOurs(ctx, s, records)
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

func (b *bench) reloadOurs(ctx context.Context, s state, records <-chan control.Record) (sample, error) {
	for len(records) > 0 {
		<-records
	}
	begin, served, err := b.save(ctx, s)
	if err != nil {
		return sample{}, err
	}
	one := sample{ours: served.Sub(begin)}
	for {
		select {
		case r := <-records:
			if r.Kind == string(rollout.Started) {
				t := r.Timings
				one.notice, one.settle, one.build = t.Noticed.Sub(begin), t.Settled.Sub(t.Noticed), t.Built.Sub(t.Settled)
				one.push, one.deliver = t.Pushed.Sub(t.Built), served.Sub(t.Pushed)
			}
			if r.Kind == string(rollout.Serving) { // the proxies are at rest again
				return one, nil
			}
		case <-time.After(30 * time.Second):
			return sample{}, fmt.Errorf("no word from xds of a revision that serves")
		}
	}
}

// save puts a state on disk and waits until all proxies answer by it.
func (b *bench) save(ctx context.Context, s state) (begin, served time.Time, err error) {
	b.measuring.Lock()
	defer b.measuring.Unlock()
	answered := b.answers(ctx, b.ours, s)
	// What has not changed is not saved.
	for name, data := range map[string][]byte{"filter.wasm": s.wasm, "fleet.yaml": b.fleetYAML(s.config)} {
		if old, err := os.ReadFile(b.path(name)); err == nil && slices.Equal(old, data) {
			continue
		}
		if begin, err = b.replace(name, data); err != nil {
			return begin, served, err
		}
	}
	served, err = answered()
	return begin, served, err
}

// replace renames a new file over one, as a build does in its last step.
func (b *bench) replace(name string, data []byte) (begin time.Time, err error) {
	if err := os.WriteFile(b.path(name+".new"), data, 0o600); err != nil {
		return begin, err
	}
	begin = time.Now()
	return begin, os.Rename(b.path(name+".new"), b.path(name))
}

func (b *bench) reloadFloor(ctx context.Context, s state) (time.Duration, error) {
	data, err := b.revision(b.fleetYAML(s.config), s.wasm)
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(b.path("revision"), data, 0o600); err != nil {
		return 0, err
	}
	if err := b.tell("prepare " + b.path("revision")); err != nil {
		return 0, err
	}
	answered := b.answers(ctx, b.floor, s)
	time.Sleep(quiet) // its proxies are asked for as long as ours are by then, which is work
	begin := time.Now()
	if err := b.tell("push"); err != nil {
		return 0, err
	}
	served, err := answered()
	return served.Sub(begin), err
}

// answers asks each proxy of a side, every half millisecond, until it answers by
// the state; the returned function waits for the last of them.
func (b *bench) answers(ctx context.Context, s side, want state) func() (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	var wg sync.WaitGroup
	times, errs := make([]time.Time, len(s.proxies)), make([]error, len(s.proxies))
	for i, address := range s.proxies {
		wg.Go(func() { times[i], errs[i] = ask(ctx, address, want) })
	}
	return func() (time.Time, error) {
		defer cancel()
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				return time.Time{}, err
			}
		}
		return slices.MaxFunc(times, time.Time.Compare), nil
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

// records follows our server.
func (b *bench) records(ctx context.Context) (<-chan control.Record, error) {
	resp, err := b.follow(ctx)
	for begin := time.Now(); err != nil; resp, err = b.follow(ctx) {
		if time.Since(begin) > 20*time.Second {
			return nil, err
		}
		time.Sleep(20 * time.Millisecond) // it is starting
	}
	records := make(chan control.Record, 1000)
	go func() {
		defer resp.Body.Close() //nolint:errcheck // read to its end
		for d := json.NewDecoder(bufio.NewReader(resp.Body)); ; {
			var r control.Record
			if d.Decode(&r) != nil {
				return // nobody follows any more
			}
			b.measuring.Lock()
			records <- r // there is room
			b.measuring.Unlock()
		}
	}()
	return records, nil
}

func (b *bench) follow(ctx context.Context) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.admin+"/v1/events", nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}

func (b *bench) fleetYAML(config string) []byte {
	_, port, _ := strings.Cut(strings.TrimPrefix(b.echo.URL, "http://"), ":")
	return fmt.Appendf(nil, `fleet: edge
rollout: {stages: [{name: all, percent: 100}]}
filters:
  - {name: auth, module: {file: filter.wasm}, config: %s, listeners: [ingress]}
resources:
  listeners:
    - name: ingress
      address: {socket_address: {address: 127.0.0.1, port_value: 1}}
      filter_chains:
        - filters:
            - name: hcm
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: ingress
                route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: echo}}]}]}
                http_filters:
                  - name: router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
    - name: echo
      type: STATIC
      connect_timeout: 1s
      load_assignment:
        cluster_name: echo
        endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %s}}}}]}]
`, config, port)
}
