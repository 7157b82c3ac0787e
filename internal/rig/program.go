package rig

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
)

// Main runs a program until it is done or someone ends it, and ends the process.
func Main(name string, run func(context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}

// Folder reads the flags of a benchmark that is given one folder, and finds the path of an Envoy, and the
// files of the folder that match a pattern of path/filepath, in their order.
func Folder(ctx context.Context, usage, pattern string) (path string, files []string, err error) {
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		return "", nil, errors.New("one folder, please")
	}
	if path, err = FindEnvoy(ctx); err != nil {
		return "", nil, err
	}
	if files, err = filepath.Glob(filepath.Join(flag.Arg(0), pattern)); err != nil {
		return "", nil, fmt.Errorf("looking for files: %w", err)
	}
	slices.Sort(files)
	return path, files, nil
}
