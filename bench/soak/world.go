package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/bench/gauge"
	"github.com/waxwing-xds/waxwing/internal/bootstrap"
	"github.com/waxwing-xds/waxwing/internal/envoy"
	"github.com/waxwing-xds/waxwing/internal/rig"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// world is the server and its proxies.
type world struct {
	dir           string
	listen, admin string
	server        *exec.Cmd
	gate          []byte // the module, with a place for the build's number
	build         int    // number of the last good module that was saved
	envoyPath     string
	envoys        []*realProxy
	fleet         *xdstest.Fleet
	proxies       []*simulated
	random        *rand.Rand
	cancel        context.CancelFunc // ends the simulated proxies
	stayed        chan struct{}      // closed when they have
	counts        map[string]int     // what was done
	strange       atomic.Int64       // proxies that came once
}

// realProxy is an Envoy and the address of its listener.
type realProxy struct {
	*envoy.Proxy
	id, listener string
}

func newWorld(ctx context.Context, o options) (w *world, err error) {
	w = &world{random: rand.New(rand.NewPCG(o.seed, 0)), counts: map[string]int{}}
	if w.dir, err = os.MkdirTemp("", "waxwing-soak-*"); err != nil {
		return w, err
	}
	if w.gate, err = exec.CommandContext(ctx, "wat2wasm", "e2e/testdata/gate.wat", "--output=-").Output(); err != nil {
		return w, fmt.Errorf("building a small filter (wat2wasm is a part of wabt): %w", err)
	}
	if w.envoyPath, err = envoy.Find(ctx, ".tools", func(what string) { fmt.Fprintln(os.Stderr, what) }); err != nil {
		return w, err
	}
	for _, address := range []*string{&w.listen, &w.admin} {
		if *address, err = rig.FreeAddress(); err != nil {
			return w, err
		}
	}
	if err := w.write("fleet.yaml", []byte(fleetYAML)); err != nil {
		return w, err
	}
	w.save()
	if err := w.serve(ctx); err != nil {
		return w, err
	}
	for i := range o.envoys {
		if err := w.startEnvoy(i); err != nil {
			return w, err
		}
	}
	return w, w.simulate(ctx, o.proxies)
}

func (w *world) serve(ctx context.Context) error {
	log, err := os.Create(w.path("xds.log"))
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the server's own is another
	w.server = exec.CommandContext(ctx, "bin/xds", "serve", "--config", os.DevNull, "--fleet", w.path("fleet.yaml"), "--state", w.path("state"),
		"--listen", w.listen, "--admin", w.admin, "--push-timeout", pushTimeout.String(), "--push-budget-bytes", "20000000", "--log-level", "error")
	w.server.Stderr = log
	w.server.SysProcAttr = gauge.EndsWithParent()
	if err := w.server.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return gauge.Until(ctx, w.admin, func(m gauge.Metrics) bool { return m != nil })
}

// startEnvoy starts the ith Envoy, or starts it again.
func (w *world) startEnvoy(i int) (err error) {
	id := fmt.Sprintf("envoy-%d", i)
	if i == len(w.envoys) {
		p := &realProxy{id: id}
		if p.listener, err = rig.FreeAddress(); err != nil {
			return err
		}
		w.envoys = append(w.envoys, p)
	}
	p := w.envoys[i]
	var text strings.Builder
	err = bootstrap.Write(&text, bootstrap.Options{
		NodeID: id, Cluster: "edge", Server: w.listen, Admin: "127.0.0.1:0",
		Listen: map[string]string{"ingress": p.listener}, Command: "make soak",
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(w.path(id+".yaml"), []byte(text.String()), 0o600); err != nil {
		return err
	}
	p.Proxy, err = envoy.Start(envoy.Options{Path: w.envoyPath, Bootstrap: w.path(id + ".yaml"), NodeID: id, Dir: w.dir})
	return err
}

func (w *world) simulate(ctx context.Context, n int) (err error) {
	w.proxies = make([]*simulated, n)
	filters := map[string][]string{resource.ExtensionConfigType: {"auth", shadowed}}
	w.fleet, err = xdstest.NewFleet(n, w.listen, func(i int) xdstest.Config {
		w.proxies[i] = newSimulated()
		return xdstest.Config{
			Node: xdstest.Node(fmt.Sprintf("sim-%05d", i), "edge", nil), SotW: i%2 == 1, Names: filters, Light: true, Judge: w.proxies[i].judge,
		}
	})
	if err != nil {
		return err
	}
	ctx, w.cancel = context.WithCancel(ctx)
	w.stayed = make(chan struct{})
	go func() {
		defer close(w.stayed)
		w.fleet.Stay(ctx)
	}()
	return nil
}

// save writes the next build of the module.
func (w *world) save() {
	w.counts["saves"]++
	w.build++
	marked := bytes.Replace(w.gate, []byte("build:00000000"), fmt.Appendf(nil, "build:%08d", w.build), 1)
	w.must(w.write("filter.wasm", padded(marked)))
}

// fill is what a module is filled up with, in bytes.
const fill = 128 << 10

// padded makes a module large enough to count against the budget of pushes, by a
// custom section: https://webassembly.github.io/spec/core/binary/modules.html#custom-section
func padded(module []byte) []byte {
	section := append(binary.AppendUvarint([]byte{0}, fill+1), 0) // id, size, the length of a name
	return append(append(bytes.Clone(module), section...), make([]byte, fill)...)
}

func (w *world) write(name string, data []byte) error {
	if err := os.WriteFile(w.path(name+".new"), data, 0o600); err != nil {
		return err
	}
	return os.Rename(w.path(name+".new"), w.path(name))
}

// must is for what does not fail while there is a disk.
func (w *world) must(err error) {
	if err != nil {
		panic(err)
	}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// answer asks an Envoy a request that its filter lets through, and returns the
// build that the response names.
func (p *realProxy) answer(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.listener, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("token", "32323")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // it is not read
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status)
	}
	return resp.Header.Get("x-build"), nil
}

func (w *world) down() {
	for _, p := range w.envoys {
		if p.Proxy != nil {
			p.Kill()
		}
	}
	if w.cancel != nil {
		w.cancel()
		<-w.stayed
		_ = w.fleet.Close() // the connections, of which none is needed any more
	}
	if w.server != nil && w.server.Process != nil {
		_ = w.server.Process.Kill()
		_ = w.server.Wait()
	}
	_ = os.RemoveAll(w.dir)
}

const fleetYAML = `fleet: edge
match: {cluster: edge}
filters:
  - name: auth
    module: {file: filter.wasm}
    listeners: [ingress]
rollout: {stages: [{name: canary, percent: 10}, {name: all, percent: 100}]}
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
  clusters:
    - name: echo
      type: STATIC
      connect_timeout: 1s
      load_assignment:
        cluster_name: echo
        endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 9}}}}]}]
`
