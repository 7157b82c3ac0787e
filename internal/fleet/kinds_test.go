package fleet

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/waxwing-xds/waxwing/internal/extensions"
)

// Each field of the Envoy API by which a proxy may be sent to this server is a row of
// Kinds, is answered without, or has advice for what to write instead: a field that a newer
// API adds is found here.
func TestEveryConfigSourceIsAccountedFor(t *testing.T) {
	// What comes with no fleet file, and what only files can name.
	elsewhere := []protoreflect.FullName{
		"envoy.extensions.access_loggers.filters.process_ratelimit.v3.DynamicTokenBucket",
		"envoy.extensions.clusters.aggregate.v3.AggregateClusterResource",
	}
	seen := 0
	protoregistry.GlobalTypes.RangeMessages(func(m protoreflect.MessageType) bool {
		d := m.Descriptor()
		if strings.HasPrefix(string(d.FullName()), "envoy.config.bootstrap.v3.") {
			return true
		}
		for i := range d.Fields().Len() {
			field := d.Fields().Get(i)
			if field.Message() == nil || served(d, field) {
				continue
			}
			seen++
			if instead[d.FullName()] == "" && !slices.Contains(elsewhere, d.FullName()) {
				t.Errorf("%s has %s, and nothing is said of what it asks for", d.FullName(), field.Name())
			}
		}
		return true
	})
	if seen < len(instead) {
		t.Errorf("%d fields are refused, but %d are listed", seen, len(instead))
	}
}

// The table's names are those of the API.
func TestKindsNameFieldsThatExist(t *testing.T) {
	for _, k := range Kinds {
		if got := k.NameOf(k.New("x")); got != "x" {
			t.Errorf("%s: a name is %q and not x", k.Name, got)
		}
		for _, by := range k.AskedBy {
			m, err := protoregistry.GlobalTypes.FindMessageByName(by.Message)
			if err != nil {
				t.Fatal(err)
			}
			fields := m.Descriptor().Fields()
			if fields.ByName(by.Source) == nil || by.Name != All && fields.ByName(by.Name) == nil {
				t.Errorf("%s has no field %s or %s", by.Message, by.Source, by.Name)
			}
		}
	}
	for _, names := range []map[protoreflect.FullName]bool{answered} {
		for name := range names {
			if _, err := protoregistry.GlobalTypes.FindMessageByName(name); err != nil {
				t.Error(err)
			}
		}
	}
}
