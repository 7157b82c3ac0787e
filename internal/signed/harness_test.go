package signed_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/signed"
	"github.com/waxwing-xds/waxwing/internal/signed/signedtest"
)

const (
	path   = "auth.wasm"
	sig    = "auth.wasm.sig"
	bundle = "auth.wasm.sigstore.json"
)

// files are some that exist; of the others that are asked for there is none.
func files(rule *fleet.Verify, there map[string]string) signed.Files {
	out := signed.Files{}
	for _, name := range append(rule.Files(), signed.Beside(path)...) {
		out[name] = signed.File{Err: fmt.Errorf("open %s: %w", name, fs.ErrNotExist)}
	}
	for name, text := range there {
		out[name] = signed.File{Data: []byte(text)}
	}
	return out
}

// keysRule names keys by their PEM.
func keysRule(keys ...*signedtest.Key) *fleet.Verify {
	rule := &fleet.Verify{Place: "fleet.yaml:2"}
	for _, key := range keys {
		rule.Keys = append(rule.Keys, fleet.Key{PEM: key.PEM()})
	}
	return rule
}

// wantRefused has bytes be refused, for a reason.
func wantRefused(t *testing.T, rule *fleet.Verify, code []byte, there map[string]string, reason string) {
	t.Helper()
	m := module.New(code)
	err := signed.Verify(rule, path, m, files(rule, there))
	if err == nil {
		t.Errorf("it passes, and should not: %s", reason)
		return
	}
	prefix := "module auth.wasm (sha256 " + m.Short() + ") is refused by verify of " + rule.Place + ": "
	if !strings.HasPrefix(err.Error(), prefix) || !strings.Contains(err.Error(), reason) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%q, want %q in it", err, reason)
	}
}

func wantPassed(t *testing.T, rule *fleet.Verify, code []byte, there map[string]string) {
	t.Helper()
	if err := signed.Verify(rule, path, module.New(code), files(rule, there)); err != nil {
		t.Error(err)
	}
}
