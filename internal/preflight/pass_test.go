package preflight

import (
	"testing"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// passed is what becomes of a request that a filter of a text is asked.
func passed(t *testing.T, text string, c fleet.Check) Passed {
	t.Helper()
	out, err := New(Limits{}, nil).Pass(t.Context(), plugin(t, text), []fleet.Check{c})
	if err != nil || len(out) != 1 {
		t.Fatalf("%d answers, error %v", len(out), err)
	}
	return out[0]
}

func valueOf(w Whole, name string) string {
	for _, h := range w.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// A filter of the C++ SDK that gives no gRPC status, -1, answers a gRPC client by its HTTP status,
// and its body is the message: what a real Envoy makes of config_denylist of service-extensions.
//
//nolint:dupword // i32 i32 are two parameters
func TestLocalReplyToGRPC(t *testing.T) {
	got := passed(t, `
(import "env" "proxy_send_local_response" (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
(data (i32.const 64) "no 100%\n")
(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
  (drop (call $respond (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 8) (i32.const 0) (i32.const 0) (i32.const -1)))
  (i32.const 1))
`, fleet.Check{Method: "POST", Path: "/s/m", Host: "a", Upstream: 200, Headers: []fleet.Header{{Name: "content-type", Value: "application/grpc"}}})
	for name, want := range map[string]string{":status": "200", "grpc-status": "7", "grpc-message": "no 100%25%0A", "content-type": "application/grpc"} {
		if value := valueOf(got.Answer, name); value != want {
			t.Errorf("%s: %q where %q is expected", name, value, want)
		}
	}
}
