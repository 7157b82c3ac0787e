package preflight

import (
	"strconv"
	"time"
)

// outcome is what Envoy knows of a stream besides its headers and bodies: its StreamInfo.
type outcome struct {
	began     time.Time
	forwarded bool // the request has reached the router
	answered  bool // the response's headers have come
	served    bool // the response is whole
	ended     bool
	code      int64 // of the response, as the client gets it; 0 for none yet
	from      origin
}

// origin is who answers; the zero one is the service.
type origin struct {
	details string // of the response's code
	flag    int64  // of the response: CoreResponseFlag, source/common/stream_info/utility.cc
	failure string // of the connection to the service, where there was none
	local   bool   // the filter
}

// Flags of a response, a bit each.
const (
	flagClientGone       = 0x4000
	flagNoConnection     = 0x20
	flagConnectionClosed = 0x40
)

// Origins of what Envoy answers in the place of a service, or notes where nobody answers.
var (
	unreachable = origin{
		details: "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
		flag:    flagNoConnection, failure: "delayed connect error: Connection refused",
	}
	hungUp     = origin{details: "upstream_reset_before_response_started{connection_termination}", flag: flagConnectionClosed}
	clientGone = origin{details: "downstream_remote_disconnect", flag: flagClientGone}
	closed     = origin{details: "wasm_close_stream"}
)

// hosted reports whether a host of the service is known, and connected whether there is a
// connection to it.
func (o *outcome) hosted() bool    { return o.forwarded && (o.answered || o.ended) }
func (o *outcome) connected() bool { return o.hosted() && o.from.failure == "" && !o.from.local }

// answer notes that a response begins, and has the router's header in one of the service's.
func (s *stream) answer(m message) {
	s.answered, s.from = true, m.from
	if m.from == (origin{}) {
		s.from.details = "via_upstream"
		s.response.headers.add("x-envoy-upstream-service-time", "1")
	}
	s.readCode()
}

// leave makes of a response what the client gets, and of the request what the service got:
// the access log sees what Envoy's own parts put in after the filter.
func (s *stream) leave(now time.Time) {
	s.ended = true
	if s.answered {
		s.readCode()
		s.response.headers.remove("transfer-encoding")
		s.response.headers.set("server", "envoy")
		s.response.headers.set("date", now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	}
	if _, given := s.request.headers.get(routeTimeout); s.forwarded && !given {
		s.request.headers.add(routeTimeout, strconv.FormatInt(pauseLimit.Milliseconds(), 10))
	}
}

const routeTimeout = "x-envoy-expected-rq-timeout-ms"

func (s *stream) readCode() {
	text, _ := s.response.headers.get(":status")
	if code, err := strconv.ParseInt(text, 10, 64); err == nil {
		s.code = code
	}
}

// grpcStatus is the response's own, or what its HTTP status stands for:
// Grpc::Common::getGrpcStatus; see codeOf.
func (s *stream) grpcStatus() any {
	for _, h := range []headers{s.responseTrailers(), s.responseHeaders()} {
		if text, there := h.get("grpc-status"); there {
			n, err := strconv.ParseInt(text, 10, 64)
			return known(n, err == nil)
		}
	}
	if s.code == 0 {
		return nil
	}
	return int64(codeOf(int(s.code)))
}
