package preflight

import (
	"bytes"
	"context"
	"slices"
)

// A message is one direction of an exchange, as it comes in: headers, pieces of a
// body, and trailers where they are not nil.
type message struct {
	headers  headers
	body     [][]byte
	trailers headers
	from     origin // of a response
	cut      bool   // its body goes on beyond its content-length
}

// whole is a message that has its body in one piece, if it has one.
func whole(h headers, body []byte) message {
	m := message{headers: h}
	if len(body) > 0 {
		m.body = [][]byte{body}
	}
	return m
}

// streamed is a message as an HTTP/1 codec of Envoy gives one to filters: the end of a body
// comes alone.
func streamed(h headers, body []byte) message {
	m := whole(h, body)
	if len(body) > 0 {
		m.body = append(m.body, nil)
	}
	return m
}

// moments counts the callbacks that a message is worth.
func (m message) moments() int {
	n := 1 + len(m.body)
	if m.trailers != nil {
		n++
	}
	return n
}

// A passage takes one request, and its response, through the filter, a callback at a
// time, so that others can come between and it can end at any of them. The order is
// Envoy's: source/extensions/common/wasm/context.cc, and the filter manager's rules of
// what is buffered while a filter holds something back.
type passage struct {
	vm        *vm
	s         *stream
	messages  [2]message // by direction
	direction int
	at        int // of the message: 0 is its headers, then the pieces of its body, then its trailers
	created   bool
	// What the filter holds back while it is given more: the headers, where the plugin
	// allows that, and the body.
	headersHeld, bodyHeld bool
	over                  bool
	got                   string     // the client's answer
	passed                [2]message // what has passed the filter, whole: to the service, and to the client
	served                bool       // the service has seen the request
}

func (v *vm) passage(request, response message) *passage {
	return &passage{vm: v, s: v.newStream(), messages: [2]message{request, response}}
}

// callbacks are those of a direction.
var callbacksOf = [2]struct{ headers, body, trailers, noun string }{
	{"proxy_on_request_headers", "proxy_on_request_body", "proxy_on_request_trailers", "the request"},
	{"proxy_on_response_headers", "proxy_on_response_body", "proxy_on_response_trailers", "the response"},
}

// next calls the next callback.
func (p *passage) next(ctx context.Context) error {
	if !p.created {
		p.created = true
		_, err := p.vm.call(ctx, p.s.id, "proxy_on_context_create", uint64(p.s.id), rootContext)
		return err
	}
	var err error
	switch m := p.messages[p.direction]; {
	case p.at == 0:
		err = p.headers(ctx, m)
	case p.at <= len(m.body):
		err = p.piece(ctx, m)
	default:
		err = p.trailers(ctx, m)
	}
	if err == nil {
		p.at++
		p.turn()
	}
	return err
}

// headers shows the filter the headers. One that pauses them is given the body only
// where the plugin has allow_on_headers_stop_iteration: else Envoy stops all.
func (p *passage) headers(ctx context.Context, m message) error {
	part, names := p.s.part(p.direction), callbacksOf[p.direction]
	part.headers, part.headersOpen = slices.Clone(m.headers), true // the message may be sent again
	what := names.noun
	last := m.moments() == 1
	if p.direction == responseStream {
		p.s.answer(m)
		p.s.served = last
	}
	if !last || p.direction == responseStream {
		what += "'s headers"
	}
	action, err := p.vm.headers(ctx, p.s, names.headers, len(part.headers), last)
	p.headersHeld = err == nil && action == stopIteration && p.vm.stopIteration && !last
	if err == nil && action != goOn && !p.headersHeld {
		err = p.vm.wait(ctx, p.s, p.direction, what)
	}
	part.resumed = false
	part.headersOpen = p.headersHeld || p.answersItself()
	return err
}

// answersItself reports whether the filter has answered the request, or closed it: Envoy then
// leaves it all that it can see of the request, to its end.
func (p *passage) answersItself() bool {
	return p.direction == requestStream && (p.s.local != nil || p.s.reset)
}

