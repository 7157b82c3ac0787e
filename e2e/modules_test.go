package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// assemble makes a module of testdata/NAME.wat.
func assemble(t *testing.T, name string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), name+".wasm")
	if err := command(nil, "wat2wasm", filepath.Join("testdata", name+".wat"), "-o", out); err != nil {
		t.Fatalf("assembling %s.wat needs wabt (Debian, Homebrew: wabt): %v", name, err)
	}
	return read(t, out)
}

// gate is the small filter, marked as a build: each response says x-build: BUILD.
func gate(t *testing.T, build int) []byte {
	t.Helper()
	module := assemble(t, "gate")
	marked := bytes.Replace(module, []byte("build:00000000"), fmt.Appendf(nil, "build:%08d", build), 1)
	if build != 0 && bytes.Equal(module, marked) {
		t.Fatal("gate.wat has no place for the build's number")
	}
	return marked
}

var goBuilds sync.Map // version to []byte

// primeauth is the real filter, built as a version that it names in a response header.
func primeauth(t *testing.T, version string) []byte {
	t.Helper()
	if built, ok := goBuilds.Load(version); ok {
		return built.([]byte)
	}
	out := filepath.Join(buildDir, "primeauth-"+version+".wasm")
	err := command([]string{"GOOS=wasip1", "GOARCH=wasm"}, "go", "build", "-buildmode=c-shared",
		"-ldflags=-s -w -X main.version="+version, "-o", out, "../wasm/primeauth/go")
	if err != nil {
		t.Fatal(err)
	}
	goBuilds.Store(version, read(t, out))
	return read(t, out)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// save renames a file into place, as a build does.
func save(t *testing.T, path string, data []byte) {
	t.Helper()
	write(t, path+".new", data)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// write writes a file in place.
func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}
