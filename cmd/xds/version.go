package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// What the linker sets for a release (`make dist`, the Dockerfile). Where it set none, what
// Go noted of the checkout that was built counts.
var (
	version string
	commit  string
	date    string // when it was committed, RFC 3339
)

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of xds, its commit, and the versions of Go and of the Envoy API it was built with",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				info = &debug.BuildInfo{}
			}
			_, err := fmt.Fprintln(a.stdout, versionLine(info))
			return err
		},
	}
}

// versionLine is what `xds version` prints of a build.
func versionLine(info *debug.BuildInfo) string {
	number := version
	if v := info.Main.Version; number == "" && v != "(devel)" {
		number = v
	}
	noted := map[string]string{}
	for _, s := range info.Settings {
		noted[s.Key] = s.Value
	}
	from := cmp.Or(commit, noted["vcs.revision"], "unknown")
	if at := cmp.Or(date, noted["vcs.time"]); at != "" {
		from += " of " + at
	}
	if commit == "" && noted["vcs.modified"] == "true" {
		from += " with changes"
	}
	return fmt.Sprintf("xds %s %s/%s, commit %s, %s, Envoy API %s",
		cmp.Or(number, "dev"), runtime.GOOS, runtime.GOARCH, from, runtime.Version(), envoyAPI(info))
}

// envoyAPI is the version of go-control-plane's Envoy API, by Envoy's own numbers.
func envoyAPI(info *debug.BuildInfo) string {
	for _, m := range info.Deps {
		if m.Path == "github.com/envoyproxy/go-control-plane/envoy" {
			return m.Version
		}
	}
	return "unknown"
}
