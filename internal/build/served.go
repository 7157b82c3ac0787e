package build

import (
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

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
	config, err := r.Plugin()
	if err != nil {
		return preflight.Plugin{}, err
	}
	m := module.New(config.GetVmConfig().GetCode().GetLocal().GetInlineBytes())
	return preflight.Plugin{Name: r.Name, Config: config, Module: m, Secret: r.Secret()}, nil
}
