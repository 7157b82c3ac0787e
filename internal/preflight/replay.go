package preflight

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A Replay is requests that a filter failed, for a person to try by hand: what
// `xds check --replay` reads. It holds the values of a check's headers, which may be
// secrets: it is for the one whose fleet file it is of.
type Replay struct {
	Filter string `yaml:"filter"`
	Steps  []step `yaml:"steps"`
}

type step struct {
	Name     string       `yaml:"name"`
	Detail   string       `yaml:"detail,omitempty"`
	Stops    int          `yaml:"client_leaves_after,omitempty"` // callbacks, of which the context's creation is the first
	Bare     bool         `yaml:"bare,omitempty"`                // without the headers that nearly every client sends
	Request  stepMessage  `yaml:"request"`
	Response stepMessage  `yaml:"response"`
	Beside   *stepMessage `yaml:"beside,omitempty"` // the request of a stream at the same time, answered alike
}

type stepMessage struct {
	Headers  []stepField `yaml:"headers"`
	Body     []octets    `yaml:"body,omitempty"` // in its pieces
	Trailers []stepField `yaml:"trailers,omitempty"`
}

type stepField struct {
	Name  string `yaml:"name"`
	Value octets `yaml:"value"`
}

// octets are bytes. In YAML they are text, or, where they are none, `bytes`, of which each
// character up to U+00FF is a byte.
type octets []byte

type octetsDocument struct {
	Bytes string `yaml:"bytes"`
}

func (o octets) MarshalYAML() (any, error) {
	if utf8.Valid(o) && !bytes.ContainsFunc(o, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return string(o), nil
	}
	var text strings.Builder
	for _, b := range o {
		text.WriteRune(rune(b))
	}
	return octetsDocument{text.String()}, nil
}

func (o *octets) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*o = octets(n.Value)
		return nil
	}
	var doc octetsDocument
	if err := n.Decode(&doc); err != nil {
		return err
	}
	for _, r := range doc.Bytes {
		if r > 0xff {
			return fmt.Errorf("line %d: bytes: %q is no byte", n.Line, r)
		}
		*o = append(*o, byte(r))
	}
	return nil
}

// Replay is what the filter failed at StepHostile: one request, or, where that does not
// fail by itself, with those before it; nil at other steps.
func (e *Error) Replay() *Replay {
	if len(e.steps) == 0 {
		return e.replay
	}
	r := &Replay{Filter: e.Filter}
	for _, x := range e.steps {
		s := step{Name: x.name, Detail: x.detail, Stops: x.stops, Bare: x.bare, Request: packed(x.request), Response: packed(x.response)}
		if x.beside != nil {
			other := packed(x.beside.request)
			s.Beside = &other
		}
		r.Steps = append(r.Steps, s)
	}
	return r
}

func packed(m message) stepMessage {
	out := stepMessage{Headers: fieldsOf(m.headers), Trailers: fieldsOf(m.trailers)}
	for _, piece := range m.body {
		out.Body = append(out.Body, piece)
	}
	return out
}

func fieldsOf(h headers) []stepField {
	var out []stepField
	for _, f := range h {
		out = append(out, stepField{f.name, octets(f.value)})
	}
	return out
}

func (m stepMessage) unpacked() message {
	out := message{headers: headersOf(m.Headers), trailers: headersOf(m.Trailers)}
	for _, piece := range m.Body {
		out.body = append(out.body, piece)
	}
	return out
}

func headersOf(fields []stepField) headers {
	var out headers
	for _, f := range fields {
		out.add(f.Name, string(f.Value))
	}
	return out
}

// Text is the file.
func (r *Replay) Text() ([]byte, error) {
	out, err := yaml.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("the requests that %q failed: %w", r.Filter, err)
	}
	return append([]byte("# Requests that a filter failed. Try them by hand: xds check --replay FILE [fleet.yaml]\n"), out...), nil
}

// ReadReplay reads such a file.
func ReadReplay(data []byte) (*Replay, error) {
	r, d := &Replay{}, yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(r); err != nil {
		return nil, err
	}
	if len(r.Steps) == 0 {
		return nil, errors.New("it has no steps")
	}
	return r, nil
}

// Replay asks a filter requests one after another, in one VM, and tells what it answered
// to each. An *Error says what it failed.
func (s *Sandbox) Replay(ctx context.Context, p Plugin, r *Replay) (answers []string, err error) {
	v, err := s.alone(ctx, p)
	if err != nil {
		p.conceal(Report{}, err)
		return nil, err
	}
	defer v.close(ctx)
	hide := p.hider()
	defer func() { p.conceal(Report{}, err) }()
	for _, step := range r.Steps {
		x := exchange{name: step.Name, detail: step.Detail, stops: step.Stops, bare: step.Bare, request: step.Request.unpacked(), response: step.Response.unpacked()}
		if step.Beside != nil {
			x.beside = &exchange{request: step.Beside.unpacked(), response: x.response}
		}
		got, err := v.endure(ctx, x)
		if err != nil {
			return answers, err
		}
		answers = append(answers, hide.Hide(fmt.Sprintf("%s: %s", x, printed(got, maxAnswer))))
	}
	return answers, nil
}
