package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/waxwing-xds/waxwing/internal/bootstrap"
	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/envoy"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// module is what was measured of one.
type module struct {
	name      string
	kilobytes float64
	acked     []time.Duration // from push to ACK, sorted
	megabytes float64         // of a VM
}

// modules measures each module.
func (b *bench) modules(ctx context.Context, o options) ([]module, error) {
	bare, err := b.perWorker(&side{name: none}, o.vms)
	if err != nil {
		return nil, err
	}
	var all []module
	for _, s := range b.sides {
		if s.wasm == "" || s.name == floorDenied || s.name == floorAsking {
			continue
		}
		code, err := os.ReadFile(s.wasm)
		if err != nil {
			return nil, fmt.Errorf("the module: %w", err)
		}
		acked, err := b.pushes(ctx, code, o.pushes)
		if err != nil {
			return nil, fmt.Errorf("pushing %s: %w", s.name, err)
		}
		memory, err := b.perWorker(&side{name: s.name, wasm: s.wasm}, o.vms)
		if err != nil {
			return nil, fmt.Errorf("memory of %s: %w", s.name, err)
		}
		all = append(all, module{s.name, float64(len(code)) / 1e3, acked, (memory - bare) / 1e6})
	}
	return all, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// perWorker is what an Envoy's resident memory grows by with each worker: the
// VMs share the compiled code, so the memory of one is what one more takes.
func (b *bench) perWorker(s *side, more int) (float64, error) {
	var sizes [2]float64
	for i, concurrency := range []int{1, 1 + more} {
		p, err := b.start(concurrency, s)
		if err != nil {
			return 0, err
		}
		sizes[i], err = resident(p.PID())
		p.Stop()
		if err != nil {
			return 0, err
		}
	}
	return (sizes[1] - sizes[0]) / float64(more), nil
}

// resident is a process's resident memory in bytes.
func resident(pid int) (float64, error) {
	out, err := exec.Command("ps", "-o", "rss=", "-p", fmt.Sprint(pid)).Output()
	if err != nil {
		return 0, fmt.Errorf("ps: %w", err)
	}
	var kilobytes float64
	_, err = fmt.Sscan(string(out), &kilobytes)
	return kilobytes * 1024, err
}

// pushes saves a module so often, each time with another note in a section that
// nobody reads, and returns how long a proxy took from the push to its ACK, sorted.
func (b *bench) pushes(ctx context.Context, module []byte, n int) (took []time.Duration, err error) {
	dir, err := os.MkdirTemp(b.dir, "push-*")
	if err != nil {
		return nil, err
	}
	var addresses [3]string // the server's, its admin API's, the proxy's listener's
	for i := range addresses {
		if addresses[i], err = rig.FreeAddress(); err != nil {
			return nil, err
		}
	}
	if err := save(dir, module, 0); err != nil {
		return nil, err
	}
	stop, records, err := b.serve(ctx, dir, addresses)
	defer stop()
	if err != nil {
		return nil, err
	}
	for i := range n + 2 { // the first comes with the proxy's start, the second warms up
		if i > 0 {
			if err := save(dir, module, i); err != nil {
				return nil, err
			}
		}
		elapsed, err := accepted(ctx, records)
		if err != nil {
			return nil, err
		}
		if i > 1 {
			took = append(took, elapsed)
		}
	}
	slices.Sort(took)
	return took, nil
}

// save renames a module into place, with a custom section of its own.
func save(dir string, module []byte, note int) error {
	section := append([]byte{0, 6, 4}, fmt.Sprintf("n%03d.", note)...)
	path := filepath.Join(dir, "filter.wasm")
	if err := os.WriteFile(path+".new", slices.Concat(module, section), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// accepted waits for the proxy's ACK of the newest revision.
func accepted(ctx context.Context, records *json.Decoder) (time.Duration, error) {
	for ctx.Err() == nil {
		var r control.Record
		if err := records.Decode(&r); err != nil {
			return 0, err
		}
		switch {
		case r.Kind == control.Accepted && r.Timings != nil:
			return r.Timings.Accepted.Sub(r.Timings.Pushed), nil
		case strings.Contains(r.Kind, "reject"):
			return 0, fmt.Errorf("refused: %s", r.Message)
		}
	}
	return 0, ctx.Err()
}

// serve starts a server and a proxy of it; its events come as JSON.
func (b *bench) serve(ctx context.Context, dir string, addresses [3]string) (func(), *json.Decoder, error) {
	if err := os.WriteFile(filepath.Join(dir, "fleet.yaml"), []byte(fleetYAML), 0o600); err != nil {
		return func() {}, nil, err
	}
	server := exec.CommandContext(ctx, "bin/xds", "serve", "--config", os.DevNull, "--fleet", filepath.Join(dir, "fleet.yaml"),
		"--state", filepath.Join(dir, "state"), "--listen", addresses[0], "--admin", addresses[1])
	if err := server.Start(); err != nil {
		return func() {}, nil, err
	}
	stop := func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		_ = server.Wait()
	}
	resp, err := follow(ctx, addresses[1])
	if err != nil {
		return stop, nil, err
	}
	var text bytes.Buffer
	file := filepath.Join(dir, "envoy.yaml")
	err = bootstrap.Write(&text, bootstrap.Options{
		NodeID: "push", Cluster: "edge", Server: addresses[0], Admin: "127.0.0.1:0",
		Listen: map[string]string{"ingress": addresses[2]}, Command: "make bench-filter",
	})
	if err == nil {
		err = os.WriteFile(file, text.Bytes(), 0o600)
	}
	if err != nil {
		return stop, nil, errors.Join(err, resp.Body.Close())
	}
	p, err := envoy.Start(envoy.Options{Path: b.envoy, Bootstrap: file, NodeID: "push", Dir: dir, Concurrency: 1})
	if err != nil {
		return stop, nil, errors.Join(err, resp.Body.Close())
	}
	return func() { p.Stop(); _ = resp.Body.Close(); stop() }, json.NewDecoder(bufio.NewReader(resp.Body)), nil
}

// follow asks for the server's events, as soon as it answers.
func follow(ctx context.Context, admin string) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute) // ends with the program
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for begin := time.Now(); ; <-tick.C {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/v1/events", nil)
		if err != nil {
			cancel()
			return nil, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			context.AfterFunc(ctx, cancel)
			return resp, nil
		}
		if time.Since(begin) > 20*time.Second {
			cancel()
			return nil, err
		}
	}
}

const fleetYAML = `fleet: edge
filters:
  - {name: filter, module: {file: filter.wasm}, listeners: [ingress]}
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
                route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}]}
                http_filters:
                  - name: router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
`
