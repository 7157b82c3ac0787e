package fleet

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A Check is a request with a known answer. It is asked of a filter in the
// preflight sandbox, and of every proxy through its listeners. It is stored with
// the revision: see snapshot.Format.
type Check struct {
	Line int `json:"line"` // of the fleet file
	// Name is what people and logs call it, and what its probes have as x-waxwing-check:
	// "FILTER#N" where the file says nothing. No two checks of a fleet have one name.
	Name     string   `json:"name,omitempty"`
	Method   string   `json:"method"` // "GET", or with a body "POST", where the file says nothing
	Path     string   `json:"path"`   // "/" where the file says nothing
	Host     string   `json:"host"`   // the :authority, "waxwing.check" where the file says nothing
	Headers  []Header `json:"headers,omitempty"`
	Body     Octets   `json:"body,omitempty"`
	Trailers []Header `json:"trailers,omitempty"`
	// Status is the answer's status, 200 to 599; of several the first.
	Status int `json:"status"`
	// Expect is what else is expected.
	Expect Expect `json:"expect,omitzero"`
	// Upstream is what the service answers if the filters let the request pass,
	// 200 where the file says nothing: where there is no service (in the sandbox,
	// in a shadow listener), this is answered instead.
	Upstream int `json:"upstream"`
	// Service is the rest of that answer.
	Service Answer `json:"service,omitzero"`
	// Callouts are what calls of the filter get in the sandbox.
	Callouts []Callout `json:"callouts,omitempty"`
	// Where it is asked, everywhere if it is empty, and why not elsewhere.
	Where  []Place `json:"where,omitempty"`
	Reason string  `json:"reason,omitempty"`
	// Timeout is how long a proxy waits for the answer; DefaultTimeout if it is 0. Ready is
	// for how long a filter may answer otherwise after its start.
	Timeout time.Duration `json:"timeout,omitempty"`
	Ready   time.Duration `json:"ready,omitempty"`
}

// Values are those that the check gives a header of its request, by its name in lower case.
func (c Check) Values(header string) []string {
	var out []string
	for _, h := range c.Headers {
		if h.Name == header {
			out = append(out, h.Value)
		}
	}
	return out
}

// CheckHeader is a header of each request that a check is asked by: the check's name, for
// logs and services to tell them by.
const CheckHeader = "x-waxwing-check"

// UserAgent is that of each request that a check is asked by, in the sandbox and by a proxy,
// if the check has none.
const UserAgent = "waxwing-check"

// defaultHost is the :authority of a check that says nothing of it.
const defaultHost = "waxwing.check"

// DefaultTimeout is how long a proxy waits for the answer to a check that says nothing of it.
const DefaultTimeout = time.Second

// A Place is where a check is asked.
type Place string

// The places.
const (
	InSandbox Place = "sandbox"
	InShadow  Place = "shadow"
	InLive    Place = "live"
)

var places = []Place{InSandbox, InShadow, InLive}

// In reports whether a check is meant for a place.
func (c Check) In(place Place) bool { return len(c.Where) == 0 || slices.Contains(c.Where, place) }

// Patience is how long a proxy waits for the answer: what is to come within less than
// ProxyTime is not asked of it as such.
func (c Check) Patience() time.Duration {
	switch within := c.Expect.Within; {
	case within >= ProxyTime:
		return within
	case c.Timeout > 0:
		return c.Timeout
	}
	return DefaultTimeout
}

// ProxyTime is how exactly a proxy can tell how long an answer took: its main thread, which
// asks, also compiles modules.
const ProxyTime = time.Second

// Passes reports whether the status that is expected is the service's.
func (c Check) Passes() bool { return c.Expects(c.Upstream) }

// Plain reports whether a check says nothing but what servers of format 1 know: see
// snapshot.Format.
func (c Check) Plain() bool {
	text := !slices.ContainsFunc(c.Headers, func(h Header) bool { return !utf8.ValidString(h.Value) })
	return text && c.Body == "" && len(c.Trailers) == 0 && reflect.ValueOf(c.Expect).IsZero() && c.Service.Body == nil &&
		len(c.Service.Headers) == 0 && len(c.Where) == 0 && c.Timeout == 0 && c.Ready == 0 && !c.Fails()
}

// Named reports whether the fleet file names a check.
func (c Check) Named() bool { return c.Name != "" && !strings.Contains(c.Name, "#") }

// Asks is what is asked, for people; it has no header's value.
func (c Check) Asks() string { return c.Method + " " + c.Path }

type checkDocument struct {
	Name    at[string] `yaml:"name"`
	Request struct {
		Method   at[string] `yaml:"method"`
		Path     at[string] `yaml:"path"`
		Host     string     `yaml:"host"`
		Headers  yaml.Node  `yaml:"headers"`
		Body     yaml.Node  `yaml:"body"`
		Trailers yaml.Node  `yaml:"trailers"`
	} `yaml:"request"`
	Expect   expectDocument    `yaml:"expect"`
	Upstream answerDocument    `yaml:"upstream"`
	Callouts []calloutDocument `yaml:"callouts"`
	Where    yaml.Node         `yaml:"where"`
	Reason   at[string]        `yaml:"reason"`
	Timeout  at[time.Duration] `yaml:"timeout"`
}

