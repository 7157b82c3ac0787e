package fleet

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// What a fleet file says of checks is stored with the revision: it is the same when it is read again.
func TestChecksAreSavedWhole(t *testing.T) {
	text := string(Octets("text \xe9"))
	c := Check{
		Line: 3, Name: "a", Method: "POST", Path: "/", Host: "h", Headers: []Header{{"a", "\xe9\x00"}, {"a", "b"}}, Body: "\xff", Trailers: []Header{{"t", "v"}},
		Status: 200, Expect: Expect{
			Statuses: []StatusRange{{200, 299}, {404, 404}}, Headers: []HeaderMatch{{"a", MatchEqual, "\xe9"}},
			Body:     BodyMatch{Equal: (*Octets)(&text), Contains: []Octets{"\xfe", "b"}, Matches: "x", JSON: []JSONMatch{{"$.a", json.RawMessage("1")}}},
			Upstream: Seen{Headers: []HeaderMatch{{"b", MatchAbsent, ""}}}, Within: time.Second,
		},
		Upstream: 201, Service: Answer{Headers: []Header{{"c", "d"}}, Body: new(Octets)},
		Callouts: []Callout{{Cluster: "x", Path: "/p", GRPC: new(int), Message: "m", Delay: time.Second}, {Function: "f", Failure: true}},
		Where:    []Place{InLive}, Reason: "r", Timeout: time.Minute, Ready: time.Hour,
	}
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var got Check
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, c) {
		t.Errorf("saved %s\nread %+v\nwant %+v", data, got, c)
	}
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("this test forgets %s", v.Type().Field(i).Name)
		}
	}
}

// Servers before read a check only that says nothing which they don't know.
func TestPlainChecks(t *testing.T) {
	plain := Check{Line: 1, Name: "a#1", Method: "GET", Path: "/", Host: "h", Headers: []Header{{"a", "b"}}, Status: 200, Upstream: 200}
	if !plain.Plain() {
		t.Error("a check as it always was is not plain")
	}
	for name, change := range map[string]func(*Check){
		"bytes": func(c *Check) { c.Headers = []Header{{"a", "\xe9"}} }, "body": func(c *Check) { c.Body = "b" },
		"statuses": func(c *Check) { c.Expect.Statuses = []StatusRange{{200, 201}} }, "headers": func(c *Check) { c.Expect.Headers = []HeaderMatch{{}} },
		"where": func(c *Check) { c.Where = []Place{InLive} }, "timeout": func(c *Check) { c.Timeout = 1 },
	} {
		c := plain
		if change(&c); c.Plain() {
			t.Errorf("%s: it is plain", name)
		}
	}
}

// What of a check a proxy is not asked, and why, is known from the check.
func TestWhatIsAskedWhere(t *testing.T) {
	for want, c := range map[string]Check{
		"sandbox; shadow; live": {Method: "GET"},
		"sandbox; shadow (but not that it takes 5ms at most); live (but not that it takes 5ms at most)": {Method: "GET", Expect: Expect{Within: 5 * time.Millisecond}},
		"not in sandbox: no reason; not by shadow: no reason; live":                                     {Method: "GET", Where: []Place{InLive}, Reason: "no reason"},
		"sandbox; not by shadow: there is no method PURGE in a health check; not by live: there is no method PURGE in a health check": {
			Method: "PURGE",
		},
	} {
		if got := c.Proof(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
