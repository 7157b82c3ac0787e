package preflight

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/waxwing-xds/waxwing/internal/module"
)

// What newcomers build is refused with the command that builds a filter. The modules are
// built here, by plain Go, of misbuilt.txtar.
func TestMisbuilt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sums, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range texts(t, "misbuilt.txtar") {
		write(t, filepath.Join(dir, file.Name), file)
	}
	for _, name := range []string{"sdk", "plain", "archived"} {
		write(t, filepath.Join(dir, name, "go.sum"), txtar.File{Data: sums})
	}
	const build = "GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o filter.wasm"
	for _, c := range []struct {
		folder, mode, os string
		want             []string
	}{
		{"sdk", "c-shared", "wasip1", nil},
		{"sdk", "exe", "wasip1", []string{"it is a command", "exports _start, and no _initialize", "-buildmode=c-shared was forgotten", build}},
		{"archived", "c-shared", "wasip1", []string{"github.com/tetratelabs/proxy-wasm-go-sdk, which is archived and for TinyGo", "go get " + goSDK + "@" + goVersion, build}},
		{"archived", "exe", "wasip1", []string{"archived", "go get " + goSDK + "@" + goVersion, build}},
		{"plain", "c-shared", "wasip1", []string{"without a Proxy-Wasm SDK", "go get " + goSDK + "@" + goVersion, build}},
		{"plain", "exe", "wasip1", []string{"without a Proxy-Wasm SDK", build}},
		{"plain", "exe", "js", []string{"for a browser (GOOS=js)", build}},
	} {
		out := filepath.Join(t.TempDir(), "filter.wasm")
		cmd := exec.Command("go", "build", "-ldflags=-s -w", "-buildmode="+c.mode, "-o", out, ".")
		cmd.Dir = filepath.Join(dir, c.folder)
		cmd.Env = append(os.Environ(), "GOOS="+c.os, "GOARCH=wasm", "GOFLAGS=", "GOWORK=off")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c.folder, err, text)
		}
		code, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		err = Inspect(t.Context(), module.New(code))
		if err == nil != (c.want == nil) {
			t.Errorf("%s as %s: %v", c.folder, c.mode, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s as %s: %v does not say %q", c.folder, c.mode, err, want)
			}
		}
	}
}

// The version that is told is the one that this repository is built with.
func TestToldVersion(t *testing.T) {
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := goSDK + " " + goVersion; !strings.Contains(string(text), want) {
		t.Errorf("go.mod has no %s", want)
	}
}

func write(t *testing.T, path string, file txtar.File) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file.Data, 0o600); err != nil {
		t.Fatal(err)
	}
}
