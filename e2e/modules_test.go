package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

// assemble makes a module of testdata/NAME.wat.
func assemble(t *testing.T, name string) []byte {
	t.Helper()
	return assembled(t, string(read(t, filepath.Join("testdata", name+".wat"))))
}

func assembled(t *testing.T, text string) []byte {
	t.Helper()
	module, err := rig.Assemble(text)
	must(t, err)
	return module
}

// gate is the small filter, marked as a build: each response says x-build: BUILD.
func gate(t *testing.T, build int) []byte {
	t.Helper()
	module, err := rig.Gate(build)
	must(t, err)
	return module
}

// command runs a command and returns its output with its error.
func command(env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// goBuilds are what the Go compiler made, by name; who wants the same waits for the first.
var goBuilds sync.Map // string to func() ([]byte, error)

// goFilter builds the real filter once.
func goFilter(t *testing.T, name string, flags ...string) []byte {
	t.Helper()
	once, _ := goBuilds.LoadOrStore(name, sync.OnceValues(func() ([]byte, error) {
		out := filepath.Join(buildDir, name+".wasm")
		args := slices.Concat([]string{"build", "-buildmode=c-shared", "-o", out}, flags, []string{"../wasm/primeauth/go"})
		if err := command([]string{"GOOS=wasip1", "GOARCH=wasm"}, "go", args...); err != nil {
			return nil, err
		}
		return os.ReadFile(out)
	}))
	module, err := once.(func() ([]byte, error))()
	must(t, err)
	return module
}

// primeauth is the real filter, built as a version that it names in a response header.
func primeauth(t *testing.T, version string) []byte {
	t.Helper()
	return goFilter(t, "primeauth-"+version, "-ldflags=-s -w -X main.version="+version)
}

// brokenPrimeauth is what `make filter BREAK=…` builds.
func brokenPrimeauth(t *testing.T, how string) []byte {
	t.Helper()
	return goFilter(t, "broken-"+how, "-tags", "broken", "-ldflags=-s -w -X main.broken="+how)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return data
}

// save renames a file into place, as a build does.
func save(t *testing.T, path string, data []byte) {
	t.Helper()
	must(t, rig.Save(path, data))
}

// write writes a file in place.
func write(t *testing.T, path string, data []byte) {
	t.Helper()
	must(t, os.WriteFile(path, data, 0o644))
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	must(t, os.MkdirAll(path, 0o755))
}
