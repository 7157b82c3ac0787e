package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// Signatures lie where modules may, and are small; the operator's keys may be anywhere; nothing else may.
func TestWhatIsReadToVerify(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, size := range map[string]int{
		"fleet/a.wasm.sig": 10, "fleet/b.wasm.sigstore.json": 1<<20 + 1, "fleet/team.pub": 10, "etc/operator.pub": 10, "etc/other.pub": 10, "etc/c.wasm.sig": 10,
	} {
		if err := os.MkdirAll(filepath.Dir(in(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(in(name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var s settings
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	s.flags(flags)
	if err := flags.Parse([]string{"--fleet", in("fleet/fleet.yaml"), "--verify", "{keys: [{file: " + in("etc/operator.pub") + "}]}"}); err != nil {
		t.Fatal(err)
	}
	const outside, large = "outside of the folders", "has more than 1048576 bytes"
	for name, want := range map[string]string{
		"fleet/a.wasm.sig": "", "fleet/team.pub": "", "etc/operator.pub": "",
		"fleet/b.wasm.sigstore.json": large, "etc/other.pub": outside, "etc/c.wasm.sig": outside,
	} {
		_, err := s.files()(in(name)).ReadFile(in(name))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
