package main

import (
	"net/http"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

const (
	host   = "waxwing.check"
	answer = "<html>waxwing preflight</html>\n"
)

// said are headers of the service's answers.
var said = []fleet.Header{
	{Name: "content-type", Value: "text/html"}, {Name: "x-service", Value: "yes"},
	{Name: "set-cookie", Value: "session=1; Path=/"}, {Name: "location", Value: "http://service.example/next"},
}

// requests are what every module is asked.
func requests() []fleet.Check {
	out := []fleet.Check{
		request(http.MethodGet, "/", ""),
		request(http.MethodGet, "/foo/bar?a=1&b=two&key=word", "", "cookie", "my_cookie=1; session=abc; user=u", "authorization", "Basic YWRtaW46c2VjcmV0"),
		request(http.MethodGet, "/foo-1/index.html", "", "user-agent", "Mozilla/5.0 (iPhone; Mobile) bot", "accept", "text/html", "referer", "http://a.example/"),
		request(http.MethodPost, "/json", `{"id": 7, "token": "abc", "my_key": "v"}`, "content-type", "application/json", "token", "7"),
		request(http.MethodPost, "/text", "a text with a credit card 1234-1234-1234-1234 and foo in it", "content-type", "text/plain"),
		request(http.MethodPut, "/put", "bytes", "authorization", "Bearer a.b.c", "x-api-key", "k"),
		request(http.MethodHead, "/", ""),
		request(http.MethodOptions, "/", "", "origin", "http://o.example", "access-control-request-method", "PUT"),
		request(http.MethodDelete, "/%7e/x//y?", "", "x-twice", "1", "x-twice", "2", "x-empty", ""),
		request(http.MethodGet, "/", "", "x-forwarded-for", "1.2.3.4", "accept-language", "de", "accept-encoding", "gzip"),
		request(http.MethodGet, "/fail", "", "x-latin", "caf\xe9"),
		request(http.MethodPost, "/svc/Method", "\x00\x00\x00\x00\x00", "content-type", "application/grpc", "te", "trailers"),
	}
	out[10].Upstream = 500
	return out
}

func request(method, path, body string, pairs ...string) fleet.Check {
	text := fleet.Octets(answer)
	c := fleet.Check{Method: method, Path: path, Host: host, Body: fleet.Octets(body), Upstream: 200, Service: fleet.Answer{Headers: said, Body: &text}}
	agent := false
	for i := 0; i < len(pairs); i += 2 {
		agent = agent || pairs[i] == "user-agent"
		c.Headers = append(c.Headers, fleet.Header{Name: pairs[i], Value: pairs[i+1]})
	}
	if !agent {
		c.Headers = append(c.Headers, fleet.Header{Name: "user-agent", Value: "waxwing-check"})
	}
	return c
}
