package rig

import (
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// Snapshot is what a fleet file at a path and its modules, by theirs, make.
func Snapshot(path string, file []byte, modules map[string][]byte) (*snapshot.Snapshot, error) {
	f, err := fleet.Parse(path, file)
	if err != nil {
		return nil, err
	}
	read := map[string]*module.Module{}
	for path, code := range modules {
		read[path] = module.New(code)
	}
	return snapshot.Build(f, read)
}
