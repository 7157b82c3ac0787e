package e2e

import (
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// docs/operating.md says what the versions of Envoy that are tested can't do. A test of such a thing
// holds on these versions what is written there.

var envoyMinor = sync.OnceValues(func() (int, error) {
	out, err := exec.Command(envoyPath, "--version").Output()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(regexp.MustCompile(`/1\.(\d+)\.\d+`).FindStringSubmatch(string(out) + "/1.0.0")[1])
})

// before is whether the Envoy under test is of an earlier version than 1.minor.
func before(t *testing.T, minor int) bool {
	t.Helper()
	is, err := envoyMinor()
	if err != nil {
		t.Fatalf("the version of %s: %v", envoyPath, err)
	}
	return is > 0 && is < minor
}

// refused waits until a first revision is rejected, for what its Envoy can't do.
func (w *world) refused(words string) {
	w.t.Helper()
	if r := w.rejection(0); !strings.Contains(r.Reason, words) {
		w.t.Errorf("it is rejected for %q, want %q", r.Reason, words)
	}
}

// What Envoys say, or the server for them, of what they can't do.
const (
	noHostsByADS = "only 'DELTA_GRPC' is supported as an api_type" // before 1.37
	noLateScopes = "needs Envoy 1.38"
	noSelector   = "Didn't find a registered implementation" // of certificates on demand, before 1.37
)
