package main

import (
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

// tryAll tries each file, some at a time.
func tryAll(ctx context.Context, path string, files []string) ([]tried, error) {
	var ends rig.Ends
	defer ends.End()
	dir, err := ends.Folder()
	if err != nil {
		return nil, err
	}
	stand, err := makeStandIns(dir)
	if err != nil {
		return nil, err
	}
	all := make([]tried, len(files))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for i, file := range files {
		group.Go(func() (err error) {
			all[i], err = try(ctx, path, file, stand)
			return err
		})
	}
	return all, group.Wait()
}
