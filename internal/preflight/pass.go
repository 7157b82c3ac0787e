package preflight

import (
	"bytes"
	"context"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A Passed is what becomes of a request that a filter is asked.
type Passed struct {
	// Failed says why there is no answer: a trap, a pause for ever.
	Failed *Error
	// Closed is whether the filter closes the connection.
	Closed bool
	// Answer is what the client gets, `:status` among its headers.
	Answer Whole
	// Service is what the service gets, nil where the request does not come so far.
	Service *Whole
}

// A Whole is a message with its whole body.
type Whole struct {
	Headers []fleet.Header
	Body    []byte
}

// Pass asks a filter the requests of checks, one after another in one VM, and tells what becomes
// of each: what they expect does not matter. It ends with the first that traps or loops. The
// error is of a filter that does not start, an *Error, or the context's.
func (s *Sandbox) Pass(ctx context.Context, p Plugin, requests []fleet.Check) ([]Passed, error) {
	v, err := s.alone(ctx, p)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	}
	defer v.close(ctx)
	var out []Passed
	for _, c := range requests {
		got, err := v.pass(ctx, c)
		if err != nil {
			return out, err
		}
		out = append(out, got)
		if got.Failed != nil && !got.Failed.paused {
			break
		}
	}
	return out, nil
}

// pass asks one.
func (v *vm) pass(ctx context.Context, c fleet.Check) (Passed, error) {
	p, err := v.sends(ctx, c)
	if err == nil {
		err = p.finish(ctx)
	}
	if err != nil {
		return v.stuck(ctx, p, err)
	}
	answer := p.passed[responseStream]
	answer.headers = p.s.response.headers // with what Envoy puts in
	out := Passed{Closed: p.got == gotReset, Answer: answer.whole()}
	if p.served {
		seen := p.passed[requestStream].whole()
		out.Service = &seen
	}
	return out, nil
}

// stuck ends a request that a filter fails. The client of one that pauses for ever leaves.
func (v *vm) stuck(ctx context.Context, p *passage, err error) (Passed, error) {
	e, ok := err.(*Error) //nolint:errorlint // made here, never wrapped
	if !ok {
		return Passed{}, err
	}
	if e.paused {
		if err := p.finish(ctx); err != nil {
			e, ok = err.(*Error) //nolint:errorlint // as above
			if !ok {
				return Passed{}, err
			}
		}
	}
	return Passed{Failed: e}, nil
}

func (m message) whole() Whole {
	w := Whole{Body: bytes.Join(m.body, nil)}
	for _, f := range m.headers {
		w.Headers = append(w.Headers, fleet.Header{Name: f.name, Value: f.value})
	}
	return w
}
