package preflight

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// checkCalls is how many times the limit of a call all calls of a check may take.
const checkCalls = 10

// Actions that a callback returns. https://github.com/proxy-wasm/spec
const (
	goOn          = 0
	stopIteration = 1 // of headers: hold them back, but go on with the body
	bufferBody    = 1 // of a body: hold it back, and show it with what follows
)

// ask sends a check through the filter and compares the answer. One of a filter that may take
// its time after its start is sent again meanwhile.
func (v *vm) ask(ctx context.Context, c fleet.Check) error {
	err := v.askOnce(ctx, c)
	for ready := v.began.Add(c.Ready); retries(err) && v.now().Before(ready); {
		until := v.now().Add(min(ready.Sub(v.now()), max(c.Ready/readyTries, v.untilNext())))
		if err := v.advance(ctx, until.Sub(v.now())); err != nil {
			return v.about(c, err)
		}
		v.skipped += max(0, until.Sub(v.now()))
		err = v.askOnce(ctx, c)
	}
	return err
}

// retries is whether a check was answered, and otherwise than expected.
func retries(err error) bool {
	e := (*Error)(nil)
	return errors.As(err, &e) && e.answered
}

// readyTries is about how often a check is asked of a filter that is not ready yet.
const readyTries = 20

func (v *vm) askOnce(ctx context.Context, c fleet.Check) error {
	before, waited := v.callouts, v.waited
	v.callouts = slices.Concat(c.Callouts, v.always)
	defer func() { v.callouts = before }()
	p, err := v.sends(ctx, c)
	if err != nil {
		return v.about(c, err)
	}
	took := v.waited - waited
	if err := p.finish(ctx); err != nil {
		return v.about(c, err)
	}
	if err := v.compare(c, p, took); err != nil {
		err.answered = true
		return v.about(c, err)
	}
	return nil
}

// sends puts a check's request through the filter, until that has answered or the service has.
func (v *vm) sends(ctx context.Context, c fleet.Check) (*passage, error) {
	v.log.reset()
	v.step, v.left = StepCheck, checkCalls*v.limits.Call
	p := v.passage(requestOf(c), v.upstream(c))
	p.messages[requestStream].headers = p.s.fill(p.messages[requestStream].headers)
	for !p.over {
		if err := p.next(ctx); err != nil {
			return p, err
		}
	}
	return p, p.ends()
}

// requestOf is a check's request, as a probe of it has it, without the headers that Envoy
// adds to it.
func requestOf(c fleet.Check) message {
	h := headers{{":authority", c.Host}, {":path", c.Path}, {":method", c.Method}, {":scheme", "http"}}
	for _, f := range c.Headers {
		h.add(f.Name, f.Value)
	}
	if _, given := h.get(fleet.CheckHeader); !given && c.Name != "" {
		h.add(fleet.CheckHeader, c.Name)
	}
	m := whole(h, []byte(c.Body))
	if len(c.Trailers) > 0 {
		m.trailers = fieldsFrom(c.Trailers)
	} else if _, given := h.get("content-length"); !given && len(c.Body) > 0 {
		m.headers.add("content-length", strconv.Itoa(len(c.Body)))
	}
	return m
}

// upstream is what the service answers to a request that the filter lets pass.
func (v *vm) upstream(c fleet.Check) message {
	body := []byte(fleet.DefaultBody)
	if c.Service.Body != nil {
		body = []byte(*c.Service.Body)
	}
	if c.Upstream == 204 || c.Upstream == 304 || c.Method == "HEAD" {
		body = nil
	}
	h := headers{
		{":status", strconv.Itoa(c.Upstream)}, {"content-type", "text/plain"}, {"content-length", strconv.Itoa(len(body))},
		{"date", v.now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")},
	}
	h.override(c.Service.Headers)
	return streamed(h, body)
}

// about completes an Error with the check it is about.
func (v *vm) about(c fleet.Check, err error) error {
	if e, ok := err.(*Error); ok { //nolint:errorlint // made here, never wrapped
		e.Line, e.Check = c.Line, c.Asks()
	}
	return err
}

// gotReset is the answer of a filter that closes the stream.
const gotReset = "a closed connection"

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
	for !s.part(kind).resumed && s.local == nil && !s.reset {
		if !v.pending() {
			return v.pauses("it pauses %s for ever: nothing is under way that could resume it", what)
		}
		happened, err := v.happen(ctx, patience)
		if err != nil {
			return err
		}
		if !happened {
			return v.pauses("it pauses %s, and does not resume it within %v", what, pauseLimit)
		}
	}
	s.part(kind).resumed = false
	return nil
}

func (v *vm) pauses(format string, args ...any) *Error {
	e := v.refused(format, args...)
	e.paused = true
	return e
}