// checks reads the checks of a filter, which is that at an index of the file.
func (p *parser) checks(i int, doc filterDocument) []Check {
	var out []Check
	ready := p.time("ready", doc.Ready)
	for j := range doc.Checks {
		c := &doc.Checks[j]
		line := lineOf(p.root, "filters", i, "checks", j)
		check := p.request(line, c)
		p.expect(line, &c.Expect, &check)
		check.Service = p.answer("upstream", c.Upstream)
		check.Callouts = p.callouts(c.Callouts, "filters", i, "checks", j)
		check.Where, check.Reason = p.where(&c.Where), c.Reason.value
		if c.Reason.line != 0 && len(check.Where) == 0 {
			p.add(c.Reason.line, "checks: reason says why a check is not asked everywhere: it goes with where")
		}
		check.Timeout, check.Ready = p.timeout(c.Timeout), ready
		if within := check.Expect.Within; check.Timeout > 0 && within > check.Timeout {
			p.add(c.Expect.Within.line, "checks: expect.within %v is longer than the timeout, %v", within, check.Timeout)
		}
		check.Name = p.checkName(doc.Name.value, j, c.Name)
		out = append(out, check)
	}
	return out
}

// checkName is a check's name, which is the only one of its fleet.
func (p *parser) checkName(filter string, j int, name at[string]) string {
	if name.line == 0 {
		return fmt.Sprintf("%s#%d", filter, j+1)
	}
	switch line := p.names[name.value]; {
	case !checkNames.MatchString(name.value):
		p.add(name.line, "checks: name %q: up to 100 letters, digits, spaces and . _ / : , ( ) -, a letter or digit first", name.value)
	case line != 0:
		p.add(name.line, "checks: the name %q is that of the check on line %d", name.value, line)
	}
	p.names[name.value] = name.line
	return name.value
}

// where reads the places of a check.
func (p *parser) where(n *yaml.Node) []Place {
	var out []Place
	if n = resolve(n); n.IsZero() {
		return nil
	}
	items := listed(n)
	if len(items) == 0 {
		p.add(n.Line, "checks: where is empty: the check would be asked nowhere")
	}
	for _, item := range items {
		place := Place(resolve(item).Value)
		switch {
		case !slices.Contains(places, place):
			p.add(item.Line, "checks: where: %q is none of sandbox, shadow, live", place)
		case slices.Contains(out, place):
			p.add(item.Line, "checks: where: %s is in it twice", place)
		}
		out = append(out, place)
	}
	return out
}

// maxTime bounds the times of a check.
const maxTime = 10 * time.Minute

// time reads a duration.
func (p *parser) time(name string, d at[time.Duration]) time.Duration {
	if d.line != 0 && (d.value <= 0 || d.value > maxTime) {
		p.add(d.line, "checks: %s is %v, but must be over 0s, to %v", name, d.value, maxTime)
	}
	return d.value
}

// minTimeout bounds the timeout of a check: a proxy asks on its main thread, which does other
// things too.
const minTimeout = 500 * time.Millisecond

func (p *parser) timeout(d at[time.Duration]) time.Duration {
	if d.line != 0 && (d.value < minTimeout || d.value > maxTime) {
		p.add(d.line, "checks: timeout is %v, but must be from %v to %v", d.value, minTimeout, maxTime)
	}
	return d.value
}

// request reads what is asked.
func (p *parser) request(line int, doc *checkDocument) Check {
	r := &doc.Request
	c := DefaultCheck(0)
	c.Line = line
	if !r.Body.IsZero() {
		c.Method, c.Body = http.MethodPost, p.octets(&r.Body, "request.body", true)
	}
	if m := r.Method; m.line != 0 {
		c.Method = m.value
		if !asksBy(m.value) {
			p.add(m.line, "checks: %q is not a method that can be asked", m.value)
		}
	}
	if path := r.Path; path.line != 0 {
		c.Path = path.value
		if !strings.HasPrefix(path.value, "/") {
			p.add(path.line, "checks: path %q does not begin with a slash", path.value)
		}
	}
	if r.Host != "" {
		c.Host = r.Host
	}
	c.Headers = p.checkHeaders(&r.Headers, "headers")
	c.Trailers = p.checkHeaders(&r.Trailers, "trailers")
	if status := doc.Upstream.Status; status.line != 0 {
		c.Upstream = p.checkStatus("upstream.status", status)
	}
	return c
}

// checkStatus reads a status.
func (p *parser) checkStatus(what string, status at[int]) int {
	if status.line != 0 && !isAnswer(status.value) {
		p.add(status.line, "checks: %s %d is not from 200 to 599", what, status.value)
	}
	return status.value
}
