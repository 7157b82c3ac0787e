package preflight

import (
	"context"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// Time in the sandbox is the host's, and what is skipped: nothing is waited for.
const (
	// pauseLimit is how long a stream may be paused: Envoy's default for a route.
	pauseLimit = 15 * time.Second
	// callout is how long an HTTP call takes to fail.
	callout = time.Millisecond
	// maxSteps bounds the events of a step, for a module that ticks each millisecond.
	maxSteps = 2000
	// maxCalls bounds the HTTP calls that are under way.
	maxCalls = 1000
)

// events is what is to happen in a VM by itself.
type events struct {
	skipped     time.Duration // of time
	waited      time.Duration // in all waits, each for as long as it was to be: the same on any machine
	steps       int
	period      time.Duration          // of ticks; 0: none
	tick        time.Time              // the next one
	tickWaited  time.Duration          // what will have been waited by then
	calls       []due                  // what is to come of calls, in their order
	calling     uint64                 // bytes that are kept for these
	token       uint32                 // of the newest
	answer      *reply                 // what is delivered of a call, while it is
	grpcStreams map[uint32]*grpcStream // that are open
	status      grpcStatus             // of the last gRPC call that ended
	callouts    []fleet.Callout        // what calls get
	ready       []uint32               // queues that have something new
}

func (v *vm) now() time.Time { return time.Now().Add(v.skipped) }

// pending reports whether anything is to happen by itself.
func (v *vm) pending() bool { return v.period > 0 && v.has("proxy_on_tick") || len(v.calls) > 0 }

// untilNext is how long it is until the next event; 0 where there is none.
func (v *vm) untilNext() time.Duration {
	at, next := v.tick, v.nextDue()
	if ticks := v.period > 0 && v.has("proxy_on_tick"); next >= 0 && (!ticks || v.calls[next].at.Before(at)) {
		at = v.calls[next].at
	} else if !ticks {
		return 0
	}
	return max(0, at.Sub(v.now()))
}

// advance lets all happen that is due within a duration from now, as far as
// maxSteps allows.
func (v *vm) advance(ctx context.Context, d time.Duration) error {
	v.steps = 0
	for until := v.now().Add(d); v.pending(); {
		if happened, err := v.happen(ctx, until); err != nil || !happened {
			return err
		}
	}
	return v.posted(ctx)
}

// happen lets the next event happen, if that is by a time.
func (v *vm) happen(ctx context.Context, by time.Time) (happened bool, err error) {
	due, waited, next := v.tick, v.tickWaited, v.nextDue()
	isCall := next >= 0 && (v.period == 0 || !v.calls[next].at.After(due))
	if isCall {
		due, waited = v.calls[next].at, v.calls[next].waited
	}
	if v.steps++; due.After(by) || v.steps > maxSteps {
		return false, nil
	}
	if ahead := due.Sub(v.now()); ahead > 0 {
		v.skipped += ahead
	}
	v.waited = max(v.waited, waited)
	if isCall {
		err = v.comes(ctx, next)
	} else {
		v.ticksNext()
		_, err = v.call(ctx, rootContext, "proxy_on_tick", rootContext)
	}
	if err != nil {
		return true, err
	}
	return true, v.posted(ctx)
}

// posted tells the module of queues that have something new.
func (v *vm) posted(ctx context.Context) error {
	for len(v.ready) > 0 && v.steps < maxSteps {
		token := v.ready[0]
		v.ready = v.ready[1:]
		v.steps++
		if _, err := v.call(ctx, rootContext, "proxy_on_queue_ready", rootContext, uint64(token)); err != nil {
			return err
		}
	}
	v.ready = nil
	return nil
}

func (c *call) setTickPeriod() status {
	v := c.vm
	v.period = time.Duration(c.u32(0)) * time.Millisecond
	v.ticksNext()
	return ok
}

func (v *vm) ticksNext() { v.tick, v.tickWaited = v.now().Add(v.period), v.waited+v.period }
