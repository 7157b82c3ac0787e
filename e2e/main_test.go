// Package e2e tests the server on real Envoys. A missing Envoy fails the tests.
package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
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
