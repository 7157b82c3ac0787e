package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// runsNone is whether no test here has a name that -run asks for, so that a run of
// another package's tests neither installs an Envoy nor builds a server.
func runsNone() bool {
	flag.Parse()
	if flag.Lookup("test.list").Value.String() != "" {
		return true
	}
	run := flag.Lookup("test.run").Value.String()
	if run == "" {
		return false
	}
	names := subtests.ReplaceAllString(run, "")
	found, err := exec.Command(os.Args[0], "-test.list", names).Output()
	return err == nil && len(found) == 0
}

// subtests is what of a -run pattern is about subtests.
var subtests = regexp.MustCompile(`/[^|]*`)

// chooseTests runs, on an Envoy that was built without a Wasm runtime, only the test
// of what is said then, which no other Envoy could pass.
func chooseTests() error {
	const without = "^TestEnvoyWithoutRuntime$"
	has, err := hasRuntime()
	if err != nil {
		return err
	}
	if has {
		return flag.Set("test.skip", without)
	}
	fmt.Fprintln(os.Stderr, "e2e: this Envoy was built without V8: only TestEnvoyWithoutRuntime is run")
	return flag.Set("test.run", without)
}

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
