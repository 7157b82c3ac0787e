package build

import (
	"fmt"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	httpwasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"

	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/preflight"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// Serving says which revision the fleet of a file serves now, nil for none: what its filters
// fail is not held against the next ones. It returns at once.
func (f *Files) Serving(path string, s *snapshot.Snapshot) {
	f.serving.Store(path, s)
}

// served is what the fleet of a file serves, nil for nothing.
func (f *Files) served(path string) *snapshot.Snapshot {
	v, _ := f.serving.Load(path)
	s, _ := v.(*snapshot.Snapshot)
	return s
}

// servedAs is a filter of what is served, to be read when it is wanted; nil where there is
// none.
func servedAs(name string, s *snapshot.Snapshot) func() (preflight.Plugin, error) {
	if s == nil {
		return nil
	}
	r := s.Get(resource.ExtensionConfigType, name)
	if r == nil {
		return nil
	}
	return func() (preflight.Plugin, error) { return pluginOf(r) }
}

func pluginOf(r *snapshot.Resource) (preflight.Plugin, error) {
	var config corev3.TypedExtensionConfig
	var wasm httpwasmv3.Wasm
	err := r.Wire.GetResource().UnmarshalTo(&config)
	if err == nil {
		err = config.GetTypedConfig().UnmarshalTo(&wasm)
	}
	if err != nil {
		return preflight.Plugin{}, fmt.Errorf("reading filter %q: %w", r.Name, err)
	}
	m := module.New(wasm.GetConfig().GetVmConfig().GetCode().GetLocal().GetInlineBytes())
	return preflight.Plugin{Name: r.Name, Config: wasm.GetConfig(), Module: m}, nil
}
