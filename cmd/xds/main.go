// Command xds is the control plane: it serves the fleets' configuration and Wasm
// filters to Envoys, and shows what each of them makes of it.
package main

import (
	"os"

	"github.com/waxwing-xds/waxwing/internal/sandbox"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == sandbox.Argument { // started by the server, for filters to be tried in
		os.Exit(sandbox.Serve(os.Stdin, os.Stdout))
	}
	os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}
