package snapshot

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// nodeAt is a proxy that has its shadow listeners at ports, or "" at sockets.
func nodeAt(t *testing.T, shadow string) *corev3.Node {
	t.Helper()
	of, err := structpb.NewStruct(map[string]any{fleet.WaxwingKey: map[string]any{"shadow": shadow}})
	if err != nil {
		t.Fatal(err)
	}
	return &corev3.Node{Id: "edge-0", Metadata: of}
}

// The port of a shadow listener depends on which others there are: its version says it,
// else it would stay where it was and be asked elsewhere. Its socket is its own.
func TestVersionSaysWhereAShadowIs(t *testing.T) {
	renamed := func(name string) func(string) string {
		return func(text string) string {
			return strings.NewReplacer("listeners: [ingress]", "listeners: [ingress, "+name+"]",
				"  listeners:\n", "  listeners:\n    - name: "+name+"\n"+oneListener).Replace(text)
		}
	}
	const file = "testdata/two_filters.yaml"
	for _, shadow := range []string{"", "127.0.0.1:18900", "[::1]:18900"} {
		var got []string
		for _, other := range []string{"a", "z"} {
			both := Compose(nil, build(t, file, renamed(other)), "")
			for _, slot := range []int{0, 2} {
				view, err := both.For(nodeAt(t, shadow), slot, nil)
				if err != nil {
					t.Fatal(err)
				}
				r := view.Get(resource.ListenerType, ShadowPrefix+"ingress")
				got = append(got, r.Version)
				if _, is := SlotOf(r.Version); is != slot {
					t.Errorf("%s is of slot %d, and not %d", r.Version, is, slot)
				}
				if at := PlaceIn(r.Version); shadow != "" && !reflect.DeepEqual(at, r.Binds()) {
					t.Errorf("%s says it is at %v, and not at %v", r.Version, at, r.Binds())
				}
			}
		}
		if moved := got[0] != got[2] && got[1] != got[3]; moved != (shadow != "") {
			t.Errorf("at %q the versions are %q", shadow, got)
		}
	}
}

var oneListener = fmt.Sprintf(`      address: {socket_address: {address: 127.0.0.1, port_value: 81}}
      filter_chains: [{filters: [{name: hcm, typed_config: {"@type": %[1]sfilters.network.http_connection_manager.v3.HttpConnectionManager,
        stat_prefix: a, route_config: {}, http_filters: [{name: router, typed_config: {"@type": %[1]sfilters.http.router.v3.Router}}]}}]}]
`, "type.googleapis.com/envoy.extensions.")

// A cache in front of a filter is not in the shadow, which has no cluster: it would answer
// in the filter's place.
func TestShadowHasNoCache(t *testing.T) {
	const router = "http_filters:\n"
	s := build(t, "testdata/two_filters.yaml", func(text string) string {
		return strings.Replace(text, router, router+`                  - {name: before, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.cache.v3.CacheConfig, disabled: true}}
                  - {name: cors, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}}
`, 1)
	})
	text := fmt.Sprint(s.shadows.listeners[0].text())
	if strings.Contains(text, "CacheConfig") || !strings.Contains(text, "cors.v3.Cors") || !strings.Contains(text, ShadowPrefix+"auth") {
		t.Errorf("it is %s", text)
	}
}
