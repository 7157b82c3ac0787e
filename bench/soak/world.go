package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/envoy"
	"github.com/waxwing-xds/waxwing/internal/rig"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// world is the server and its proxies.
type world struct {
	rig.Ends

	server    *rig.Server
	build     int // number of the last good module that was saved
	envoyPath string
	envoys    []*realProxy
	fleet     *xdstest.Fleet
	proxies   []*simulated
	random    *rand.Rand
	counts    map[string]int // what was done
	strange   atomic.Int64   // proxies that came once
}

// realProxy is an Envoy and the address of its listener.
type realProxy struct {
	*envoy.Proxy

	id, listener string
}

func newWorld(ctx context.Context, o options) (w *world, err error) {
	w = &world{random: rand.New(rand.NewPCG(o.seed, 0)), counts: map[string]int{}}
	dir, err := w.Folder()
	if err != nil {
		return w, err
	}
	if w.envoyPath, err = rig.FindEnvoy(ctx); err != nil {
		return w, err
	}
	w.server, err = rig.NewServer("bin/xds", dir, "--push-timeout", pushTimeout.String(), "--push-budget-bytes", "20000000", "--log-level", "error")
	if err != nil {
		return w, err
	}
	if err := w.server.Save("fleet.yaml", rig.Fleet{Filter: "auth", Rollout: "{stages: [{name: canary, percent: 10}, {name: all, percent: 100}]}"}.YAML()); err != nil {
		return w, err
	}
	w.save()
	if err := w.server.Start(ctx); err != nil {
		return w, err
	}
	w.Add(w.server.Kill)
	for i := range o.envoys {
		if err := w.startEnvoy(i); err != nil {
			return w, err
		}
		w.Add(func() { w.envoys[i].Kill() })
	}
	return w, w.simulate(ctx, o.proxies)
}

// startEnvoy starts the ith Envoy, or starts it again.
func (w *world) startEnvoy(i int) (err error) {
	if i == len(w.envoys) {
		p := &realProxy{id: fmt.Sprintf("envoy-%d", i)}
		if p.listener, err = rig.FreeAddress(); err != nil {
			return err
		}
		w.envoys = append(w.envoys, p)
	}
	p := w.envoys[i]
	p.Proxy, err = w.server.StartEnvoy(envoy.Options{Path: w.envoyPath, NodeID: p.id, Dir: w.server.Dir}, rig.Ingress(p.listener))
	return err
}

func (w *world) simulate(ctx context.Context, n int) (err error) {
	w.proxies = make([]*simulated, n)
	filters := map[string][]string{resource.ExtensionConfigType: {"auth", shadowed}}
	w.fleet, err = xdstest.NewFleet(n, w.server.Listen, func(i int) xdstest.Config {
		w.proxies[i] = newSimulated()
		return xdstest.Config{
			Node: xdstest.Node(fmt.Sprintf("sim-%05d", i), "edge", nil), SotW: i%2 == 1, Names: filters, Light: true, Judge: w.proxies[i].judge,
		}
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	stayed := make(chan struct{})
	go func() {
		defer close(stayed)
		w.fleet.Stay(ctx)
	}()
	w.Add(func() {
		cancel()
		<-stayed
		_ = w.fleet.Close() // the connections, of which none is needed any more
	})
	return nil
}

// save writes the next build of the module.
func (w *world) save() {
	w.counts["saves"]++
	w.build++
	module, err := rig.Gate(w.build)
	w.must(err)
	w.must(w.server.Save("filter.wasm", rig.WithSection(module, "", make([]byte, fill)))) // large enough to count against the budget of pushes
}

// fill is what a module is filled up with, in bytes.
const fill = 128 << 10

// must is for what does not fail while there is a disk.
func (w *world) must(err error) {
	if err != nil {
		panic(err)
	}
}

// answer asks an Envoy a request that its filter lets through, and returns the
// build that the response names.
func (p *realProxy) answer(ctx context.Context) (string, error) {
	a, err := rig.Ask(ctx, p.listener, "token", "32323")
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("status %d", a.Status)
	}
	return a.Header.Get("x-build"), err
}
