package preflight

import (
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
	p := Plugin{Name: "tested", Config: filter.Plugin, Module: assemble(t, `
(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (data (i32.const 64) "x")
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (i32.store (i32.const 0) (i32.const 128)) (i32.store (i32.const 128) (i32.const 0))
    (drop (call $get (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 0) (i32.const 4)))
    (if (i32.eq (i32.load8_u (i32.load (i32.const 0))) (i32.const 0x32)) (then (unreachable)))
    (if (i32.eq (i32.load8_u (i32.load (i32.const 0))) (i32.const 0x31)) (then
      (drop (call $respond (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
      (return (i32.const 1))))
    (if (i32.eq (i32.load8_u (i32.load (i32.const 0))) (i32.const 0x61)) (then
      (drop (call $respond (i32.const 429) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
      (return (i32.const 1))))
    (i32.const 0))
  (func (export "proxy_on_request_trailers") (param i32 i32) (result i32) (i32.const 0))
  (memory (export "memory") 2)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024)))`), Checks: filter.Checks, All: true}
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
