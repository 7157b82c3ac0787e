package fleet

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/waxwing-xds/waxwing/internal/extensions" // the whole API, as in the server
)

// notReferences have "cluster" in the name of a field and refer to no cluster
// that a fleet must have: they match, label or configure one elsewhere.
var notReferences = map[protoreflect.FullName]bool{
	"envoy.config.bootstrap.v3.ClusterManager":                         true,
	"envoy.config.core.v3.Node":                                        true,
	"envoy.config.endpoint.v3.ClusterLoadAssignment":                   true,
	"envoy.config.endpoint.v3.ClusterStats":                            true,
	"envoy.config.metrics.v3.StatsdSink":                               true,
	"envoy.extensions.clusters.dynamic_modules.v3.ClusterConfig":       true,
	"envoy.extensions.filters.http.fault.v3.HTTPFault":                 true,
	"envoy.extensions.filters.network.reverse_tunnel.v3.ReverseTunnel": true,
	"envoy.extensions.filters.network.reverse_tunnel.v3.Validation":    true,
}

func TestClusterFieldsExist(t *testing.T) {
	for message, fields := range clusterFields {
		mt, err := protoregistry.GlobalTypes.FindMessageByName(message)
		if err != nil {
			t.Errorf("%s: %v", message, err)
			continue
		}
		for _, field := range fields {
			if mt.Descriptor().Fields().ByName(field) == nil {
				t.Errorf("%s has no field %s", message, field)
			}
		}
	}
}

func TestClusterFieldsAreAllKnown(t *testing.T) {
	protoregistry.GlobalTypes.RangeMessages(func(mt protoreflect.MessageType) bool {
		d := mt.Descriptor()
		name := d.FullName()
		current := strings.HasPrefix(string(name), "envoy.config.") || strings.HasPrefix(string(name), "envoy.extensions.")
		if !current || strings.Contains(string(name), ".v2") || notReferences[name] {
			return true
		}
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			known := slices.Contains(clusterFields[name], f.Name())
			other := strings.HasSuffix(string(f.Name()), "_header") || strings.HasSuffix(string(f.Name()), "_plugin")
			if f.Kind() == protoreflect.StringKind && strings.Contains(string(f.Name()), "cluster") && !known && !other {
				t.Errorf("%s.%s may name a cluster: add it to clusterFields or notReferences", name, f.Name())
			}
		}
		return true
	})
}

// A name in each of these fields, one or one of several, is followed.
func TestClusterFieldsAreFollowed(t *testing.T) {
	for message, fields := range clusterFields {
		mt, err := protoregistry.GlobalTypes.FindMessageByName(message)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range fields {
			m := mt.New()
			field, value := m.Descriptor().Fields().ByName(name), protoreflect.ValueOfString("none")
			if field.IsList() {
				m.Mutable(field).List().Append(value)
			} else {
				m.Set(field, value)
			}
			if !slices.ContainsFunc(refsOf(m.Interface()), func(r ref) bool { return r.kind == clusterKind && r.name == "none" }) {
				t.Errorf("%s.%s is not followed", message, name)
			}
		}
	}
}
