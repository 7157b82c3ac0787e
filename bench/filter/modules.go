package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
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
	bare, err := b.perWorker(ctx, &side{name: none}, o.vms)
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
		memory, err := b.perWorker(ctx, &side{name: s.name, wasm: s.wasm}, o.vms)
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
func (b *bench) perWorker(ctx context.Context, s *side, more int) (float64, error) {
	var sizes [2]float64
	for i, concurrency := range []int{1, 1 + more} {
		p, err := b.start(ctx, concurrency, s)
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
	server, err := rig.NewServer("bin/xds", dir)
	if err != nil {
		return nil, err
	}
	save := func(i int) error {
		return server.Save("filter.wasm", rig.WithSection(module, "note", fmt.Appendf(nil, "%d", i)))
	}
	address, err := rig.FreeAddress()
	if err := errors.Join(err, server.Save("fleet.yaml", rig.Fleet{Filter: "filter"}.YAML()), save(0)); err != nil {
		return nil, err
	}
	if err := server.Start(ctx); err != nil {
		return nil, err
	}
	defer server.Stop()
	events, err := server.API.Events(ctx, "")
	if err != nil {
		return nil, err
	}
	defer events.Close()
	p, err := server.StartEnvoy(envoy.Options{Path: b.envoy, NodeID: "push", Dir: dir, Concurrency: 1}, rig.Ingress(address))
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	for i := range n + 2 { // the first comes with the proxy's start, the second warms up
		if i > 0 {
			if err := save(i); err != nil {
				return nil, err
			}
		}
		elapsed, err := accepted(events)
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

// accepted waits for the proxy's ACK of the newest revision.
func accepted(events *api.Stream) (time.Duration, error) {
	for {
		e, err := events.Next()
		switch {
		case err != nil:
			return 0, err
		case e.Kind == api.EventAccepted && e.Timings != nil:
			return e.Timings.Accepted.Sub(e.Timings.Pushed), nil
		case e.Kind == api.EventRejected || e.Kind == api.EventRefusal:
			return 0, fmt.Errorf("refused: %s", e.Message)
		}
	}
}
