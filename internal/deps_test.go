// Package internal_test holds what is true of all packages: which may import which, and
// that each says what it is for.
package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	project      = "github.com/waxwing-xds/waxwing/"
	controlPlane = "github.com/envoyproxy/go-control-plane/"
)

// dependencies are what each package may import of this project and of
// others. "envoy" stands for go-control-plane and protobuf, "grpc" for gRPC with
// them. The standard library is free, but for rollout which has nothing else.
// Imports run one way; data that loops does so through internal/control.
var dependencies = map[string][]string{
	"internal/confine":    {},
	"internal/watch":      {"internal/confine", "github.com/fsnotify/fsnotify", "golang.org/x/sys/unix"},
	"internal/extensions": {"envoy", "github.com/cncf/xds/go/", "google.golang.org/genproto/googleapis/"},
	"internal/fleet":      {"internal/confine", "envoy", "go.yaml.in/yaml/v3"},
	"internal/module":     {},
	// fleet for the rules that it reads.
	"internal/signed": {
		"internal/fleet", "internal/module", "google.golang.org/protobuf/encoding/protojson",
		"github.com/sigstore/protobuf-specs/gen/pb-go/", "github.com/sigstore/sigstore-go/pkg/", "github.com/sigstore/sigstore/pkg/signature",
	},
	"internal/signed/signedtest": {
		"envoy", "github.com/sigstore/protobuf-specs/gen/pb-go/", "github.com/sigstore/sigstore-go/pkg/",
	},
	// fleet for its checks; unix for the CPU time of a thread, which is what limits are of.
	"internal/preflight": {"internal/fleet", "internal/module", "envoy", "github.com/tetratelabs/wazero", "go.yaml.in/yaml/v3", "golang.org/x/sys/unix"},
	// It runs preflight in another process.
	"internal/sandbox":  {"internal/fleet", "internal/lockdown", "internal/module", "internal/preflight", "envoy"},
	"internal/lockdown": {"golang.org/x/sys/unix"},
	// Snapshots are compared for people, without what Envoy's API marks as sensitive.
	"internal/snapshot": {
		"internal/fleet", "internal/module", "envoy", "github.com/pmezard/go-difflib/difflib", "github.com/cncf/xds/go/udpa/annotations",
		"github.com/cncf/xds/go/xds/type/matcher/v3", // the trees of matches that a virtual host may have
	},
	"internal/scaffold": {"wasm"}, // the script that builds a Rust filter
	"internal/rollout":  {},
	"internal/store":    {},
	"internal/access":   {"internal/api", "internal/watch", "golang.org/x/sys/unix"},
	"internal/socket":   {},
	"internal/inbox":    {}, // what is built, and what came of writing, waits for the loop in the same way
	// Whatever talks to a server is built with these, and without the server.
	// What is said of a rollout, in a fleet's history and on the wire, has one home; it is
	// rollout's, which imports nothing either.
	"internal/api":         {"internal/rollout"},
	"internal/api/apitest": {},
	"internal/bootstrap":   {"internal/fleet"},
	"internal/golden":      {"github.com/google/go-cmp/cmp"},
	"internal/quota":       {"grpc"},
	"internal/xds":         {"internal/fleet", "internal/quota", "internal/snapshot", "envoy", "grpc"},
	"internal/deliver":     {"internal/fleet", "internal/snapshot", "internal/xds", "envoy"}, // fleet for what nodes say of themselves
	// It takes the changes that watch tells.
	"internal/build": {"internal/confine", "internal/fleet", "internal/inbox", "internal/module", "internal/preflight", "internal/signed", "internal/snapshot", "internal/watch", "envoy"},
	// It answers in the wire's types: one description of a fleet and its proxies, not two.
	"internal/control": {
		"internal/api", "internal/build", "internal/deliver", "internal/fleet", "internal/inbox", "internal/rollout", "internal/snapshot", "internal/xds", "envoy",
	},
	// The loop with nothing outside, for its own tests and the console's.
	"internal/control/controltest": {"internal/api", "internal/build", "internal/control", "internal/fleet", "internal/inbox", "internal/module", "internal/rig", "internal/snapshot", "internal/xds", "envoy"},
	// It shows the streams' figures, which the loop has no part in.
	"internal/console": {"internal/access", "internal/api", "internal/control", "internal/xds", "github.com/prometheus/client_golang/prometheus"},
	// It says in the wire's types how the port is guarded.
	"internal/identity": {"internal/api", "internal/fleet", "internal/watch", "envoy", "grpc", "go.yaml.in/yaml/v3", "github.com/spiffe/go-spiffe/v2/"},
	"internal/certs":    {"internal/bootstrap"}, // for how a proxy is told of its certificate
	"internal/envoy":    {"internal/process"},
	// What a StreamMetricsMessage is made of is a package of its own.
	"internal/xdstest": {"envoy", "grpc", "golang.org/x/sync/errgroup", "github.com/prometheus/client_model/go"},
	"internal/rig":     {"internal/api", "internal/bootstrap", "internal/envoy", "internal/fleet", "internal/module", "internal/process", "internal/snapshot", "envoy"}, // what its fleet files are made of
	"internal/process": {},
	"internal/chains":  {"internal/api", "internal/bootstrap", "internal/envoy", "internal/rig", "internal/process", "internal/xdstest", "go.yaml.in/yaml/v3"},
	"cmd/demo":         {"internal/api", "internal/envoy", "internal/process"}, // so that it is built, and says so, before anything large is
	"cmd/xds":          {"*"},
	"wasm":             {},
	"wasm/primeauth":   {"go.yaml.in/yaml/v3"}, // the vectors, for tests
	// The filter runs in proxies, not here.
	"wasm/primeauth/go": {"github.com/proxy-wasm/proxy-wasm-go-sdk", "github.com/valyala/fastjson"},
}

