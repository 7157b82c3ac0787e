package fleet

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Expect is what a check expects besides a status.
type Expect struct {
	// Statuses are all that are expected, where it is not Check.Status alone.
	Statuses []StatusRange `json:"statuses,omitempty"`
	Headers  []HeaderMatch `json:"headers,omitempty"` // of the answer
	Body     BodyMatch     `json:"body,omitzero"`     // of the answer
	// Upstream is what the service sees; that it sees anything where it says something.
	Upstream Seen `json:"upstream,omitzero"`
	// Within is how long the answer may take; 0 for however long.
	Within time.Duration `json:"within,omitempty"`
}

// Seen is what a service must see of a request.
type Seen struct {
	Headers []HeaderMatch `json:"headers,omitempty"`
	Body    BodyMatch     `json:"body,omitzero"`
}

// IsZero reports whether it is nothing.
func (s Seen) IsZero() bool { return len(s.Headers) == 0 && s.Body.IsZero() }

// A StatusRange is statuses, both included.
type StatusRange struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// Statuses are those that a check expects.
func (c Check) Statuses() []StatusRange {
	if len(c.Expect.Statuses) > 0 {
		return c.Expect.Statuses
	}
	return []StatusRange{{c.Status, c.Status}}
}

// Expects reports whether a check expects a status.
func (c Check) Expects(status int) bool {
	return slices.ContainsFunc(c.Statuses(), func(r StatusRange) bool { return r.From <= status && status <= r.To })
}

// StatusText is what a check expects, for people: "200", "4xx or 200".
func (c Check) StatusText() string {
	var out []string
	for _, r := range c.Statuses() {
		out = append(out, r.String())
	}
	return strings.Join(out, " or ")
}

func (r StatusRange) String() string {
	switch {
	case r.From == r.To:
		return strconv.Itoa(r.From)
	case r == anyStatus:
		return "any"
	case r.From%100 == 0 && r.To == r.From+99:
		return fmt.Sprintf("%dxx", r.From/100)
	}
	return fmt.Sprintf("%d-%d", r.From, r.To)
}

// anyStatus is what a check expects that says something else only.
var anyStatus = StatusRange{200, 599}

type expectDocument struct {
	Status   yaml.Node `yaml:"status"`
	Headers  yaml.Node `yaml:"headers"`
	Body     yaml.Node `yaml:"body"`
	Upstream struct {
		Headers yaml.Node `yaml:"headers"`
		Body    yaml.Node `yaml:"body"`
	} `yaml:"upstream"`
	Within at[time.Duration] `yaml:"within"`
}

// expect reads what a check expects, and needs something.
func (p *parser) expect(line int, doc *expectDocument, c *Check) {
	wrong := len(p.list)
	e := &c.Expect
	e.Headers = p.headerMatches(&doc.Headers, "expect.headers", c.Headers, false)
	e.Body = p.bodyMatch(&doc.Body, "expect.body")
	e.Upstream.Headers = p.headerMatches(&doc.Upstream.Headers, "expect.upstream.headers", c.Headers, true)
	e.Upstream.Body = p.bodyMatch(&doc.Upstream.Body, "expect.upstream.body")
	e.Within = p.time("expect.within", doc.Within)
	statuses := p.expectedStatuses(&doc.Status)
	switch {
	case len(statuses) > 0:
	case !e.Upstream.IsZero():
		statuses = []StatusRange{{c.Upstream, c.Upstream}}
	case len(e.Headers) > 0 || !e.Body.IsZero():
		statuses = []StatusRange{anyStatus}
	case wrong == len(p.list):
		p.add(line, "checks: a check says what it expects: `expect: {status: CODE}`")
	}
	if len(statuses) > 0 {
		c.Status = statuses[0].From
	}
	if len(statuses) > 1 || len(statuses) == 1 && statuses[0].From != statuses[0].To {
		e.Statuses = statuses
	}
}

var statusClass = regexp.MustCompile(`^[2-5][xX][xX]$`)

// expectedStatuses reads a status, a class of them, or a list of either.
func (p *parser) expectedStatuses(n *yaml.Node) []StatusRange {
	var out []StatusRange
	if n = resolve(n); n.IsZero() {
		return nil
	}
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		p.add(n.Line, "checks: expect.status is empty")
	}
	for _, one := range listed(n) {
		one = resolve(one)
		code, err := strconv.Atoi(one.Value)
		switch {
		case one.Kind != yaml.ScalarNode || err != nil && !statusClass.MatchString(one.Value):
			p.add(one.Line, "checks: expect.status is a code, a class such as 4xx, or a list of them")
			continue
		case err != nil:
			class := int(one.Value[0]-'0') * 100
			out = append(out, StatusRange{class, class + 99})
			continue
		}
		p.checkStatus("expect.status", at[int]{code, one.Line})
		out = append(out, StatusRange{code, code})
	}
	return out
}
