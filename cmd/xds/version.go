package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker for a release.
var version = "dev"

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of xds, of Go and of the Envoy API it was built with",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(a.stdout, "xds %s %s/%s, %s, Envoy API %s\n",
				version, runtime.GOOS, runtime.GOARCH, runtime.Version(), envoyAPI())
			return err
		},
	}
}

// envoyAPI is the version of go-control-plane's Envoy API, by Envoy's own numbers.
func envoyAPI() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/envoyproxy/go-control-plane/envoy" {
				return m.Version
			}
		}
	}
	return "unknown"
}