// testOnly are of tests and benchmarks only: nothing but those may import them.
var testOnly = []string{"internal/api/apitest", "internal/chains", "internal/control/controltest", "internal/xdstest", "internal/envoy", "internal/golden", "internal/rig", "internal/process", "internal/signed/signedtest", "wasm/primeauth"}

var groups = map[string][]string{
	"envoy": {controlPlane, "google.golang.org/protobuf/"},
	"grpc":  {"google.golang.org/grpc", "google.golang.org/genproto/googleapis/rpc"},
}

type pkg struct {
	ImportPath string
	Doc        string
	GoFiles    []string
	Imports    []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Doc,GoFiles,Imports", project+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 { // and not only tests
			all = append(all, p)
		}
	}
}

func TestDependencies(t *testing.T) {
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, project)
		if strings.HasPrefix(name, "bench") {
			continue // measures everything, is imported by nothing
		}
		allowed, known := dependencies[name]
		if !known {
			t.Errorf("%s is not in the table of dependencies", name)
			continue
		}
		for _, path := range p.Imports {
			if !mayImport(allowed, path) {
				t.Errorf("%s must not import %s", name, path)
			}
			if test := strings.TrimPrefix(path, project); slices.Contains(testOnly, test) && name != "cmd/demo" && !slices.Contains(testOnly, name) {
				t.Errorf("%s imports %s, which is for tests", name, test)
			}
		}
	}
}

func mayImport(allowed []string, path string) bool {
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
		return true // the standard library
	}
	return slices.ContainsFunc(allowed, func(a string) bool {
		if strings.HasPrefix(a, "internal/") || a == "wasm" {
			return path == project+a
		}
		prefixes := groups[a]
		if prefixes == nil {
			prefixes = []string{a}
		}
		return a == "*" || slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
	})
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range list(t) {
		if len(p.Doc) < 40 {
			t.Errorf("%s has no package comment that says what it is for: %q", p.ImportPath, p.Doc)
		}
	}
}

// There is one client of the admin API. Who would write another by hand asks for its
// paths, and nobody but the client, the console that serves them and their tests does.
func TestOneClient(t *testing.T) {
	path := regexp.MustCompile(`"[^"\n]*/v1/(status|proxies|events|history|diff|moves|commands)\b`)
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		room := filepath.ToSlash(filepath.Dir(name))
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && name != ".." {
			return fs.SkipDir // tools
		}
		if err != nil || d.IsDir() || filepath.Ext(name) != ".go" || room == "../internal/api" || room == "../internal/console" {
			return err
		}
		text, err := os.ReadFile(name)
		if found := path.Find(text); found != nil {
			t.Errorf("%s asks the admin API by itself (%s): use internal/api's Client", name, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
