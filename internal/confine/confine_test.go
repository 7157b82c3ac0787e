package confine_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/confine"
)

// house is a folder with a secret beside the folder that files may be read from.
func house(t *testing.T) (dir, may string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	may = filepath.Join(dir, "fleet")
	for _, folder := range []string{"fleet/below/..data", "beside", "fleet-not"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"fleet/a.wasm", "fleet/below/..data/b.wasm", "beside/secret", "fleet-not/secret"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(filepath.Base(file)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, at string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, at)); err != nil {
			t.Fatal(err)
		}
	}
	link("below/..data/b.wasm", "fleet/inside.wasm")            // as Kubernetes has it
	link(filepath.Join(may, "a.wasm"), "fleet/absolute.wasm")   // inside, by an absolute path
	link("../beside/secret", "fleet/outside.wasm")              // a link that leaves
	link(filepath.Join(dir, "beside"), "fleet/folder")          // a folder that leaves
	link("outside.wasm", "fleet/twice.wasm")                    // a link to one
	link("loop.wasm", "fleet/loop.wasm")                        // nowhere
	link("gone", "fleet/dangling.wasm")                         // nothing
	link("fleet", "alias")                                      // the folder by another name
	link(filepath.Join("..", "fleet", "a.wasm"), "beside/back") // from outside, and back
	return dir, may
}

// Whatever path a fleet file names, what is read lies in the folders.
func TestOnlyWhatLiesInTheFolders(t *testing.T) {
	dir, may := house(t)
	read := map[string]string{
		"fleet/a.wasm": "a.wasm", "alias/a.wasm": "a.wasm", "fleet/inside.wasm": "b.wasm", "fleet/absolute.wasm": "a.wasm",
		"fleet/below/..data/b.wasm": "b.wasm", "fleet/../fleet/a.wasm": "a.wasm", "beside/back": "a.wasm",
	}
	refused := []string{
		"beside/secret", "fleet/outside.wasm", "fleet/folder/secret", "fleet/twice.wasm", "fleet/../beside/secret", "fleet-not/secret", "fleet/folder/../beside/secret",
	}
	for _, folder := range []string{may, filepath.Join(dir, "alias"), may + "/", filepath.Join(dir, "beside", "..", "fleet")} {
		rule := confine.Rule{Folders: []string{filepath.Join(dir, "not-there"), folder}}
		for path, want := range read {
			if data, err := rule.ReadFile(filepath.Join(dir, path)); err != nil || string(data) != want {
				t.Errorf("%s below %s: %q, %v", path, folder, data, err)
			}
		}
		for _, path := range refused {
			data, err := rule.ReadFile(dir + "/" + path)
			if err == nil || len(data) > 0 || !strings.Contains(err.Error(), "outside of the folders that --allow-path names") {
				t.Errorf("%s below %s: %q, %v", path, folder, data, err)
			}
		}
		for _, path := range []string{"fleet/dangling.wasm", "fleet/nothing.wasm"} {
			if _, err := rule.ReadFile(filepath.Join(dir, path)); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v", path, err)
			}
		}
		if _, err := rule.ReadFile(filepath.Join(may, "loop.wasm")); err == nil {
			t.Error("a loop of links was read")
		}
	}
	if data, err := (confine.Rule{}).ReadFile(filepath.Join(dir, "beside", "secret")); err != nil || string(data) != "secret" {
		t.Errorf("without a folder: %q, %v", data, err)
	}
}

// A relative folder is one of the working directory.
func TestRelativeFolder(t *testing.T) {
	dir, _ := house(t)
	t.Chdir(dir)
	rule := confine.Rule{Folders: []string{"fleet"}}
	if data, err := rule.ReadFile("fleet/a.wasm"); err != nil || string(data) != "a.wasm" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := rule.ReadFile("beside/secret"); err == nil {
		t.Error("what is outside was read")
	}
	t.Chdir(filepath.Join(dir, "fleet"))
	if _, err := (confine.Rule{Folders: []string{"."}}).ReadFile("outside.wasm"); err == nil {
		t.Error("what is outside was read")
	}
}

// What is no file is not opened, and nobody waits for it.
func TestOnlyFiles(t *testing.T) {
	dir, may := house(t)
	pipe := filepath.Join(may, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{pipe: "a named pipe", may: "a directory", "/dev/zero": "a device", "/dev/null": "a device"} {
		for _, rule := range []confine.Rule{{}, {Folders: []string{dir, "/dev"}}} {
			if data, err := rule.ReadFile(path); err == nil || len(data) > 0 || !strings.Contains(err.Error(), path+" is not a file, but "+want) {
				t.Errorf("%s: %q, %v", path, data, err)
			}
		}
	}
}

// Below a file there is none.
func TestBelowAFile(t *testing.T) {
	dir, may := house(t)
	path := filepath.Join(may, "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, rule := range []confine.Rule{{}, {Folders: []string{dir}}} {
		if _, err := rule.ReadFile(filepath.Join(path, "fleet.yaml")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v", err)
		}
	}
}

// What is too large is not read, nor what grows while it is.
func TestSize(t *testing.T) {
	_, may := house(t)
	path := filepath.Join(may, "a.wasm")
	exact, small := confine.Rule{MaxBytes: 6, Setting: "--max-module-bytes"}, confine.Rule{MaxBytes: 5, Setting: "--max-module-bytes"}
	if data, err := exact.ReadFile(path); err != nil || string(data) != "a.wasm" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := small.ReadFile(path); err == nil || !strings.Contains(err.Error(), "a.wasm has more than 5 bytes, and is not read, as --max-module-bytes says") {
		t.Error(err)
	}
	f, err := exact.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.WriteFile(path, []byte("longer than that"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := exact.ReadAll(f); err == nil || len(data) > 0 {
		t.Errorf("what has grown was read: %q", data)
	}
}
