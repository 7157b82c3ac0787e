// Package e2e tests the server on real Envoys. A missing Envoy fails the tests.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/envoy"
)

// What the tests run, built and found once.
var (
	envoyPath string
	xdsPath   string // built with the race detector, if the tests are
	buildDir  string
)

// VersionVariable chooses the Envoy of `make test-envoys`: one that is installed
// in the tools folder, whatever is on the PATH.
const VersionVariable = "WAXWING_ENVOY_VERSION"

func TestMain(m *testing.M) {
	code := 1
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(buildDir)
	os.Exit(code)
}

func prepare() (err error) {
	progress := func(s string) { fmt.Fprintln(os.Stderr, "e2e:", s) }
	const tools = "../.tools"
	if v := os.Getenv(VersionVariable); v != "" {
		envoyPath, err = envoy.Install(context.Background(), tools, v, progress)
	} else {
		envoyPath, err = envoy.Find(context.Background(), tools, progress)
	}
	if err != nil {
		return err
	}
	if buildDir, err = os.MkdirTemp("", "waxwing-e2e-*"); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	xdsPath = filepath.Join(buildDir, "xds")
	args := []string{"build", "-o", xdsPath}
	if raceEnabled {
		args = append(args, "-race")
	}
	return command(nil, "go", append(args, "../cmd/xds")...)
}

// command runs a command and returns its output with its error.
func command(env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}
