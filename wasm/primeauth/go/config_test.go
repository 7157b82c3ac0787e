package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseConfig(t *testing.T) {
	with := func(change func(*config)) config {
		c := defaultConfig()
		change(&c)
		return c
	}
	for in, want := range map[string]config{
		"":                       defaultConfig(),
		" \n":                    defaultConfig(),
		"{}":                     defaultConfig(),
		`{"header": "X-Token"}`:  with(func(c *config) { c.header = "x-token" }),
		`{"denied_status": 401}`: with(func(c *config) { c.deniedStatus = 401 }),
		`{"header":"a!#~.0","denied_status":599}`: with(func(c *config) { c.header, c.deniedStatus = "a!#~.0", 599 }),
		`{"denied_body": "no\n"}`:                 with(func(c *config) { c.deniedBody = []byte("no\n") }),
		`{"remove_header": true}`:                 with(func(c *config) { c.removeHeader = true }),
		`{"allow_paths": ["/healthz", "/"]}`:      with(func(c *config) { c.allowPaths = []string{"/healthz", "/"} }),
		`{"response_header": "X-Filter"}`:         with(func(c *config) { c.responseHeader = "x-filter" }),
	} {
		got, err := parseConfig([]byte(in))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("parseConfig(%s) = %+v, %v; want %+v", in, got, err, want)
		}
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for in, want := range map[string]string{
		`{"haeder": "token"}`:          "haeder: unknown key",
		`{"header": ""}`:               "header: not an HTTP header name",
		`{"header": ":path"}`:          "header: not an HTTP header name",
		`{"header": "a b"}`:            "header: not an HTTP header name",
		`{"header": 7}`:                "header: not an HTTP header name",
		`{"denied_status": 200}`:       "denied_status: not a number from 400 to 599",
		`{"denied_status": "403"}`:     "denied_status: not a number from 400 to 599",
		`{"denied_status": -403}`:      "denied_status: not a number from 400 to 599",
		`{"denied_body": 1}`:           "denied_body: not a string",
		`{"remove_header": "yes"}`:     "remove_header: not true or false",
		`{"allow_paths": "/"}`:         "allow_paths: not a list of paths",
		`{"allow_paths": ["healthz"]}`: "allow_paths: not a list of absolute paths",
		`{"allow_paths": ["/?a=b"]}`:   "allow_paths: not a list of absolute paths",
		`{"response_header": "a b"}`:   "response_header: not an HTTP header name",
		`[]`:                           "not a JSON object",
		`"token"`:                      "not a JSON object",
		`{"header": "secret-value"`:    "not valid JSON",
		`{} {}`:                        "not valid JSON",
	} {
		_, err := parseConfig([]byte(in))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseConfig(%s): %v; want an error with %q", in, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret-value") {
			t.Errorf("parseConfig(%s): the error %q shows a value", in, err)
		}
	}
}
