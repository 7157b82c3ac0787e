package preflight

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A reply is what is delivered of a call's answer at one time.
type reply struct {
	kind     callKind
	headers  headers
	body     []byte
	trailers headers
	grpc     grpcStatus
}

type callKind int

const (
	httpCall callKind = iota
	grpcUnary
	grpcStreaming
)

// due is something that comes of a call at a time.
type due struct {
	token   uint32
	at      time.Time
	waited  time.Duration // what will have been waited by then
	reply   reply
	deliver func(v *vm, ctx context.Context, d due) error
}

// nextDue is the place of what comes first; -1 for nothing.
func (v *vm) nextDue() int {
	first := -1
	for i, d := range v.calls {
		if first < 0 || d.at.Before(v.calls[first].at) {
			first = i
		}
	}
	return first
}

// comes lets it come.
func (v *vm) comes(ctx context.Context, i int) error {
	d := v.calls[i]
	v.calls = slices.Delete(v.calls, i, i+1)
	v.forget(d)
	v.answer = &d.reply
	defer func() { v.answer = nil }()
	return d.deliver(v, ctx, d)
}

// soon has something come of a call after a delay.
func (v *vm) soon(token uint32, delay time.Duration, r reply, deliver func(v *vm, ctx context.Context, d due) error) {
	delay = max(delay, callout)
	d := due{token, v.now().Add(delay), v.waited + delay, r, deliver}
	if n := d.bytes(); v.memory.keep(n, "calls under way") {
		v.calling += uint64(n)
		v.calls = append(v.calls, d)
	}
}

// bytes is what is kept until it comes.
func (d due) bytes() int {
	fields := len(d.reply.headers) + len(d.reply.trailers)
	return perDue + perHeader*fields + len(d.reply.body)
}

// forget gives back what was kept for a call.
func (v *vm) forget(d due) {
	v.calling -= uint64(d.bytes())
	v.memory.kept -= uint64(d.bytes())
}

// busy refuses a call, and says so where a person reads it.
func (c *call) busy() status {
	c.vm.log.add(fmt.Sprintf("a call is refused: %d are under way, which is all that the sandbox keeps", maxCalls))
	return internalFailure
}

// found is the callout for a call, nil for none.
func (v *vm) found(cluster, path string) *fleet.Callout {
	path, _, _ = strings.Cut(path, "?")
	for i, c := range v.callouts {
		if c.Function == "" && c.Cluster == cluster && (c.Path == "" || c.Path == path) {
			return &v.callouts[i]
		}
	}
	return nil
}

// The answer to an HTTP call that nothing is said of: Envoy's own, when there is no one to
// connect to.
const noUpstream = "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure"

// httpCall takes a call, for which there is an answer, or none that Envoy would not make up:
// there is no network here. What Envoy would refuse at once is refused at once.
func (c *call) httpCall() status {
	cluster, ok1 := c.text(0)
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
	case cluster == "" || int32(c.u32(8)) < 0:
		return badArgument
	case len(c.vm.calls) >= maxCalls:
		return c.busy()
	}
	path, _ := h.get(":path")
	r, delay := httpReply(h, c.vm.found(cluster, path), time.Duration(c.u32(8))*time.Millisecond)
	c.vm.token++
	c.vm.soon(c.vm.token, delay, r, (*vm).answered)
	return c.put32(9, c.vm.token)
}

// httpReply is what a call gets, and when. One that takes longer than it may is answered 504
// by Envoy, in the form of an answer to HEAD or to gRPC where the call is one; one that fails gets no
// headers (Context::onHttpCallFailure).
func httpReply(call headers, said *fleet.Callout, timeout time.Duration) (reply, time.Duration) {
	own := func(status uint32, text string) reply {
		m := (&localResponse{status: status, body: []byte(text), grpc: noStatus}).to(call)
		return reply{headers: m.headers, body: bytes.Join(m.body, nil)}
	}
	switch {
	case said == nil:
		return own(503, noUpstream), callout
	case said.Delay > timeout:
		return own(504, "upstream request timeout"), timeout
	case said.Failure:
		return reply{}, said.Delay
	}
	status := said.Status
	if status == 0 {
		status = 200
	}
	r := reply{headers: headers{{":status", strconv.Itoa(status)}}, trailers: fieldsFrom(said.Trailers)}
	if said.Body != nil {
		r.body = []byte(*said.Body)
	}
	r.headers.add("content-length", strconv.Itoa(len(r.body)))
	r.headers.override(said.Headers)
	return r, said.Delay
}

// answered delivers the answer to an HTTP call.
func (v *vm) answered(ctx context.Context, d due) error {
	_, err := v.call(ctx, rootContext, "proxy_on_http_call_response", rootContext,
		uint64(d.token), uint64(len(d.reply.headers)), uint64(len(d.reply.body)), uint64(len(d.reply.trailers)))
	return err
}

// headersOf is a map of what is delivered, nil for none.
func (r *reply) headersOf(kind uint32) *headers {
	var m headers
	switch {
	case r == nil:
		return nil
	case kind == callAnswer && r.kind == httpCall, kind == grpcInitial && r.kind == grpcStreaming:
		m = slices.Clone(r.headers)
	case kind == callTrailers && r.kind == httpCall, kind == grpcTrailing && r.kind == grpcStreaming:
		m = slices.Clone(r.trailers)
	default:
		return nil
	}
	return &m
}

// bodyOf is a body of what is delivered; there is false where there is none.
func (r *reply) bodyOf(kind uint32) (data []byte, there bool) {
	if r == nil || (kind == callAnswerBody) != (r.kind == httpCall) {
		return nil, false
	}
	return r.body, true
}

// foreign calls a function of the host's, of which there is none but what a check says.
func (c *call) foreign() status {
	name, ok1 := c.text(0)
	_, ok2 := c.bytes(2)
	if !ok1 || !ok2 {
		return invalidMemoryAccess
	}
	for _, said := range c.vm.callouts {
		switch {
		case said.Function != name:
			continue
		case said.Failure:
			return internalFailure
		case said.Body != nil:
			return c.give(4, []byte(*said.Body))
		}
		return c.give(4, nil)
	}
	return notFound
}

func fieldsFrom(list []fleet.Header) headers {
	var out headers
	for _, h := range list {
		out.add(h.Name, h.Value)
	}
	return out
}

// override puts headers in the place of those of their names.
func (h *headers) override(list []fleet.Header) {
	for _, f := range list {
		h.remove(f.Name)
	}
	for _, f := range list {
		h.add(f.Name, f.Value)
	}
}
