package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

// A fault is the small filter with something wrong.
type fault struct {
	name    string
	request string    // WebAssembly text, in place of the first lines of on_request_headers
	start   string    // the same for on_configure, whose parameters are the context and the configuration's size
	context string    // the same for on_context_create, whose parameters are the context and its root
	more    string    // functions beside it
	swap    [2]string // anything else: what of the text, and what instead
}

// faultNamed is one of faults.
func faultNamed(name string) fault {
	return faults[slices.IndexFunc(faults, func(f fault) bool { return f.name == name })]
}

// faults are those that Envoy acknowledges, and that the checks can tell. None of
// them keeps a worker busy: that is preflight's to stop.
var faults = []fault{
	{name: "traps", request: "unreachable"},
	{name: "traps once in ten", request: `
		(i32.store (i32.const 200) (i32.add (i32.load (i32.const 200)) (i32.const 1)))
		(if (i32.eqz (i32.rem_u (i32.load (i32.const 200)) (i32.const 10))) (then unreachable))`},
	{name: "forbids all", request: "(return (call $deny))"},
	{name: "allows all", request: "(return (i32.const 0))"},
	{name: "never ends", request: "(return (i32.const 1))"},
	{name: "slow by 2 s", request: `
		(i32.store (i32.const 204) (local.get 0))
		(return (i32.const 1))`, start: "(drop (call $tick (i32.const 2000)))", more: `
  (func (export "proxy_on_tick") (param i32)
    (if (i32.eqz (i32.load (i32.const 204))) (then (return)))
    (drop (call $context (i32.load (i32.const 204))))
    (i32.store (i32.const 204) (i32.const 0))
    (drop (call $continue (i32.const 0))))`},
	{name: "starts on the main thread only", start: `
		(if (i32.eqz (call $shared_get (i32.const 210) (i32.const 1) (i32.const 220) (i32.const 224) (i32.const 228)))
		  (then (return (i32.const 0))))
		(drop (call $shared_set (i32.const 210) (i32.const 1) (i32.const 210) (i32.const 1) (i32.const 0)))`},
}

// imports are those that faults need.
//
//nolint:dupword // i32 i32 are two parameters
const imports = `
  (import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $context (param i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
  (import "env" "proxy_get_shared_data" (func $shared_get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_shared_data" (func $shared_set (param i32 i32 i32 i32 i32) (result i32)))
`

// module assembles it.
func (f fault) module(t *testing.T) []byte {
	t.Helper()
	text := rig.GateText
	changes := []struct{ at, with string }{
		{"  (memory (export", imports + "  (memory (export"},
		{"  (func (export \"proxy_abi_version", f.more + "\n  (func (export \"proxy_abi_version"},
		{";; token → pointer at 8, size at 12", f.request},
		{`(func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))`,
			`(func (export "proxy_on_configure") (param i32 i32) (result i32) ` + f.start + ` (i32.const 1))`},
		{`(func (export "proxy_on_context_create") (param i32 i32))`,
			`(func (export "proxy_on_context_create") (param i32 i32) ` + f.context + `)`},
	}
	if f.swap[0] != "" {
		changes = append(changes, struct{ at, with string }{f.swap[0], f.swap[1]})
	}
	for _, change := range changes {
		if strings.Count(text, change.at) != 1 {
			t.Fatalf("gate.wat has no place for a fault at %q", change.at)
		}
		text = strings.Replace(text, change.at, change.with, 1)
	}
	return assembled(t, text)
}
