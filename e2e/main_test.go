// Package e2e tests the server on real Envoys. A missing Envoy fails the tests.
package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/envoy"
)

// What the tests run, built and found once.
var (
	envoyPath string
	xdsPath   string // built with the race detector if -raced, or the tests are
	plainPath string // built without: for filters that are built by Go, which it starts ten times as slow
	buildDir  string
)

// VersionVariable chooses the Envoy of `make test-envoys`: one that is installed
// in the tools folder, whatever is on the PATH.
const VersionVariable = "WAXWING_ENVOY_VERSION"

// raced has the server built with the race detector by tests that are not: what they do costs the
// processors a fifth then.
var raced = flag.Bool("raced", raceEnabled, "build the server with the race detector")

// atOnce is how many tests run side by side for each processor: they wait most of the time,
// for bakes, deadlines and proxies that come back. Not parallel, and so before all others,
// are those that hold an answer against the clock, and those of the Go filter, which keeps
// the processors busy.
const atOnce = 2

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", strconv.Itoa(atOnce*runtime.NumCPU())); err != nil { // -parallel comes later, and wins
		panic(err)
	}
	if runsNone() {
		os.Exit(m.Run())
	}
	code := 1
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
	} else if err := chooseTests(); err != nil {
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
	plainPath = filepath.Join(buildDir, "plain", "xds")
	if xdsPath = plainPath; *raced {
		xdsPath = filepath.Join(buildDir, "xds")
		if err := command(nil, "go", "build", "-race", "-o", xdsPath, "../cmd/xds"); err != nil {
			return err
		}
	}
	return command(nil, "go", "build", "-o", plainPath, "../cmd/xds")
}
