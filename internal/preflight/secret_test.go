package preflight

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
)

// gossip logs its configuration, in pieces and backwards too, and refuses one that begins with x.
//
//nolint:dupword // WebAssembly
const gossip = `
(import "env" "proxy_get_buffer_bytes" (func $get (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
(func (export "proxy_on_configure") (param i32 i32) (result i32)
  (drop (call $get (i32.const 7) (i32.const 0) (local.get 1) (i32.const 8) (i32.const 12)))
  (drop (call $log (i32.const 4) (i32.load (i32.const 8)) (i32.load (i32.const 12))))
  (drop (call $log (i32.const 4) (i32.add (i32.load (i32.const 8)) (i32.const 3)) (i32.const 7)))
  (i32.ne (i32.load8_u (i32.load (i32.const 8))) (i32.const 120)))
`

// What a filter logs of a configuration that is a secret is not shown, in whatever words.
func TestSecretIsNotShown(t *testing.T) {
	box := New(Limits{}, nil)
	m := assemble(t, gossip)
	for _, secret := range []bool{false, true} {
		packed, err := anypb.New(wrapperspb.String("x-canary-of-the-secret"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = box.Try(t.Context(), Plugin{Name: "gossip", Module: m, Config: &wasmv3.PluginConfig{Configuration: packed}, Secret: secret})
		if e := (*Error)(nil); !errors.As(err, &e) || e.Step != StepConfigure {
			t.Fatalf("%v", err)
		}
		if strings.Contains(err.Error(), "anary") == secret {
			t.Errorf("secret %t: %v", secret, err)
		}
		if secret && !strings.Contains(err.Error(), "(not shown: its configuration is a secret)") {
			t.Errorf("that it logged is not said: %v", err)
		}
	}
}

// What is said of a filter besides may quote it, too.
func TestSecretIsHidden(t *testing.T) {
	packed, err := anypb.New(wrapperspb.String(`{"cluster": "canary-cluster"}`))
	if err != nil {
		t.Fatal(err)
	}
	p := Plugin{Config: &wasmv3.PluginConfig{Configuration: packed}, Secret: true}
	quoting := func() *Error {
		return &Error{Reason: "it calls canary-cluster", Expected: "200", Got: "canary-cluster"}
	}
	report := Report{Warnings: []*Error{quoting()}, Outcomes: []Outcome{{Err: quoting()}, {}}}
	refused := quoting()
	p.conceal(report, refused)
	for _, e := range []*Error{report.Warnings[0], report.Outcomes[0].Err, refused} {
		if e.Reason != "it calls [secret]" || e.Got != "[secret]" || e.Expected != "200" {
			t.Errorf("%+v", e)
		}
	}
}
