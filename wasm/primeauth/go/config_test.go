package main

import (
	"strings"
	"testing"
)

func TestParseConfig(t *testing.T) {
	defaults := config{header: "token", deniedStatus: 403}
	for in, want := range map[string]config{
		"":                       defaults,
		" \n":                    defaults,
		"{}":                     defaults,
		`{"header": "X-Token"}`:  {header: "x-token", deniedStatus: 403},
		`{"denied_status": 401}`: {header: "token", deniedStatus: 401},
		`{"header":"a!#~.0","denied_status":599}`: {header: "a!#~.0", deniedStatus: 599},
	} {
		got, err := parseConfig([]byte(in))
		if err != nil || got != want {
			t.Errorf("parseConfig(%s) = %+v, %v; want %+v", in, got, err, want)
		}
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for in, want := range map[string]string{
		`{"haeder": "token"}`:       "haeder: unknown key",
		`{"header": ""}`:            "header: not an HTTP header name",
		`{"header": ":path"}`:       "header: not an HTTP header name",
		`{"header": "a b"}`:         "header: not an HTTP header name",
		`{"header": 7}`:             "header: not an HTTP header name",
		`{"denied_status": 200}`:    "denied_status: not a number from 400 to 599",
		`{"denied_status": "403"}`:  "denied_status: not a number from 400 to 599",
		`{"denied_status": -403}`:   "denied_status: not a number from 400 to 599",
		`[]`:                        "not a JSON object",
		`"token"`:                   "not a JSON object",
		`{"header": "secret-value"`: "not valid JSON",
		`{} {}`:                     "not valid JSON",
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
