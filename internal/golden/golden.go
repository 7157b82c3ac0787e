// Package golden holds what is made against what the repository has of it, in files that a
// person reads before they are committed: `go test PACKAGE -rewrite` writes them anew. It
// is for tests.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write the files anew that the tests compare with")

// Rewrite is whether files are to be written anew.
func Rewrite() bool { return *rewrite }

// CompareFiles compares files of a folder with those of the same names in another, and
// returns what they hold.
func CompareFiles(t *testing.T, want, got string, names ...string) string {
	t.Helper()
	var all strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(got, name))
		if err != nil {
			t.Fatal(err)
		}
		Compare(t, filepath.Join(want, name), string(text))
		all.Write(text)
	}
	return all.String()
}

// Read is what is in a file of the repository, a paper's say.
func Read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Compare says where a text differs from that of a file, or writes the file anew.
func Compare(t *testing.T, path, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil { //nolint:gosec // a test says which
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(Read(t, path), got); diff != "" {
		t.Errorf("not as in %s (-want +got); `go test -rewrite` if it is meant:\n%s", path, diff)
	}
}
