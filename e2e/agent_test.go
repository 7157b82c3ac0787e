package e2e

import (
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// byAgent lets requests pass whose user agent has as many bytes as "probe/1" or "waxwing-check".
//
//nolint:dupword // i32 i32 are two parameters
const byAgent = `(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 16) "user-agent")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 4096))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (i32.store (i32.const 4) (i32.const 0))
    (drop (call $get (i32.const 0) (i32.const 16) (i32.const 10) (i32.const 0) (i32.const 4)))
    (if (i32.or (i32.eq (i32.load (i32.const 4)) (i32.const 7)) (i32.eq (i32.load (i32.const 4)) (i32.const 13)))
      (then (return (i32.const 0))))
    (drop (call $respond (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
    (i32.const 1)))`

// A filter that looks at the user agent answers its checks alike in the sandbox, in the shadow and
// through the real listener: it is the check's own, or the same for all checks.
func TestUserAgentIsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	module, err := rig.Assemble(byAgent)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.begins(w.fleetYAML(fleetOptions{Rollout: "{prove: 300ms, stages: [{name: all, percent: 100, bake: 500ms}]}", Checks: `
      - {request: {headers: {user-agent: probe/1}}, expect: {status: 200}}
      - {request: {headers: {user-agent: probe/20}}, expect: {status: 403}}
      - {request: {}, expect: {status: 200}}`}), module)
	w.startProxy("edge-0")
	w.fleetIs("it is served, or rejected", func(f api.Fleet) bool { return f.Serving.Number == 1 || len(f.Rejected) > 0 || f.Problem != "" })
	w.noneRejected()
	w.problem("")
}
