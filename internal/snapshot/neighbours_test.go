package snapshot

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/waxwing-xds/waxwing/internal/golden"
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
	text := golden.Read(t, "../../docs/fleet-file.md")
	for _, kind := range slices.Sorted(maps.Keys(LeftOut)) {
		if !packages[kind] {
			t.Errorf("%q is no package of HTTP filters", kind)
		}
		if !strings.Contains(text, "`"+kind+"`") {
			t.Errorf("docs/fleet-file.md does not name %q", kind)
		}
	}
}
