package e2e

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
)

// hasRuntime asks an Envoy, by having it validate a Wasm filter of which the code is none.
func hasRuntime() (bool, error) {
	out, err := exec.Command(envoyPath, "--mode", "validate", "--config-path", filepath.Join("testdata", "runtime.yaml")).CombinedOutput()
	if err == nil {
		return false, fmt.Errorf("%s takes a Wasm filter without code:\n%s", envoyPath, out)
	}
	switch {
	case bytes.Contains(out, []byte("Envoy was compiled without support for it")):
		return false, nil
	case bytes.Contains(out, []byte("Failed to load Wasm code")):
		return true, nil
	}
	return false, fmt.Errorf("%s does not say whether it has a Wasm runtime:\n%s", envoyPath, out)
}
