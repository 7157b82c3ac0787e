package snapshot

import (
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
)

// The cost of a revision with a module of 2.8 MB, beside that of hashing its
// bytes once, which no content-addressed build can do without.
func BenchmarkBuild(b *testing.B) {
	m := module.New(make([]byte, 2_800_000))
	f := &fleet.Fleet{
		Name:      "edge",
		Filters:   []fleet.Filter{{Name: "auth", Module: "auth.wasm", Plugin: &wasmv3.PluginConfig{}}},
		Listeners: []*listenerv3.Listener{{Name: "ingress"}},
	}
	b.Run("floor=hash", func(b *testing.B) {
		for b.Loop() {
			module.New(m.Bytes)
		}
	})
	b.Run("build", func(b *testing.B) {
		for b.Loop() {
			if _, err := Build(f, map[string]*module.Module{"auth.wasm": m}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		s, err := Build(f, map[string]*module.Module{"auth.wasm": m})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := s.Encode(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
