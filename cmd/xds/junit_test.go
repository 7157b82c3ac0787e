package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/preflight"
)

// junitRules are the schema of https://github.com/windyroad/JUnit-Schema, the stricter of the
// two in use: of each element the attributes that must be there, with their patterns, those that
// may be, and the elements in it, in their order.
var junitRules = map[string]struct {
	must     map[string]string
	may      []string
	children string
}{
	"testsuites": {children: `(testsuite )*`},
	"testsuite": {
		must: map[string]string{
			"name": `\S.*`, "package": `.*`, "id": `\d+`, "hostname": `\S+`, "tests": `\d+`, "failures": `\d+`, "errors": `\d+`,
			"time": `\d+\.\d{3}`, "timestamp": `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d`,
		},
		may: []string{"skipped"}, children: `properties (testcase )*system-out system-err `,
	},
	"testcase": {
		must:     map[string]string{"name": `\S.*`, "classname": `\S.*`, "time": `\d+\.\d{3}`},
		children: `(skipped |error |failure )?`,
	},
	"failure": {must: map[string]string{"type": `.+`}, may: []string{"message"}},
	"error":   {must: map[string]string{"type": `.+`}, may: []string{"message"}},
	"skipped": {may: []string{"message"}}, "properties": {}, "system-out": {}, "system-err": {},
}

// What is written keeps to the schema, whatever names and reasons hold, and says how many.
func TestJUnit(t *testing.T) {
	odd := "<&>\"' \x00\x1b\xff ]]> é\n"
	tr := trial{
		Filters: []tried{
			{
				Fleet: "edge", Filter: "gate", Step: preflight.StepCheck, Milliseconds: 1234567.8, Hostile: 3, Warnings: []string{odd},
				Asked: []asked{
					{Name: "a", Result: passed, Milliseconds: 0.4}, {Name: odd, Result: failed, Error: odd},
					{Name: "b", Result: skipped, Error: odd}, {Name: "c", Result: notAsked},
				},
				Coverage: &preflight.Coverage{Replies: []preflight.Reply{{Status: 403, Hostile: 1}}},
			},
			{Module: "x/one.wasm", Step: preflight.StepStart, Error: odd},
			{Fleet: "edge", Filter: "other", Step: preflight.StepHostile, Error: odd, Hostile: 1},
		},
		unread: []string{odd},
	}
	path := filepath.Join(t.TempDir(), "junit.xml")
	if err := tr.writeJUnit(path, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	keepsTo(t, xml.NewDecoder(strings.NewReader(string(text))))
	var read junitSuites
	if err := xml.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	for i, want := range []junitSuite{
		{Name: "edge/gate", Tests: 6, Failures: 1, Skipped: 2}, {Name: "one.wasm", Tests: 1, Errors: 1},
		{Name: "edge/other", Tests: 2, Failures: 1}, {Name: "files", Tests: 1, Errors: 1},
	} {
		s := read.Suites[i]
		if got := (junitSuite{Name: s.Name, Tests: s.Tests, Failures: s.Failures, Errors: s.Errors, Skipped: s.Skipped}); got.Name != want.Name ||
			got.Tests != want.Tests || got.Failures != want.Failures || got.Errors != want.Errors || got.Skipped != want.Skipped || s.ID != i || len(s.Cases) != s.Tests {
			t.Errorf("suite %d: %+v, want %+v", i, got, want)
		}
	}
	// XML has no way to write some characters: they are replaced. All others come back.
	want := strings.NewReplacer("\x00", "\uFFFD", "\x1b", "\uFFFD", "\xff", "\uFFFD").Replace(odd)
	if c := read.Suites[0].Cases[2]; c.Name != want || c.Failure == nil || c.Failure.Message != want || c.Failure.Text != want {
		t.Errorf("%+v, want %q", c, want)
	}
	if out := read.Suites[0].Out; !strings.Contains(out, "no check reaches a local reply 403") {
		t.Errorf("what the checks reach: %q", out)
	}
}

// keepsTo holds a document against junitRules.
func keepsTo(t *testing.T, d *xml.Decoder) {
	t.Helper()
	var path, inside []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			rule, known := junitRules[e.Name.Local]
			if !known {
				t.Errorf("there is no element %s", e.Name.Local)
			}
			given := map[string]string{}
			for _, a := range e.Attr {
				given[a.Name.Local] = a.Value
				if rule.must[a.Name.Local] == "" && !slices.Contains(rule.may, a.Name.Local) {
					t.Errorf("%s has no attribute %s", e.Name.Local, a.Name.Local)
				}
			}
			for name, pattern := range rule.must {
				if value, there := given[name]; !there || !regexp.MustCompile(`(?s)^`+pattern+`$`).MatchString(value) {
					t.Errorf("%s: %s=%q", e.Name.Local, name, value)
				}
			}
			if len(inside) > 0 {
				inside[len(inside)-1] += e.Name.Local + " "
			}
			path, inside = append(path, e.Name.Local), append(inside, "")
		case xml.EndElement:
			if last := len(path) - 1; !regexp.MustCompile(`^` + junitRules[path[last]].children + `$`).MatchString(inside[last]) {
				t.Errorf("in %s there are: %s", path[last], inside[last])
			}
			path, inside = path[:len(path)-1], inside[:len(inside)-1]
		default:
		}
	}
}
