package preflight

import (
	"os"
	"slices"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// What checks reach is told, and what comes of each, also behind one that fails or traps.
func TestOutcomesAndCoverage(t *testing.T) {
	t.Parallel()
	filter := filterOf(t, `checks:
  - {request: {headers: {x: "0"}}, expect: {status: 200}}
  - {request: {headers: {x: "1"}}, expect: {status: 200}}
  - {request: {headers: {x: "2"}}, expect: {status: 200}}
  - {request: {headers: {x: "1"}}, expect: {status: 403}}
  - {request: {headers: {x: "1"}}, expect: {status: 403}, where: [live]}`)
	text, err := os.ReadFile("testdata/coverage.wat")
	if err != nil {
		t.Fatal(err)
	}
	p := Plugin{Name: "tested", Config: filter.Plugin, Module: assemble(t, string(text)), Checks: filter.Checks, All: true}
	want := []bool{true, false, false, true}
	report, err := New(Limits{}, nil).Try(t.Context(), p)
	if e, ok := err.(*Error); !ok || e.Line != p.Checks[1].Line { //nolint:errorlint // Try's own
		t.Errorf("%v, want the first failure", err)
	}
	var got []bool
	for i, o := range report.Outcomes {
		got = append(got, o.Err == nil)
		if o.Line != p.Checks[i].Line || o.Took <= 0 {
			t.Errorf("outcome %d: %+v", i, o)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("passed: %v, want %v", got, want)
	}
	p.All = false
	if report, _ := New(Limits{}, nil).Try(t.Context(), p); len(report.Outcomes) != 2 {
		t.Errorf("%d outcomes, want none behind the first failure", len(report.Outcomes))
	}

	p.Checks = []fleet.Check{p.Checks[0]}
	report, err = New(Limits{}, nil).Try(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	c := report.Coverage
	reached := []Callback{{"proxy_on_request_headers", true}, {"proxy_on_request_trailers", false}}
	if !slices.Equal(c.Callbacks, reached) || !c.Answers || len(c.Replies) != 1 || c.Replies[0].Status != 429 || c.Replies[0].Checks != 0 || c.Replies[0].Hostile == 0 {
		t.Errorf("%+v: want no reply to a check, and 429 to hostile requests", c)
	}
}
