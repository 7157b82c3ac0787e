package e2e

import (
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// onPath does something to requests for /crash, a path that no check asks for.
func onPath(what string) string {
	return `
		(if (i32.eqz (call $get_header (i32.const 0) (i32.const 300) (i32.const 5) (i32.const 8) (i32.const 12)))
		  (then (if (i32.eq (i32.load (i32.const 12)) (i32.const 6)) (then ` + what + `))))`
}

const pathAndFail = `
  (data (i32.const 300) ":path")
  (func $fail (result i32)
    (drop (call $respond (i32.const 500) (i32.const 0) (i32.const 0)
      (i32.const 96) (i32.const 18) (i32.const 0) (i32.const 0) (i32.const -1)))
    (i32.const 1))`

// What no check covers passes preflight and the shadow. While the canary bakes,
// its counters tell: no other proxy is given it.
func TestCrashThatNoCheckCovers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, policy, checks string
		fault                fault
		reasons              []string // any of them
	}{
		// The checks hold to the end; only what users are answered tells.
		{"fails while its checks hold", "FAIL_RELOAD", checks, fault{request: onPath("(return (call $fail))"), more: pathAndFail}, []string{"answered 5xx"}},
		{"traps and is reloaded", "FAIL_RELOAD", "", fault{request: onPath("unreachable"), more: pathAndFail}, []string{"Wasm VM crashed", "answered 5xx"}},
		{"traps and stays closed", "FAIL_CLOSED", "", fault{request: onPath("unreachable"), more: pathAndFail}, []string{"answered 5xx"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, proxies := stagedWorld(t, 5, func(_ *world, o *fleetOptions) {
				o.Policy, o.Checks, o.Hostile = c.policy, c.checks, "off" // they would find it
				o.Rollout = `{stages: [{name: canary, proxies: 1, bake: 60s}, {name: all, percent: 100}]}`
			})
			good := w.servingRevision(len(proxies))
			users := newCrowd(proxies, "/crash")
			save(t, w.module, c.fault.module(t))
			r := w.rejection(0)
			for _, p := range proxies {
				p.serves(good)
			}
			users.end(t, r.Node)
			for _, e := range w.history() {
				if e.Kind == api.EventFlipped && e.Revision.ID == r.ID {
					t.Logf("rejected %d ms after the flip: %s", r.At.Sub(e.At).Milliseconds(), r.Reason)
				}
			}
			told := false
			for _, reason := range c.reasons {
				told = told || strings.Contains(r.Reason, reason)
			}
			if !told {
				t.Errorf("it was rejected because %s", r.Reason)
			}
			for _, p := range proxies {
				p.guards()
			}
		})
	}
}
