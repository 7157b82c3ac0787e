package extensions

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Upgrading the API module without `go generate` would silently lose messages.
func TestEveryPackageIsImported(t *testing.T) {
	patterns, err := os.ReadFile("packages.txt")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", append([]string{"list", "-find"}, strings.Fields(string(patterns))...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("imports_*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	packages := strings.Fields(string(out))
	if len(packages) < 400 {
		t.Fatalf("only %d packages listed", len(packages))
	}
	for _, pkg := range packages {
		if !strings.Contains(source.String(), `"`+pkg+`"`) {
			t.Errorf("%s is not imported: run `go generate ./internal/extensions`", pkg)
		}
	}
}
