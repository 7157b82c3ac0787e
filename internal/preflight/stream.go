package preflight

import (
	"slices"
	"strconv"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// stream is a request, and its response, on their way through the filter.
type stream struct {
	id                uint32
	request, response part
	logging           bool // the access log is being written

	// What the module has asked for since it was last called.
	local *localResponse
	reset bool

	properties map[string]string // that the module set
	outcome
}

// A part is one of a stream's two directions, as far as it has come.
type part struct {
	headers, trailers headers
	body              []byte // the piece at hand, with those before it that the filter has Envoy buffer
	passed            int    // bytes of the request's body that have come, of the response's that have gone
	// What the module can see at the moment. Envoy takes a map away when the filter
	// lets it pass, and gives it back for the access log.
	headersOpen, bodyOpen, trailersOpen bool
	resumed                             bool // since the module was last called
}

// part is a direction: requestStream or responseStream.
func (s *stream) part(direction int) *part {
	if direction == requestStream {
		return &s.request
	}
	return &s.response
}

// Streams, as the ABI numbers them.
const (
	requestStream  = 0
	responseStream = 1
	maxStream      = 3
)

// localResponse is an answer by the filter itself.
type localResponse struct {
	status  uint32
	headers headers
	body    []byte
	grpc    uint32
	details string
}

// newStream is a stream of which nothing has come yet.
func (v *vm) newStream() *stream {
	s := &stream{id: v.next, properties: map[string]string{}, outcome: outcome{began: v.now()}}
	v.next++
	v.streams[s.id] = s
	return s
}

// fill gives a request the headers that Envoy adds to it.
func (s *stream) fill(h headers) headers {
	out := slices.Clone(h)
	for _, f := range []field{
		{"user-agent", fleet.UserAgent}, {"x-forwarded-proto", "http"},
		{"x-request-id", "00000000-0000-4000-8000-" + leftPad(strconv.Itoa(int(s.id)), 12)},
	} {
		if _, given := out.get(f.name); !given {
			out.add(f.name, f.value)
		}
	}
	return out
}

func leftPad(s string, width int) string { return strings.Repeat("0", max(0, width-len(s))) + s }

// reply is what Envoy makes of the filter's answer to a request.
func (s *stream) reply() message {
	m := s.local.to(s.request.headers)
	m.from = origin{details: s.local.details, local: true}
	return m
}

// to is what Envoy makes of a local response to a request: Utility::prepareLocalReply.
func (l *localResponse) to(request headers) message {
	h, body := headers{{":status", strconv.Itoa(int(l.status))}}, l.body
	if len(body) > 0 {
		h.add("content-length", strconv.Itoa(len(body)))
		h.add("content-type", "text/plain")
	}
	for _, f := range l.headers {
		if f.name == "content-type" {
			h.set(f.name, f.value)
			continue
		}
		h.add(f.name, f.value)
	}
	if kind, _ := request.get("content-type"); kind == "application/grpc" || strings.HasPrefix(kind, "application/grpc+") {
		h, body = l.asGRPC(h), nil
	}
	if method, _ := request.get(":method"); method == "HEAD" {
		body = nil
	}
	return whole(h, body)
}

// noStatus is what a filter gives that has no gRPC status for its answer: -1.
const noStatus = 1<<32 - 1

// encoded is how many times its size a body may take as grpc-message.
const encoded = 3

// asGRPC makes of an answer's headers those that a gRPC client gets. A status that gRPC does not
// have, -1 where the filter gives none, is the one that the HTTP status stands for.
func (l *localResponse) asGRPC(h headers) headers {
	h.set(":status", "200")
	h.set("content-type", "application/grpc")
	h.remove("content-length")
	code := int(l.grpc)
	if l.grpc > 16 {
		code = int(codeOf(int(l.status)))
	}
	if _, given := h.get("grpc-status"); !given {
		h.add("grpc-status", strconv.Itoa(code))
	}
	if len(l.body) > 0 {
		h.set("grpc-message", percentEncoded(l.body))
	}
	return h
}

// percentEncoded is Envoy's PercentEncoding::encode.
func percentEncoded(text []byte) string {
	const digits = "0123456789ABCDEF"
	var out strings.Builder
	for _, b := range text {
		if b < ' ' || b >= '~' || b == '%' {
			out.Write([]byte{'%', digits[b>>4], digits[b&15]})
			continue
		}
		out.WriteByte(b)
	}
	return out.String()
}

func (c *call) sendLocalResponse() status {
	details, ok1 := c.text(1)
	body, ok2 := c.bytes(3)
	extra, ok3 := c.bytes(5)
	s := c.stream()
	switch {
	case !ok1 || !ok2 || !ok3:
		return invalidMemoryAccess
	case s == nil:
		return ok // there is no request to answer
	case s.local != nil:
		return ok // the first counts
	case !c.vm.memory.keep(len(details)+encoded*len(body)+len(extra), "local responses"):
		return internalFailure
	default:
		c.vm.notes.replied(c.vm.step, int(c.u32(0)))
		s.local = &localResponse{
			status: c.u32(0), body: append([]byte(nil), body...), headers: unmarshal(extra), grpc: c.u32(7), details: details,
		}
	}
	return ok
}

// resume is proxy_continue_stream: Envoy goes on when the present call is over.
func (c *call) resume(kind uint32) status {
	s := c.stream()
	switch {
	case kind > maxStream || kind > responseStream && s != nil:
		return badArgument
	case s != nil:
		s.part(int(kind)).resumed = true
		s.request.headersOpen, s.request.bodyOpen, s.request.trailersOpen = false, false, false // whichever it is
	}
	return ok
}

func (c *call) closeStream() status {
	if c.u32(0) > maxStream {
		return badArgument
	}
	if s := c.stream(); s != nil && c.u32(0) <= responseStream {
		s.reset = true
	}
	return ok
}
