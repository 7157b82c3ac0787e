package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/rig"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// proxies is the process of a server's simulated proxies, and their notes.
type proxies struct {
	ctx   context.Context
	fleet *xdstest.Fleet

	evidence *xdstest.Evidence // nil where they give none

	mu      sync.Mutex
	want    []string // types that each proxy is to receive
	seen    []int    // how many of them it did, by proxy
	at      []int64  // when it had all
	missing int
	done    chan struct{}
	bytes   int64
	filters int      // responses with filters
	version []string // of the resource received last, by proxy
	wrong   error
}

func simulate(ctx context.Context) error {
	p := &proxies{ctx: ctx}
	return rig.Obey(func(c command) (answer, error) {
		switch c.Do {
		case "connect":
			return p.connect(ctx, c)
		case "expect":
			p.expect([]string{c.Kind.changes()})
			return answer{}, nil
		case "await":
			return p.await()
		case "count": // what was received since the last expect or connect
			p.mu.Lock()
			defer p.mu.Unlock()
			a := answer{Filters: p.filters, Bytes: p.bytes}
			if p.evidence != nil {
				a.Flushes, a.Reports = p.evidence.Flushes.Load(), p.evidence.Reports.Load()
			}
			return a, p.wrong
		}
		return answer{}, fmt.Errorf("proxies can't %q", c.Do)
	})
}

// connect brings n proxies up, and returns when each has a first set of resources.
func (p *proxies) connect(ctx context.Context, c command) (answer, error) {
	p.version = make([]string, c.N)
	p.seen, p.at = make([]int, c.N), make([]int64, c.N)
	filters := map[string][]string{}
	if c.Kind.size() > 0 {
		filters[resource.ExtensionConfigType] = []string{names[resource.ExtensionConfigType]}
	}
	if c.Whole { // which has shadow listeners
		filters[resource.ExtensionConfigType] = append(filters[resource.ExtensionConfigType], snapshot.ShadowPrefix+"auth")
	}
	secure, err := clients(c.Certificates)
	if err != nil {
		return answer{}, err
	}
	p.fleet, err = xdstest.NewFleet(c.N, c.Address, func(i int) xdstest.Config {
		node := xdstest.Node(nodeID(i), "edge", nil)
		if c.Kind == evidenceModule {
			node = evident(node)
		}
		return xdstest.Config{
			Node: node, Names: filters, Light: true, Credentials: secure(nodeID(i)),
			Judge: func(r xdstest.Response) error { p.received(i, r); return nil },
		}
	})
	if err != nil {
		return answer{}, err
	}
	p.expect(c.Kind.types())
	go p.fleet.Stay(ctx)
	if c.Kind == evidenceModule {
		if err := p.testify(ctx); err != nil {
			return answer{}, err
		}
	}
	return p.await()
}

// expect makes ready for a response of each of these types for each proxy.
func (p *proxies) expect(types []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want, p.missing, p.done, p.bytes, p.filters = types, len(p.at), make(chan struct{}), 0, 0
	clear(p.seen)
	clear(p.at)
}

func (p *proxies) received(i int, r xdstest.Response) {
	at := now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes += int64(r.Bytes)
	if r.TypeURL == resource.ExtensionConfigType {
		p.filters++
	}
	version, ok := r.Resources[names[r.TypeURL]]
	if !ok || !slices.Contains(p.want, r.TypeURL) || p.at[i] != 0 {
		return
	}
	if version == p.version[i] {
		p.wrong = fmt.Errorf("proxy %d was sent %s again, version %s", i, r.TypeURL, version)
	}
	p.version[i] = version
	if p.seen[i]++; p.seen[i] == len(p.want) {
		p.at[i] = at
		if p.missing--; p.missing == 0 {
			close(p.done)
		}
	}
}

// patience is how long the last of the proxies may take.
const patience = 90 * time.Second

// late says what is known of proxies that did not get what they were to.
func (p *proxies) late() error {
	streams, why := 0, map[string]int{}
	for _, proxy := range p.fleet.Proxies {
		streams += proxy.Streams()
		if err := proxy.Err(); err != nil {
			why[err.Error()]++
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Errorf("%d of %d proxies have not got %q after %s; %d streams were opened, these are closed: %v",
		p.missing, len(p.at), p.want, patience, streams, why)
}

// await returns when each proxy has what was expected.
func (p *proxies) await() (answer, error) {
	p.mu.Lock()
	done := p.done
	p.mu.Unlock()
	select {
	case <-done:
	case <-time.After(patience):
		return answer{}, p.late()
	case <-p.ctx.Done():
		return answer{}, p.ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return answer{At: slices.Clone(p.at), Bytes: p.bytes, Filters: p.filters}, p.wrong
}
