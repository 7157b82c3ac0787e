// Command others holds the sandbox against Envoy, with filters of other projects: it takes a
// folder of modules, asks each the same requests in the sandbox and in an Envoy, and prints
// what the two make of them. None of the modules is a part of this project.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

func main() { rig.Main("others", run) }

func run(ctx context.Context) error {
	verbose := flag.Bool("v", false, "say where the two part, of each request")
	only := flag.String("only", "", "only modules whose path has this in it")
	path, files, err := rig.Folder(ctx, "usage: others [-v] FOLDER: FOLDER/TOOLCHAIN/PROJECT/*.wasm are filters, and NAME.json beside NAME.wasm is its Envoy PluginConfig, where it needs one", "*/*/*.wasm")
	if err != nil {
		return err
	}
	files = slices.DeleteFunc(files, func(f string) bool { return !strings.Contains(f, *only) })
	var all []tried
	for _, file := range files {
		t, err := try(ctx, path, file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		fmt.Fprintf(os.Stderr, "%d of %d: %s %s: %s\n", len(all)+1, len(files), t.project, t.name, t.verdict())
		if *verbose {
			t.describe()
		}
		all = append(all, t)
	}
	report(all)
	return nil
}
