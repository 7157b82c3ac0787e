package main

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// tryAll tries each file, some at a time.
func tryAll(ctx context.Context, path string, files []string) ([]tried, error) {
	dir, err := os.MkdirTemp("", "waxwing-configurations-*")
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
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