// piece shows the filter a piece of the body, with what it has had Envoy buffer of it.
func (p *passage) piece(ctx context.Context, m message) error {
	part, names := p.s.part(p.direction), callbacksOf[p.direction]
	if !p.bodyHeld {
		part.body = nil
	}
	part.body = append(part.body, m.body[p.at-1]...)
	part.bodyOpen = true
	if p.direction == requestStream {
		part.passed += len(m.body[p.at-1])
	}
	last, end := p.at == m.moments()-1, uint64(0)
	if last {
		end = 1
		p.s.served = p.direction == responseStream
	}
	result, err := p.vm.call(ctx, p.s.id, names.body, uint64(p.s.id), uint64(len(part.body)), end)
	if err == nil {
		err = p.vm.posted(ctx)
	}
	action := uint32(result)
	if err == nil && action != goOn && last {
		err, action = p.vm.wait(ctx, p.s, p.direction, names.noun+"'s body"), goOn
	}
	if part.resumed {
		part.resumed, action = false, goOn
	}
	if p.bodyHeld = action == bufferBody; !p.bodyHeld {
		p.pass(part.body)
	}
	if action == goOn {
		p.headersHeld, part.headersOpen = p.headersHeld && p.s.local != nil, part.headersOpen && p.answersItself()
		p.gone(part)
	}
	part.bodyOpen = p.bodyHeld || p.answersItself()
	return err
}

// gone counts what of a response's body leaves the filter.
func (p *passage) gone(part *part) {
	if p.direction == responseStream {
		part.passed += len(part.body)
	}
}

// trailers shows the filter the trailers, which let go of all that is held back.
func (p *passage) trailers(ctx context.Context, m message) error {
	part, names := p.s.part(p.direction), callbacksOf[p.direction]
	part.trailers, part.trailersOpen = slices.Clone(m.trailers), true
	p.s.served = p.direction == responseStream
	action, err := p.vm.call(ctx, p.s.id, names.trailers, uint64(p.s.id), uint64(len(m.trailers)))
	if err == nil {
		err = p.vm.posted(ctx)
	}
	if err == nil && uint32(action) != goOn {
		err = p.vm.wait(ctx, p.s, p.direction, names.noun+"'s trailers")
	}
	if p.bodyHeld {
		p.pass(part.body)
		p.gone(part)
	}
	part.resumed = false
	if !p.answersItself() {
		part.trailersOpen, part.bodyOpen, part.headersOpen = false, false, false
	}
	return err
}

// pass lets a piece of a body go on.
func (p *passage) pass(piece []byte) {
	m := &p.passed[p.direction]
	m.body = append(m.body, slices.Clone(piece))
}

// turn goes over to the response when the request is through or is answered, and ends
// with that.
func (p *passage) turn() {
	s := p.s
	if p.direction == requestStream && s.local == nil && !s.reset && !p.headersHeld {
		s.forwarded = true
	}
	switch {
	case s.reset:
		s.from = closed
		p.end(gotReset)
	case s.local != nil && p.direction == requestStream:
		p.messages[responseStream] = s.reply() // it passes the filter too, on its way back
		s.local = nil
		p.direction, p.at, p.headersHeld, p.bodyHeld = responseStream, 0, false, false
	case s.local != nil && p.at > 1 && !p.headersHeld:
		s.reset = true // the response's headers are gone already: Envoy can only close the stream
		p.end(gotReset)
	case s.local != nil: // in the place of the response: past the filter
		m := s.reply()
		s.response.headers, s.from = m.headers, m.from
		s.response.passed = len(bytes.Join(m.body, nil))
		p.passed[responseStream].body = m.body
		p.end(statusOf(s))
	case p.at < p.messages[p.direction].moments():
	case p.direction == requestStream:
		p.served, p.passed[requestStream].headers = true, slices.Clone(s.request.headers)
		p.turnBack()
	default:
		p.end(statusOf(s))
	}
}

func (p *passage) turnBack() {
	p.direction, p.at, p.headersHeld, p.bodyHeld = responseStream, 0, false, false
	r := &p.s.request
	r.headersOpen, r.bodyOpen, r.trailersOpen = false, false, false
}

func (p *passage) end(got string) {
	p.over, p.got = true, got
	r := &p.s.response
	r.headersOpen, r.bodyOpen, r.trailersOpen = false, false, false
}

// statusOf is that of the answer which the client gets.
func statusOf(s *stream) string {
	code, _ := s.response.headers.get(":status")
	if code == "" {
		return "a response without a status"
	}
	return code
}

// finish ends the stream, wherever it is: the access log is written before the filter
// is destroyed.
func (p *passage) finish(ctx context.Context) error {
	if !p.over {
		p.s.from = clientGone
	}
	p.s.leave(p.vm.now())
	p.s.logging = true
	for _, name := range []string{"proxy_on_log", "proxy_on_done", "proxy_on_delete"} {
		if _, err := p.vm.call(ctx, p.s.id, name, uint64(p.s.id)); err != nil {
			return err
		}
		p.s.logging = false
	}
	delete(p.vm.streams, p.s.id)
	if len(p.vm.streams) == 0 {
		p.vm.memory.kept = p.vm.bytes + p.vm.calling // what was kept for streams is let go of with them
	}
	return p.vm.advance(ctx, callout)
}
