package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/bench/gauge"
)

// contender is a server with its proxies.
type contender struct {
	side    string
	kind    kind
	n       int
	module  string
	profile string
	server  *process
	proxies *process
	address string
	next    int // number of the next revision
	pushes  []pushed
	idle    int64 // bytes resident with no proxy
	connect connected
}

// pushed is what one push took.
type pushed struct {
	median, p99, last, cpu time.Duration
	peak, bytes            int64
}

// connected is what it took to connect all proxies and to hold them.
type connected struct {
	last, cpu time.Duration
	each      int64 // bytes resident for each proxy at rest
	memory    memory
}

// up starts a server with a first revision, and connects its proxies.
func up(ctx context.Context, side string, k kind, n int, o options) (*contender, error) {
	c := &contender{side: side, kind: k, n: n, module: o.module, next: 1}
	if side == sideOurs {
		c.profile = o.profile
	}
	if err := c.serve(ctx, "127.0.0.1:0"); err != nil {
		return c, fmt.Errorf("%s: %w", side, err)
	}
	var err error
	if c.proxies, err = start(ctx, "-role", "proxies"); err != nil {
		return c, err
	}
	return c, c.connectAll()
}

// serve starts the server's process with the revision before c.next.
func (c *contender) serve(ctx context.Context, address string) (err error) {
	if c.server, err = start(ctx, "-role", "server", "-side", c.side, "-listen", address, "-profile", c.profile); err != nil {
		return err
	}
	if err := c.prepareAndPush(c.next, 0); err != nil {
		return err
	}
	a, err := c.server.tell(command{Do: "serve"})
	if err != nil {
		return err
	}
	c.address = a.Address
	if _, err := c.server.tell(command{Do: "settle"}); err != nil {
		return err
	}
	c.idle, err = gauge.Resident(c.server.cmd.Process.Pid)
	return err
}

func (c *contender) prepareAndPush(revision, odd int) error {
	prepare := command{Do: "prepare", Kind: c.kind, Revision: revision, Odd: odd, Module: c.module}
	if _, err := c.server.tell(prepare); err != nil {
		return err
	}
	_, err := c.server.tell(command{Do: "push", N: c.n, Revision: revision, Odd: odd})
	return err
}

func (c *contender) connectAll() error {
	pid := c.server.cmd.Process.Pid
	before, err := gauge.UsageOf(pid)
	if err != nil {
		return err
	}
	begin := now()
	a, err := c.proxies.tell(command{Do: "connect", Kind: c.kind, N: c.n, Address: c.address})
	if err != nil {
		return fmt.Errorf("%s: %w", c.side, err)
	}
	after, err := gauge.UsageOf(pid)
	if err != nil {
		return err
	}
	c.connect.last, c.connect.cpu = time.Duration(slices.Max(a.At)-begin), after.CPU-before.CPU
	m, err := c.server.tell(command{Do: "settle"})
	if err != nil {
		return err
	}
	c.connect.memory = m.Memory
	rss, err := gauge.Resident(pid)
	c.connect.each = (rss - c.idle) / int64(c.n)
	return err
}

// push pushes the next revision to all; with split, one to half of the proxies
// and another to the others.
func (c *contender) push(split bool) (pushed, error) {
	c.next++
	revision, odd := c.next, 0
	if split {
		c.next++
		odd = c.next
	}
	pid := c.server.cmd.Process.Pid
	_, err1 := c.server.tell(command{Do: "prepare", Kind: c.kind, Revision: revision, Odd: odd, Module: c.module})
	_, err2 := c.proxies.tell(command{Do: "expect", Kind: c.kind})
	before, err3 := gauge.UsageOf(pid)
	if err := errors.Join(err1, err2, err3, gauge.ForgetPeak(pid)); err != nil {
		return pushed{}, fmt.Errorf("%s: %w", c.side, err)
	}
	begin := now()
	if _, err := c.server.tell(command{Do: "push", N: c.n, Revision: revision, Odd: odd}); err != nil {
		return pushed{}, fmt.Errorf("%s: %w", c.side, err)
	}
	a, err := c.proxies.tell(command{Do: "await"})
	if err != nil {
		return pushed{}, fmt.Errorf("%s: %w", c.side, err)
	}
	after, err1 := gauge.UsageOf(pid)
	most, err2 := gauge.Peak(pid)
	slices.Sort(a.At)
	p := pushed{
		median: time.Duration(a.At[c.n/2] - begin), p99: time.Duration(a.At[(c.n-1)*99/100] - begin),
		last: time.Duration(a.At[c.n-1] - begin), cpu: after.CPU - before.CPU, peak: most, bytes: after.Wrote - before.Wrote,
	}
	return p, errors.Join(err1, err2)
}

// startProfile starts a profile of the processor, which down writes.
func (c *contender) startProfile() error {
	_, err := c.server.tell(command{Do: "profile"})
	return err
}

// down ends both processes.
func (c *contender) down() {
	if c.profile != "" {
		_, _ = c.server.tell(command{Do: "profiled"}) // without it there is none to look at
	}
	for _, p := range []*process{c.proxies, c.server} {
		if p != nil {
			p.kill()
		}
	}
}
