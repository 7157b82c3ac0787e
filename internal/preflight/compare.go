package preflight

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// compare says what of a check's answer is not as expected, nil for nothing.
func (v *vm) compare(c fleet.Check, p *passage, took time.Duration) *Error {
	if status, err := strconv.Atoi(p.got); err != nil || !c.Expects(status) {
		e := v.refused("expected status %s, got %s", c.StatusText(), p.got)
		e.Expected, e.Got = c.StatusText(), p.got
		return e
	}
	if !c.Expect.Upstream.IsZero() && !p.served {
		return v.refused("the service does not see the request: the filter answers it (%s)", p.got)
	}
	p.passed[responseStream].headers = p.s.response.headers // with what Envoy puts in
	for _, side := range []struct {
		noun    string
		message message
		headers []fleet.HeaderMatch
		body    fleet.BodyMatch
	}{
		{"what the service sees", p.passed[requestStream], c.Expect.Upstream.Headers, c.Expect.Upstream.Body},
		{"the answer", p.passed[responseStream], c.Expect.Headers, c.Expect.Body},
	} {
		if wrong := side.message.wrong(side.headers, side.body); wrong != "" {
			return v.refused("%s: %s", side.noun, wrong)
		}
	}
	if shown := p.passed[requestStream].headers.valuesOf(fleet.CheckHeader); len(c.Expect.Upstream.Headers) > 0 && c.Unasked(fleet.InShadow) == "" &&
		!slices.Equal(shown, []string{c.Mark()}) {
		return v.refused("the filter takes %s away, by which a proxy's shadow listener knows what the service is to see: say `where: [sandbox, live]`", fleet.CheckHeader)
	}
	if within := c.Expect.Within; within > 0 && took > within {
		return v.refused("it takes %v, in simulated time, and is to take %v at most", took.Round(time.Millisecond), within)
	}
	return nil
}

// wrong says how a message is not as it must be, "" if it is. It has no header's value.
func (m message) wrong(expected []fleet.HeaderMatch, body fleet.BodyMatch) string {
	var out []string
	for _, match := range expected {
		if wrong := match.Wrong(m.headers.valuesOf(match.Name)); wrong != "" {
			out = append(out, wrong)
		}
	}
	if wrong := body.Wrong(bytes.Join(m.body, nil)); wrong != "" {
		if m.cut {
			wrong += " (it is cut at its content-length, beyond which nobody reads: a filter that changes a body removes content-length, with the headers)"
		}
		out = append(out, wrong)
	}
	return strings.Join(out, ", ")
}
