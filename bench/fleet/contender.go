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
	secure  string // folder of certificates; "": plain text
	server  *part
	proxies *part
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
	c := &contender{side: side, kind: k, n: n, module: o.module, secure: o.certificates, next: 1}
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
	if c.server, err = start(ctx, "-role", "server", "-side", c.side, "-listen", address, "-profile", c.profile, "-certificates", c.secure); err != nil {
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
	c.idle, err = gauge.Resident(c.server.PID())
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
	pid := c.server.PID()
	taken, err := gauge.Measure(pid, func() error {
		begin := now()
		a, err := c.proxies.tell(command{Do: "connect", Kind: c.kind, N: c.n, Address: c.address, Certificates: c.secure})
		if err == nil {
			c.connect.last = time.Duration(slices.Max(a.At) - begin)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", c.side, err)
	}
	c.connect.cpu = taken.CPU
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
func (c *contender) push(split bool) (p pushed, err error) {
	c.next++
	revision, odd := c.next, 0
	if split {
		c.next++
		odd = c.next
	}
	_, err1 := c.server.tell(command{Do: "prepare", Kind: c.kind, Revision: revision, Odd: odd, Module: c.module})
	_, err2 := c.proxies.tell(command{Do: "expect", Kind: c.kind})
	if err := errors.Join(err1, err2); err != nil {
		return p, fmt.Errorf("%s: %w", c.side, err)
	}
	taken, err := gauge.Measure(c.server.PID(), func() error {
		begin := now()
		if _, err := c.server.tell(command{Do: "push", N: c.n, Revision: revision, Odd: odd}); err != nil {
			return err
		}
		a, err := c.proxies.tell(command{Do: "await"})
		if err != nil {
			return err
		}
		slices.Sort(a.At)
		at := func(i int) time.Duration { return time.Duration(a.At[i] - begin) }
		p.median, p.p99, p.last = at(c.n/2), at((c.n-1)*99/100), at(c.n-1)
		return nil
	})
	if err != nil {
		return p, fmt.Errorf("%s: %w", c.side, err)
	}
	p.cpu, p.peak, p.bytes = taken.CPU, taken.Peak, taken.Wrote
	return p, nil
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
	for _, p := range []*part{c.proxies, c.server} {
		if p != nil {
			p.Kill()
		}
	}
}
