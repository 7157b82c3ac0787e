// Command xds is the control plane: it serves the fleets' configuration and Wasm
// filters to Envoys, and shows what each of them makes of it.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}
