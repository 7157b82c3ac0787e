package preflight

import (
	"strconv"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// stream is a request, and its response, on their way through the filter.
type stream struct {
	id uint32

	request, response headers
	body              []byte // of the response
	// What the module can see at the moment. Envoy takes a map away when the filter
	// lets it pass, and gives it back for the access log.
	requestOpen, responseOpen, bodyOpen, logging bool

	// What the module has asked for since it was last called.
	resumed [2]bool // by requestStream and responseStream
	local   *localResponse
	reset   bool

	properties map[string]string // that the module set
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
}

// newStream is a check's request, with the headers that Envoy adds to it.
func (v *vm) newStream(c fleet.Check) *stream {
	s := &stream{id: v.next, properties: map[string]string{}}
	v.next++
	for _, h := range []field{
		{":authority", c.Host}, {":path", c.Path}, {":method", c.Method}, {":scheme", "http"},
	} {
		s.request.add(h.name, h.value)
	}
	for _, h := range c.Headers {
		s.request.add(h.Name, h.Value)
	}
	for _, h := range []field{
		{"user-agent", "waxwing-preflight"}, {"x-forwarded-proto", "http"},
		{"x-request-id", "00000000-0000-4000-8000-" + leftPad(strconv.Itoa(int(s.id)), 12)},
	} {
		if _, given := s.request.get(h.name); !given {
			s.request.add(h.name, h.value)
		}
	}
	v.streams[s.id] = s
	return s
}

func leftPad(s string, width int) string { return strings.Repeat("0", max(0, width-len(s))) + s }

// upstream is what the service answers to a request that the filter lets pass.
func (v *vm) upstream(c fleet.Check) (headers, []byte) {
	body := []byte("waxwing preflight\n")
	if c.Upstream == 204 || c.Upstream == 304 || c.Method == "HEAD" {
		body = nil
	}
	return headers{
		{":status", strconv.Itoa(c.Upstream)}, {"content-type", "text/plain"}, {"content-length", strconv.Itoa(len(body))},
		{"date", v.now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}, {"server", "envoy"},
	}, body
}

// reply is what Envoy makes of a local response: Utility::prepareLocalReply.
func (s *stream) reply() (headers, []byte) {
	l := s.local
	h, body := headers{{":status", strconv.Itoa(int(l.status))}}, l.body
	if kind, _ := s.request.get("content-type"); kind == "application/grpc" || strings.HasPrefix(kind, "application/grpc+") {
		h, body = headers{{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", strconv.Itoa(int(min(l.grpc, 16)))}}, nil
	}
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
	if method, _ := s.request.get(":method"); method == "HEAD" {
		body = nil
	}
	return h, body
}

func (c *call) sendLocalResponse() status {
	_, ok1 := c.bytes(1)
	body, ok2 := c.bytes(3)
	extra, ok3 := c.bytes(5)
	s := c.stream()
	switch {
	case !ok1 || !ok2 || !ok3:
		return invalidMemoryAccess
	case s == nil:
		return ok // there is no request to answer
	case !c.vm.memory.keep(len(body) + len(extra)):
		return internalFailure
	}
	if s.local == nil {
		s.local = &localResponse{
			status: c.u32(0), body: append([]byte(nil), body...), headers: unmarshal(extra), grpc: c.u32(7),
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
		s.resumed[kind] = true
		s.requestOpen = false
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
