package preflight

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// An exchange is a request, and what the service answers where the filter lets it pass.
// Everything in it can come to a filter in Envoy: what its codecs refuse is left out.
type exchange struct {
	name   string // what a fleet file calls it: "not-utf8"
	detail string // which of that name: "in header token"
	// stops is after how many callbacks the client is gone, of which the context's creation
	// is the first; 0 for never.
	stops    int
	request  message
	response message
	bare     bool      // without the headers that nearly every client sends
	beside   *exchange // one that is under way at the same time, on the same thread
}

func (x exchange) String() string {
	if x.detail == "" {
		return x.name
	}
	return x.name + " (" + x.detail + ")"
}

// latin is a byte that no UTF-8 text begins with, and that HTTP allows in a header:
// obs-text of RFC 9110, section 5.5.
const latin = "\xe9"

// hostile makes the requests that nobody thought of. They are variations of a request that
// a check has, so that what is behind a filter's first question is reached too.
func hostile(checks []fleet.Check) []exchange {
	base := baseOf(checks)
	var out []exchange
	for _, group := range [][]exchange{
		oddBytes(base, checks), oddHeaders(base, checks), oddPaths(base), oddMethods(base),
		oddBodies(base), oddResponses(base), oddMoments(base),
	} {
		out = append(out, group...)
	}
	return out
}

// baseOf is the request of the first check that is to be let through to the service, as
// far as its status tells; a plain one where there is none.
func baseOf(checks []fleet.Check) exchange {
	base := exchange{
		request:  message{headers: headers{{":authority", "waxwing.check"}, {":path", "/"}, {":method", "GET"}, {":scheme", "http"}}},
		response: answer("200", []byte("waxwing preflight\n")),
	}
	for _, c := range checks {
		if c.Passes() {
			base.request = requestOf(c)
			base.request.body, base.request.trailers = nil, nil
			base.request.headers.remove("content-length")
			break
		}
	}
	return base
}

func answer(status string, body []byte) message {
	return streamed(headers{{":status", status}, {"content-type", "text/plain"}}, body)
}

// with is a variation of an exchange.
func (x exchange) with(name, detail string, change func(*exchange)) exchange {
	x.name, x.detail = name, detail
	x.request.headers, x.response.headers = slices.Clone(x.request.headers), slices.Clone(x.response.headers)
	change(&x)
	return x
}

