package preflight

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The tutorial's filter answers its checks, and panics for a header with one byte that is
// not UTF-8: https://github.com/proxy-wasm/proxy-wasm-rust-sdk, hostcalls::get_map.
func TestTutorial(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "tutorial.wasm")
	build := exec.Command("sh", "../../wasm/build-rust.sh", out, "testdata/tutorial")
	// Debian's Rust builds the standard library, which is shared with what `xds new` writes.
	shared, err := filepath.Abs("../../wasm/primeauth/rust/target/plain")
	if err != nil {
		t.Fatal(err)
	}
	build.Env = append(os.Environ(), "CARGO_TARGET_DIR="+t.TempDir(), "CARGO_BUILD_BUILD_DIR="+shared)
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the tutorial's filter: %v\n%s", err, text)
	}
	code, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	p := checked(t, "tutorial", code, "")
	_, err = New(Limits{}, nil).Try(t.Context(), p)
	e := (*Error)(nil)
	if !errors.As(err, &e) || e.Step != StepHostile {
		t.Fatalf("%v, want a refusal for a hostile request", err)
	}
	for _, want := range []string{"hostile request not-utf8 (in header x-hostile): proxy_on_request_headers traps: unreachable", "panicked at", "Utf8Error"} {
		if !strings.Contains(e.Error(), want) {
			t.Errorf("%v does not say %q", e, want)
		}
	}
	p.Hostile.Off = true
	if _, err := New(Limits{}, nil).Try(t.Context(), p); err != nil {
		t.Errorf("with `hostile: off`: %v", err)
	}
}
