package fleet

import (
	"strings"
	"testing"
)

func TestCheckOf(t *testing.T) {
	for request, want := range map[string]string{
		"":                                  "GET /",
		"/x":                                "GET /x",
		"POST /x a:1 b:2":                   "POST /x|a=1|b=2",
		"GET / name: value with spaces":     "GET /|name=value with spaces",
		"GET / a: one two b:three":          "GET /|a=one two|b=three",
		"GET / a: b:c":                      "GET /|a=|b=c",
		"GET /\ndate: Wed, 21 Oct 07:28:00": "GET /|date=Wed, 21 Oct 07:28:00",
		"GET / a:1\n  b: x:y  \n\nc:":       "GET /|a=1|b=x:y|c=",
		"A:1":                               "GET /|a=1",
		"GET / (x):y":                       "error", // no name begins so, and no header is there whose value it could be of
		"GET / a:b\nc":                      "error",
		"GET / Host:b":                      "error",
	} {
		c, err := CheckOf(request, 200)
		got := c.Method + " " + c.Path
		for _, h := range c.Headers {
			got += "|" + h.Name + "=" + h.Value
		}
		if err != nil {
			got = "error"
			if !strings.Contains(err.Error(), "is no header that can be set") {
				t.Errorf("%q: %v", request, err)
			}
		}
		if got != want {
			t.Errorf("%q is %q, want %q", request, got, want)
		}
	}
}
