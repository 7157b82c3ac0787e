package preflight

import (
	"context"
	"strconv"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// checkCalls is how many times the limit of a call all calls of a check may take.
const checkCalls = 10

// Actions that a callback returns. https://github.com/proxy-wasm/spec
const (
	goOn          = 0
	stopIteration = 1 // of headers: hold them back, but go on with the body
)

// ask sends a check through the filter and compares the answer. The order is
// Envoy's: the access log is written before the filter is destroyed.
func (v *vm) ask(ctx context.Context, c fleet.Check) error {
	v.log.reset()
	v.stage, v.until = StageCheck, time.Now().Add(checkCalls*v.limits.Call)
	s := v.newStream(c)
	got, err := v.exchange(ctx, s, c)
	if err != nil {
		return v.about(c, err)
	}
	s.logging = true
	for _, name := range []string{"proxy_on_log", "proxy_on_done", "proxy_on_delete"} {
		if _, err := v.call(ctx, s.id, name, uint64(s.id)); err != nil {
			return v.about(c, err)
		}
		s.logging = false
	}
	delete(v.streams, s.id)
	if err := v.advance(ctx, callout); err != nil {
		return v.about(c, err)
	}
	if want := strconv.Itoa(c.Status); got != want {
		e := v.refused("expected status %s, got %s", want, got)
		e.Expected, e.Got = want, got
		return v.about(c, e)
	}
	return nil
}

// about completes an Error with the check it is about.
func (v *vm) about(c fleet.Check, err error) error {
	if e, ok := err.(*Error); ok { //nolint:errorlint // made here, never wrapped
		e.Line, e.Check = c.Line, c.Method+" "+c.Path
	}
	return err
}

// gotReset is the answer of a filter that closes the stream.
const gotReset = "a closed connection"

// exchange is the request's way to the service, and the response's way back.
func (v *vm) exchange(ctx context.Context, s *stream, c fleet.Check) (got string, err error) {
	if _, err := v.call(ctx, s.id, "proxy_on_context_create", uint64(s.id), rootContext); err != nil {
		return "", err
	}
	s.requestOpen = true
	action, err := v.headers(ctx, s, "proxy_on_request_headers", len(s.request), true)
	if err == nil && action != goOn {
		err = v.wait(ctx, s, requestStream, "the request")
	}
	s.requestOpen = false
	if err != nil {
		return "", err
	}
	h, body := v.upstream(c)
	switch {
	case s.reset:
		return gotReset, nil
	case s.local != nil:
		// It passes the filter too, on its way back.
		h, body = s.reply()
		s.local = nil
	}
	return v.respond(ctx, s, h, body)
}

// respond takes a response through the filter.
func (v *vm) respond(ctx context.Context, s *stream, h headers, body []byte) (got string, err error) {
	s.response, s.body, s.responseOpen = h, body, true
	action, err := v.headers(ctx, s, "proxy_on_response_headers", len(h), len(body) == 0)
	held := action == stopIteration && v.stopIteration && len(body) > 0
	if err == nil && action != goOn && !held {
		err = v.wait(ctx, s, responseStream, "the response's headers")
	}
	if err != nil {
		return "", err
	}
	s.responseOpen = held
	if got := v.answer(s); s.local != nil || s.reset || len(body) == 0 {
		return got, nil
	}
	s.bodyOpen = true
	result, err := v.call(ctx, s.id, "proxy_on_response_body", uint64(s.id), uint64(len(body)), 1)
	if err == nil {
		err = v.posted(ctx)
	}
	if err == nil && uint32(result) != goOn {
		err = v.wait(ctx, s, responseStream, "the response's body")
	}
	s.bodyOpen, s.responseOpen = false, false
	if s.local != nil && !held {
		s.reset = true // its headers are gone already: Envoy can only close the stream
	}
	return v.answer(s), err
}

// answer is what the client gets.
func (v *vm) answer(s *stream) string {
	switch {
	case s.reset:
		return gotReset
	case s.local != nil: // in the place of a response: past the filter
		h, _ := s.reply()
		s.response = h
	}
	code, _ := s.response.get(":status")
	if code == "" {
		return "a response without a status"
	}
	return code
}

// headers calls a headers callback.
func (v *vm) headers(ctx context.Context, s *stream, name string, count int, end bool) (action uint32, err error) {
	args := []uint64{uint64(s.id), uint64(count)}
	if v.abi != "0_1_0" {
		args = append(args, 0)
		if end {
			args[2] = 1
		}
	}
	result, err := v.call(ctx, s.id, name, args...)
	if err == nil {
		err = v.posted(ctx)
	}
	return uint32(result), err
}

// wait waits, in simulated time, until a paused stream goes on or has ended.
func (v *vm) wait(ctx context.Context, s *stream, kind int, what string) error {
	patience := v.now().Add(pauseLimit)
	for !s.resumed[kind] && s.local == nil && !s.reset {
		if !v.pending() {
			return v.refused("it pauses %s for ever: nothing is under way that could resume it", what)
		}
		happened, err := v.step(ctx, patience)
		if err != nil {
			return err
		}
		if !happened {
			return v.refused("it pauses %s, and does not resume it within %v", what, pauseLimit)
		}
	}
	s.resumed[kind] = false
	return nil
}