// asked are the headers that a filter is likely to read: those of its checks, at most
// eight of them, and what everybody sends.
func asked(checks []fleet.Check) []string {
	var out []string
	for _, c := range checks {
		for _, h := range c.Headers {
			if !slices.Contains(out, h.Name) && len(out) < 8 {
				out = append(out, h.Name)
			}
		}
	}
	for _, name := range []string{"cookie", "authorization", "user-agent"} {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

func oddBytes(base exchange, checks []fleet.Check) []exchange {
	var out []exchange
	for _, name := range append([]string{"x-hostile"}, asked(checks)...) {
		out = append(out, base.with("not-utf8", "in header "+name, func(x *exchange) { x.request.headers.set(name, "a"+latin) }))
	}
	return append(out, base.with("not-utf8", "in a header of the response", func(x *exchange) { x.response.headers.add("x-hostile", latin) }))
}

func oddHeaders(base exchange, checks []fleet.Check) []exchange {
	var out []exchange
	for _, name := range asked(checks) {
		out = append(out,
			base.with("header-twice", name, func(x *exchange) { x.request.headers.add(name, "a"); x.request.headers.add(name, "b") }),
			base.with("empty-header", name, func(x *exchange) { x.request.headers.set(name, "") }))
	}
	// Envoy's own limits are 100 headers, and 60 KiB for all of them.
	many := base.with("many-headers", "", func(x *exchange) {
		for i := len(x.request.headers) + 3; i < 100; i++ {
			x.request.headers.add(fmt.Sprintf("x-hostile-%d", i), "a")
		}
	})
	long := strings.Repeat("a", 58<<10)
	out = append(out, many, base.with("long-header", "x-hostile", func(x *exchange) { x.request.headers.add("x-hostile", long) }))
	if name := asked(checks)[0]; name != "cookie" {
		out = append(out, base.with("long-header", name, func(x *exchange) { x.request.headers.set(name, long) }))
	}
	return append(out, base.with("no-usual-headers", "", func(x *exchange) {
		x.request.headers = slices.DeleteFunc(x.request.headers, func(f field) bool { return !strings.HasPrefix(f.name, ":") })
		x.bare = true
	}))
}

func oddPaths(base exchange) []exchange {
	var out []exchange
	for _, path := range []string{"/?", "//", "/%", "/%00/..;/", "/?a=%ff&&=&b", "/" + strings.Repeat("a/", 4<<10)} {
		name, detail := "odd-path", path
		if path == "/?" {
			name, detail = "empty-query", ""
		}
		out = append(out, base.with(name, detail[:min(len(detail), 20)], func(x *exchange) { x.request.headers.set(":path", path) }))
	}
	return out
}

func oddMethods(base exchange) []exchange {
	var out []exchange
	for _, method := range []string{"HEAD", "OPTIONS", "TRACE", "PATCH", "PROPFIND"} {
		out = append(out, base.with("odd-method", method, func(x *exchange) {
			x.request.headers.set(":method", method)
			if method == "HEAD" {
				x.response.body = nil
			}
		}))
	}
	return append(out, base.with("odd-method", "CONNECT", func(x *exchange) {
		x.request.headers.set(":method", "CONNECT")
		x.request.headers.remove(":path") // it has neither, and reaches filters on any listener
		x.request.headers.remove(":scheme")
	}))
}

// pieces cuts a body into pieces.
func pieces(body string, n int) [][]byte {
	var out [][]byte
	for i := range n {
		out = append(out, []byte(body[i*len(body)/n:(i+1)*len(body)/n]))
	}
	return out
}

func oddBodies(base exchange) []exchange {
	post := base.with("body", "", func(x *exchange) { x.request.headers.set(":method", "POST") })
	text := `{"a": "` + strings.Repeat("b", 1000) + latin + `"}`
	body := func(name, detail string, body [][]byte, trailers headers) exchange {
		return post.with(name, detail, func(x *exchange) { x.request.body, x.request.trailers = body, trailers })
	}
	trailers := headers{{"x-hostile", latin}, {"grpc-status", "0"}}
	grpc := func(x *exchange) {
		x.request.headers.set("content-type", "application/grpc")
		x.request.body = [][]byte{{0, 255, 255, 255, 255, 1}} // announces more than comes
		x.response = message{headers: headers{{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", "14"}}}
	}
	return []exchange{
		post.with("early-end", "", func(x *exchange) { x.request.headers.add("content-length", "0") }),
		body("body", "one piece", pieces(text, 1), nil),
		body("body-in-pieces", "", append(pieces(text, 17), nil), nil), // the end comes alone
		body("body-in-pieces", "with trailers", pieces(text, 3), trailers),
		body("large-body", "", [][]byte{bytes.Repeat([]byte{0}, 64<<10)}, nil),
		body("empty-body", "", [][]byte{{}}, nil),
		body("trailers", "without a body", nil, trailers),
		post.with("grpc", "a frame that is cut short", grpc),
	}
}

func oddResponses(base exchange) []exchange {
	var out []exchange
	for _, status := range []string{"101", "204", "304", "404", "500", "503"} {
		out = append(out, base.with("odd-response", status, func(x *exchange) {
			x.response = answer(status, []byte("waxwing preflight\n"))
			if status < "200" || status == "204" || status == "304" {
				x.response.body = nil
			}
		}))
	}
	reset := []byte("upstream connect error or disconnect/reset before headers. reset reason: connection termination")
	return append(out,
		base.with("odd-response", "no header but its status", func(x *exchange) { x.response.headers = headers{{":status", "200"}} }),
		base.with("odd-response", "many headers", func(x *exchange) {
			for i := range 90 {
				x.response.headers.add(fmt.Sprintf("x-hostile-%d", i), "a")
			}
		}),
		base.with("odd-response", "in pieces, with trailers", func(x *exchange) {
			x.response.body, x.response.trailers = append(pieces(strings.Repeat("c", 4000), 5), nil), headers{{"x-hostile", latin}}
		}),
		base.with("upstream-reset", "before its headers", func(x *exchange) { x.response = whole(answer("503", nil).headers, reset); x.response.from = hungUp }),
		base.with("upstream-reset", "in its body", func(x *exchange) {
			x.response.body = pieces(strings.Repeat("c", 4000), 3)
			x.stops = 4
		}))
}

// oddMoments are clients that leave, at each moment of an exchange that has everything, and
// two that come at the same time.
func oddMoments(base exchange) []exchange {
	all := base.with("gone", "", func(x *exchange) {
		x.request.headers.set(":method", "POST")
		x.request.body, x.request.trailers = pieces("a body of two pieces", 2), headers{{"x-hostile", "a"}}
		x.response.body, x.response.trailers = pieces("an answer of two pieces", 2), headers{{"x-hostile", "a"}}
	})
	var out []exchange
	for stops := 1; stops <= all.request.moments()+all.response.moments(); stops++ {
		out = append(out, all.with("gone", []string{"before its headers are seen", "after the request's headers", "in the request's body", "after the request's body", "after the request's trailers",
			"after the response's headers", "in the response's body", "after the response's body"}[stops-1], func(x *exchange) { x.stops = stops }))
	}
	other := all.with("interleaved", "", func(x *exchange) { x.request.headers.set(":path", "/other") })
	return append(out, all.with("interleaved", "", func(x *exchange) { x.beside = &other }))
}
