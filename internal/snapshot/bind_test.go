package snapshot

import (
	"slices"
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

// An upgrade that has filters of its own meets no others: those of the fleet file are put there as
// well, but for those that it names, in the shadow, too.
func TestBindIntoUpgrades(t *testing.T) {
	const router = "{name: router, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}"
	s := build(t, "testdata/two_filters.yaml", func(text string) string {
		at := strings.Index(text, "http_filters:")
		indent := text[strings.LastIndex(text[:at], "\n")+1 : at]
		return text[:at] + "upgrade_configs:\n" +
			indent + "  - {upgrade_type: websocket, filters: [" + router + "]}\n" +
			indent + "  - {upgrade_type: CONNECT}\n" +
			indent + "  - {upgrade_type: other, filters: [{name: auth, disabled: true, config_discovery: {config_source: {ads: {}}, type_urls: [" + wasmType + "]}}, " + router + "]}\n" +
			indent + text[at:]
	})
	read := func(r *Resource) (out []string) {
		var l listenerv3.Listener
		if err := r.Wire.GetResource().UnmarshalTo(&l); err != nil {
			t.Fatal(err)
		}
		hcm := hcmOf(l.GetFilterChains()[0].GetFilters()[0])
		for _, u := range hcm.GetUpgradeConfigs() {
			names := u.GetUpgradeType() + ":"
			for _, f := range u.GetFilters() {
				if names += " " + f.GetName(); f.GetDisabled() {
					names += " (off)"
				}
			}
			out = append(out, names)
		}
		return out
	}
	const p = ShadowPrefix
	for _, c := range []struct {
		of   *Resource
		want []string
	}{
		{s.All(resource.ListenerType)[0], []string{"websocket: auth log router", "CONNECT:", "other: auth (off) log router"}},
		{s.shadows.listeners[0], []string{"websocket: " + p + "auth " + p + "log router", "CONNECT:", "other: " + p + "auth (off) " + p + "log router"}},
	} {
		if got := read(c.of); !slices.Equal(got, c.want) {
			t.Errorf("the upgrades of %s have %q, want %q", c.of.Name, got, c.want)
		}
	}
}
