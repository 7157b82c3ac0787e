package snapshot

import (
	"strings"
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// A filter is put into an HTTP connection manager however that is written: left out of
// one, it would let everything through.
func TestBindIntoTypedStruct(t *testing.T) {
	const typed = `"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`
	for _, name := range []string{"xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct"} {
		s := build(t, "testdata/two_filters.yaml", func(text string) string {
			head, rest, _ := strings.Cut(text, typed)
			indent := head[strings.LastIndex(head, "\n")+1:]
			body, tail, _ := strings.Cut(rest, "\n  clusters:")
			return head + `"@type": type.googleapis.com/` + name + "\n" +
				indent + "type_url: " + strings.TrimPrefix(typed, `"@type": `) + "\n" +
				indent + "value:" + strings.ReplaceAll(body, "\n", "\n  ") + "\n  clusters:" + tail
		})
		var l listenerv3.Listener
		if err := s.All(resource.ListenerType)[0].Wire.GetResource().UnmarshalTo(&l); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range hcmOf(l.GetFilterChains()[0].GetFilters()[0]).GetHttpFilters() {
			names = append(names, f.GetName())
		}
		if got := strings.Join(names, " "); !strings.Contains(got, " auth ") || !s.HasShadow() {
			t.Errorf("%s: its HTTP filters are %q, shadow: %t", name, got, s.HasShadow())
		}
	}
}
