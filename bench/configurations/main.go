// Command configurations holds `xds check` against Envoy: it takes a folder of Envoy
// bootstraps, has `envoy --mode validate` read each, turns it into a fleet file and
// reads that too, and prints in how many the two agree. The folder has a folder for
// each repository that its files come from; none of them is a part of this one.
package main

import (
	"context"
	"flag"

	_ "github.com/waxwing-xds/waxwing/internal/extensions" // every message that a bootstrap may have
	"github.com/waxwing-xds/waxwing/internal/rig"
)

func main() { rig.Main("configurations", run) }

func run(ctx context.Context) error {
	list := flag.Bool("v", false, "list what Envoy and xds check say of each configuration that they do not both take")
	path, files, err := rig.Folder(ctx, "usage: configurations [-v] FOLDER: FOLDER/REPOSITORY/*.yaml are bootstraps", "*/*")
	if err != nil {
		return err
	}
	all, err := tryAll(ctx, path, files)
	if err != nil {
		return err
	}
	report(all, *list)
	return nil
}
