package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/process"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// What the README says of a new filter: each command, and what is answered.
var (
	newCommands = regexp.MustCompile(`(?m)^    bin/(xds new (rust|go) \S+) +# .*\n    (cd \S+)\n    (make) .*\n    (make serve) .*\x60(make envoy)\x60`)
	curls       = regexp.MustCompile(`(?m)^    curl (?:-H '([^:]+): ([^']+)' )?localhost:10000 +# (.*)$`)
)

// A new filter of either language is built, checked, served and answers, by the README's own
// commands, and its checks hold on a real Envoy.
func TestNewFilter(t *testing.T) {
	text := string(read(t, "../README.md"))
	said := newCommands.FindStringSubmatch(text)
	if said == nil || len(curls.FindAllString(text, -1)) != 2 {
		t.Fatal("the README does not say how to write a filter, as this test reads it")
	}
	for _, language := range []string{"go", "rust"} {
		t.Run(language, func(t *testing.T) {
			f := written(t, strings.Replace(said[1], "new "+said[2], "new "+language, 1), said[3])
			f.make(said[4])
			f.start(said[5])
			f.start(said[6])
			w := &world{t: t}
			for _, c := range curls.FindAllStringSubmatch(text, -1) {
				w.eventually("it answers "+c[3], func() error { return f.answers(c[1], c[2], c[3]+"\n") })
			}
			out, err := exec.Command(plainPath, "rollout", "status", "--wait", "--timeout", "60s", "--admin", f.admin).CombinedOutput()
			if err != nil {
				t.Errorf("it is not served: %v\n%s", err, out)
			}
		})
	}
}

// newFolder is a filter that was written, with addresses of its own.
type newFolder struct {
	t                              *testing.T
	dir                            string
	listen, admin, address, number string
}

// written runs `xds new`, and goes where it is told to.
func written(t *testing.T, command, cd string) *newFolder {
	t.Helper()
	parent := t.TempDir()
	cmd := exec.Command(plainPath, strings.Fields(command)[1:]...)
	cmd.Dir = parent
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	f := &newFolder{t: t, dir: filepath.Join(parent, strings.TrimPrefix(cd, "cd "))}
	for _, address := range []*string{&f.listen, &f.admin, &f.address, &f.number} {
		*address = freeAddress(t)
	}
	return f
}

// command is one of the README, for this server and this Envoy.
func (f *newFolder) command(line string) *exec.Cmd {
	envoy, err := filepath.Abs(envoyPath)
	if err != nil {
		f.t.Fatal(err)
	}
	words := strings.Fields(line)
	cmd := exec.Command(words[0], slices.Concat(words[1:], []string{
		"XDS=" + plainPath, "ENVOY=" + envoy,
		fmt.Sprintf("BOOTSTRAP=--server %s --admin-address %s --listen ingress=%s", f.listen, f.number, f.address),
	})...)
	cmd.Dir = f.dir
	// Debian's Rust builds the standard library, which takes a minute or more: what becomes of
	// it is shared with the tutorial's filter, which has the same profile, and kept between runs.
	shared, err := filepath.Abs("../wasm/primeauth/rust/target/plain")
	if err != nil {
		f.t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "GOFLAGS=", "CARGO_TARGET_DIR="+filepath.Join(f.dir, "target"), "CARGO_BUILD_BUILD_DIR="+shared, "XDS_LISTEN="+f.listen, "XDS_ADMIN="+f.admin)
	return cmd
}

// make runs a command to its end: it builds the filter, whose checks then pass.
func (f *newFolder) make(line string) {
	f.t.Helper()
	out, err := f.command(line).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "4 checks: 4 passed in ") || !strings.Contains(string(out), "local replies reached: 403") {
		f.t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// start runs one that goes on.
func (f *newFolder) start(line string) {
	f.t.Helper()
	log := filepath.Join(f.t.TempDir(), "log")
	p, err := process.Start(f.command(line), log)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		p.Stop()
		if f.t.Failed() {
			f.t.Logf("%s:\n%s", line, p.Tail(1<<16))
		}
	})
}

func (f *newFolder) answers(header, value, want string) error {
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, "http://"+f.address, nil)
	if err != nil {
		return err
	}
	if header != "" {
		req.Header.Set(header, value)
	}
	a, err := rig.Do(http.DefaultClient, req)
	if err == nil && a.Body != want {
		err = fmt.Errorf("it answers %d, %q", a.Status, a.Body)
	}
	return err
}
