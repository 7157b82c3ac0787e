package fleet

import (
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// An Answer is what a service answers, besides its status.
type Answer struct {
	Headers []Header `json:"headers,omitempty"`
	Body    *Octets  `json:"body,omitempty"` // nil where the file says nothing
}

type answerDocument struct {
	Status  at[int]   `yaml:"status"`
	Headers yaml.Node `yaml:"headers"`
	Body    yaml.Node `yaml:"body"`
}

func (p *parser) answer(what string, doc answerDocument) Answer {
	a := Answer{Headers: p.checkHeaders(&doc.Headers, what+".headers")}
	if !doc.Body.IsZero() {
		text := p.octets(&doc.Body, what+".body", true)
		a.Body = &text
	}
	return a
}

// A Callout is what calls of a filter get in the sandbox: an HTTP call or a gRPC call or
// stream to a cluster, or a foreign function.
type Callout struct {
	Cluster  string `json:"cluster,omitempty"`
	Path     string `json:"path,omitempty"`     // of the call, without its query; "" for any; of gRPC "/package.Service/Method"
	Function string `json:"function,omitempty"` // a foreign function's name, where it is none of a cluster
	Status   int    `json:"status,omitempty"`   // of HTTP
	GRPC     *int   `json:"grpc_status,omitempty"`
	Message  string `json:"grpc_message,omitempty"`
	Answer
	Trailers []Header      `json:"trailers,omitempty"`
	Failure  bool          `json:"failure,omitempty"` // it gets no answer
	Delay    time.Duration `json:"delay,omitempty"`   // of simulated time
}

type calloutDocument struct {
	Cluster  at[string]        `yaml:"cluster"`
	Path     at[string]        `yaml:"path"`
	Function at[string]        `yaml:"function"`
	Status   at[int]           `yaml:"status"`
	GRPC     at[int]           `yaml:"grpc_status"`
	Message  at[string]        `yaml:"grpc_message"`
	Headers  yaml.Node         `yaml:"headers"`
	Body     yaml.Node         `yaml:"body"`
	Trailers yaml.Node         `yaml:"trailers"`
	Failure  at[bool]          `yaml:"failure"`
	Delay    at[time.Duration] `yaml:"delay"`
}

// callouts reads those of a check, or of a filter, of which these are the steps in the file.
func (p *parser) callouts(docs []calloutDocument, of ...any) []Callout {
	var out []Callout
	for i := range docs {
		doc := &docs[i]
		c := Callout{
			Cluster: doc.Cluster.value, Path: doc.Path.value, Function: doc.Function.value, Message: doc.Message.value,
			Status: p.checkStatus("callouts.status", doc.Status), Failure: doc.Failure.value, Delay: doc.Delay.value,
			Answer:   p.answer("callouts", answerDocument{Headers: doc.Headers, Body: doc.Body}),
			Trailers: p.checkHeaders(&doc.Trailers, "callouts.trailers"),
		}
		if doc.GRPC.line != 0 {
			c.GRPC = &doc.GRPC.value
		}
		p.callout(lineOf(p.root, append(of, "callouts", i)...), doc, c)
		out = append(out, c)
	}
	return out
}

// callout looks for what does not go together.
func (p *parser) callout(line int, doc *calloutDocument, c Callout) {
	answered := doc.Status.line != 0 || c.GRPC != nil || len(c.Headers) > 0 || len(c.Trailers) > 0 || c.Body != nil || doc.Message.line != 0
	switch {
	case c.Cluster == "" && c.Function == "":
		p.add(line, "checks: callouts: it says of which calls it is: `cluster`, or `function`")
	case c.Cluster != "" && c.Function != "":
		p.add(line, "checks: callouts: it is of a cluster or of a function, not of both")
	case c.Function != "" && (c.Path != "" || doc.Status.line != 0 || c.GRPC != nil || len(c.Headers) > 0 || len(c.Trailers) > 0 || c.Delay != 0):
		p.add(line, "checks: callouts: a foreign function has a body or a failure, and nothing else")
	case c.Failure && answered:
		p.add(line, "checks: callouts: a call that fails gets no answer: no status, headers or body")
	case !c.Failure && !answered && c.Function == "":
		p.add(line, "checks: callouts: it says what the calls get: status, headers, body, grpc_status or failure")
	case c.GRPC != nil && doc.Status.line != 0:
		p.add(line, "checks: callouts: status is of an HTTP call, grpc_status of a gRPC call: give one of them")
	}
	if c.Path != "" && !strings.HasPrefix(c.Path, "/") {
		p.add(doc.Path.line, "checks: callouts: path %q does not begin with a slash", c.Path)
	}
	if g := doc.GRPC; g.line != 0 && (g.value < 0 || g.value > 16) {
		p.add(g.line, "checks: callouts: grpc_status %d is not from 0 to 16", g.value)
	}
	if d := doc.Delay; d.line != 0 && (d.value < 0 || d.value > maxTime) {
		p.add(d.line, "checks: callouts: delay is %v, but must be from 0s to %v", d.value, maxTime)
	}
}

// Fails reports whether a check has a call fail: a proxy's do not, when they are asked.
func (c Check) Fails() bool {
	for _, one := range c.Callouts {
		if one.Failure {
			return true
		}
	}
	return false
}
