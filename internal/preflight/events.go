package preflight

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// Time in the sandbox is the host's, and what is skipped: nothing is waited for.
const (
	// pauseLimit is how long a stream may be paused: Envoy's default for a route.
	pauseLimit = 15 * time.Second
	// callout is how long an HTTP call takes to fail.
	callout = time.Millisecond
	// maxSteps bounds the events of a stage, for a module that ticks each millisecond.
	maxSteps = 2000
	// maxCalls bounds the HTTP calls that are under way.
	maxCalls = 1000
)

// events is what is to happen in a VM by itself.
type events struct {
	skipped   time.Duration // of time
	steps     int
	period    time.Duration // of ticks; 0: none
	tick      time.Time     // the next one
	calls     []httpCall    // in their order
	token     uint32        // of the newest
	answering bool          // an answer to a call is delivered
	ready     []uint32      // queues that have something new
}

type httpCall struct {
	token uint32
	fails time.Time
}

func (v *vm) now() time.Time { return time.Now().Add(v.skipped) }

// pending reports whether anything is to happen by itself.
func (v *vm) pending() bool { return v.period > 0 && v.has("proxy_on_tick") || len(v.calls) > 0 }

// advance lets all happen that is due within a duration from now, as far as
// maxSteps allows.
func (v *vm) advance(ctx context.Context, d time.Duration) error {
	v.steps = 0
	for until := v.now().Add(d); v.pending(); {
		if happened, err := v.step(ctx, until); err != nil || !happened {
			return err
		}
	}
	return v.posted(ctx)
}

// step lets the next event happen, if that is by a time.
func (v *vm) step(ctx context.Context, by time.Time) (happened bool, err error) {
	due, isCall := v.tick, len(v.calls) > 0
	if isCall = isCall && (v.period == 0 || !v.calls[0].fails.After(due)); isCall {
		due = v.calls[0].fails
	}
	if v.steps++; due.After(by) || v.steps > maxSteps {
		return false, nil
	}
	if ahead := due.Sub(v.now()); ahead > 0 {
		v.skipped += ahead
	}
	if isCall {
		err = v.answerCall(ctx)
	} else {
		v.tick = v.now().Add(v.period)
		_, err = v.call(ctx, rootContext, "proxy_on_tick", rootContext)
	}
	if err != nil {
		return true, err
	}
	return true, v.posted(ctx)
}

// The answer to an HTTP call: Envoy's own, when there is no one to connect to.
// Context::onHttpCallFailure, without headers, is for streams that are reset.
var (
	callHeaders = headers{{":status", "503"}, {"content-length", strconv.Itoa(len(callBody))}, {"content-type", "text/plain"}}
	callBody    = "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure"
)

// answerCall answers the oldest HTTP call.
func (v *vm) answerCall(ctx context.Context) error {
	token := v.calls[0].token
	v.calls = v.calls[1:]
	v.answering = true
	defer func() { v.answering = false }()
	_, err := v.call(ctx, rootContext, "proxy_on_http_call_response", rootContext,
		uint64(token), uint64(len(callHeaders)), uint64(len(callBody)), 0)
	return err
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
	v.tick = v.now().Add(v.period)
	return ok
}

// httpCall takes a call that is going to be answered 503: there is no network here. What
// Envoy would refuse at once is refused at once.
func (c *call) httpCall() status {
	cluster, ok1 := c.bytes(0)
	packed, ok2 := c.bytes(2)
	_, ok3 := c.bytes(4)
	_, ok4 := c.bytes(6)
	if !ok1 || !ok2 || !ok3 || !ok4 || c.put32(9, 0) != ok {
		return invalidMemoryAccess
	}
	h := unmarshal(packed)
	for _, name := range []string{":path", ":method", ":authority"} {
		if _, there := h.get(name); !there {
			return badArgument
		}
	}
	switch {
	case len(cluster) == 0 || int32(c.u32(8)) < 0:
		return badArgument
	case len(c.vm.calls) >= maxCalls:
		return internalFailure
	}
	c.vm.token++
	c.vm.calls = append(c.vm.calls, httpCall{token: c.vm.token, fails: c.vm.now().Add(callout)})
	return c.put32(9, c.vm.token)
}

// grpc refuses a call, as there is no network here. A service without a target
// ends Envoy (1.40.0: "panic: unset oneof").
func (c *call) grpc() status {
	packed, readable := c.bytes(0)
	if !readable {
		return invalidMemoryAccess
	}
	var service corev3.GrpcService
	if err := proto.Unmarshal(packed, &service); err != nil {
		return parseFailure
	}
	if service.GetTargetSpecifier() == nil {
		panic(stopped("it calls a gRPC service without a target, which crashes Envoy"))
	}
	return internalFailure
}

// getStatus is that of a call that was reset; here none is.
func (c *call) getStatus() status {
	if result := c.put32(0, 0); result != ok {
		return result
	}
	return c.give(1, nil)
}
