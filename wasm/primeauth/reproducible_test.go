package primeauth

import (
	"bytes"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The same source gives the same module: built here, and in a folder of another
// name, by `make filter` both times.
func TestReproducible(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"go", "rust"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			elsewhere := filepath.Join(t.TempDir(), "else where") // with a space, for the scripts' sake
			for _, name := range []string{"Makefile", "go.mod", "go.sum", "wasm"} {
				copyTree(t, filepath.Join(elsewhere, name), filepath.Join("../..", name))
			}
			first, second := build(t, "../..", language), build(t, elsewhere, language)
			if first != second {
				t.Errorf("two builds: %x and %x", first, second)
			}
		})
	}
}

// build returns the digest of what `make filter` builds in a folder.
func build(t *testing.T, dir, language string) [sha256.Size]byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "filter.wasm")
	cmd := exec.Command("make", "filter", "FILTER="+language, "WASM="+out)
	cmd.Dir = dir
	// Both share what cargo makes of the standard library, most of the time that a
	// build takes; the filter's own crate is another one in another folder.
	shared, err := filepath.Abs("rust/target")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "GOFLAGS=", "CARGO_TARGET_DIR=", "CARGO_BUILD_BUILD_DIR="+shared)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make filter: %v\n%s", err, text)
	}
	module, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(module, []byte(here)) {
		t.Errorf("the module says where it was built: %s", here)
	}
	return sha256.Sum256(module)
}

// copyTree copies a file or a folder, without what was built in it.
func copyTree(t *testing.T, to, from string) {
	t.Helper()
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if !info.IsDir() {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil {
			err = os.WriteFile(to, data, info.Mode())
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "target" && filepath.Ext(e.Name()) != ".wasm" {
			copyTree(t, filepath.Join(to, e.Name()), filepath.Join(from, e.Name()))
		}
	}
}
