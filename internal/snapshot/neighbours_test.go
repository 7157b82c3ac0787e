package snapshot

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Each type that is left out is one of Envoy's, and the paper names it.
func TestLeftOutIsDocumented(t *testing.T) {
	packages := map[string]bool{}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if name, ok := strings.CutPrefix(string(f.Package()), httpFilters); ok {
			kind, _, _ := strings.Cut(name, ".")
			packages[kind] = true
		}
		return true
	})
	text, err := os.ReadFile("../../docs/fleet-file.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range slices.Sorted(maps.Keys(LeftOut)) {
		if !packages[kind] {
			t.Errorf("%q is no package of HTTP filters", kind)
		}
		if !strings.Contains(string(text), "`"+kind+"`") {
			t.Errorf("docs/fleet-file.md does not name %q", kind)
		}
	}
}
