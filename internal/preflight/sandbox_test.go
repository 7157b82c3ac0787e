package preflight

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
)

// frame is what each filter of testdata needs besides what it is about.
const frame = `
(memory (export "memory") 1)
(global $heap (mut i32) (i32.const 4096))
(func (export "proxy_abi_version_0_2_1"))
(func (export "proxy_on_memory_allocate") (param i32) (result i32)
  (global.get $heap)
  (global.set $heap (i32.add (global.get $heap) (i32.add (local.get 0) (i32.const 16)))))
(func $same (param i32 i32) (if (i32.ne (local.get 0) (local.get 1)) (then (unreachable))))
`

// assemble makes a module of a text in testdata.
func assemble(t testing.TB, text string) *module.Module {
	t.Helper()
	if !regexp.MustCompile(`(?m)^\(module`).MatchString(text) {
		lines := strings.SplitAfter(text, "\n")
		last := 0
		for i, line := range lines {
			if strings.HasPrefix(line, "(import") {
				last = i + 1
			}
		}
		text = "(module\n" + strings.Join(lines[:last], "") + frame + strings.Join(lines[last:], "") + ")"
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.wat"), filepath.Join(dir, "out.wasm")
	if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if message, err := exec.Command("wat2wasm", "--enable-threads", "--debug-names", "-o", out, in).CombinedOutput(); err != nil {
		t.Fatalf("wat2wasm (of wabt): %v\n%s", err, message)
	}
	code, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return module.New(code)
}

// directive finds a line ";; name: value" of a text.
func directive(text, name string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, ";; "+name+": "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

const baseConfig = `{
	"configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "{}"},
	"vm_config": {
		"configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "of the vm"},
		"environment_variables": {"key_values": {"HOME": "/r"}, "host_env_keys": ["X", "ABSENT"]}
	}
}`

// plugin makes of a text what is tried.
func plugin(t testing.TB, text string) Plugin {
	t.Helper()
	p := Plugin{Name: "tested", Config: &wasmv3.PluginConfig{}, Module: assemble(t, text), Hostile: fleet.Hostile{Off: true}}
	if err := protojson.Unmarshal([]byte(baseConfig), p.Config); err != nil {
		t.Fatal(err)
	}
	if more := directive(text, "plugin"); more != "" {
		var other wasmv3.PluginConfig
		if err := protojson.Unmarshal([]byte(more), &other); err != nil {
			t.Fatal(err)
		}
		proto.Merge(p.Config, &other)
	}
	asked := directive(text, "ask")
	if asked == "" {
		asked = "200"
	}
	for i, word := range strings.Fields(asked) {
		status, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		p.Checks = append(p.Checks, check(7+i, "23571113", status))
	}
	return p
}

// checked is a filter with a configuration, and the demo's checks.
func checked(t testing.TB, name string, code []byte, config string) Plugin {
	t.Helper()
	packed, err := anypb.New(wrapperspb.String(config))
	if err != nil {
		t.Fatal(err)
	}
	return Plugin{
		Name: name, Module: module.New(code), Config: &wasmv3.PluginConfig{Configuration: packed},
		Checks: []fleet.Check{check(1, "32323", 200), check(2, "323232", 403)},
	}
}

func check(line int, token string, status int) fleet.Check {
	return fleet.Check{
		Line: line, Method: "GET", Path: "/", Host: "waxwing.check", Upstream: 200, Status: status,
		Headers: []fleet.Header{{Name: "token", Value: token}},
	}
}

func lookup(name string) (string, bool) {
	value, ok := map[string]string{"X": "abc"}[name]
	return value, ok
}

// The limits of the tests: none is about how quick this machine is but those
// whose module is a loop.
var (
	patient = Limits{Start: time.Minute, Call: time.Minute, Memory: 16 << 20}
	hasty   = Limits{Start: 300 * time.Millisecond, Call: 50 * time.Millisecond, Memory: 16 << 20}
)

func texts(t testing.TB, file string) []txtar.File {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return archive.Files
}

func TestRefused(t *testing.T) {
	for _, file := range texts(t, "refused.txtar") {
		t.Run(strings.TrimSuffix(file.Name, ".wat"), func(t *testing.T) {
			text, limits := string(file.Data), patient
			if strings.Contains(file.Name, "loop") {
				limits = hasty
			}
			p := plugin(t, text)
			_, err := New(limits, lookup).Try(t.Context(), p)
			e := (*Error)(nil)
			if !errors.As(err, &e) {
				t.Fatalf("%v, want %s", err, directive(text, "want"))
			}
			if got, want := string(e.Step)+": "+e.Error(), directive(text, "want"); got != want {
				t.Errorf("it is refused for\n%s, want\n%s", got, want)
			}
			if e.Filter != "tested" || (e.Step == StepCheck) != (e.Line >= 7) {
				t.Errorf("filter %q, line %d", e.Filter, e.Line)
			}
		})
	}
}

func TestPassed(t *testing.T) {
	for _, file := range texts(t, "passed.txtar") {
		t.Run(strings.TrimSuffix(file.Name, ".wat"), func(t *testing.T) {
			p := plugin(t, string(file.Data))
			if _, err := New(patient, lookup).Try(t.Context(), p); err != nil {
				t.Error(err)
			}
		})
	}
}

// A newer candidate ends a try at once, whatever the module is doing.
func TestCancel(t *testing.T) {
	p := plugin(t, `(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (loop (br 0)) (i32.const 1))`)
	s := New(patient, nil)
	if _, err := s.programs.get(t.Context(), p.Module); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := s.Try(ctx, p)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > patient.Start/2 {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		t.Errorf("the filter is blamed: %v", e)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	other := plugin(t, "(func)")
	if _, err := s.Try(ctx, other); !errors.Is(err, context.Canceled) {
		t.Errorf("before it is compiled: %v", err)
	}
}

// A change of the configuration compiles nothing; of modules, only the last used
// are kept.
func TestKept(t *testing.T) {
	s := New(patient, nil)
	p := plugin(t, "(func)")
	for range 2 {
		if _, err := s.Try(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	first := s.programs.kept[0]
	if len(s.programs.kept) != 1 || first.digest != p.Module.Digest {
		t.Fatalf("%d are kept", len(s.programs.kept))
	}
	for size := range 4 {
		// Not modules, but as large as ones of which three fit.
		junk := module.New(make([]byte, keepBytes/interpreted.grows()/3-size))
		if _, err := s.Try(t.Context(), Plugin{Module: junk}); err == nil {
			t.Error("junk passes")
		}
	}
	if len(s.programs.kept) != 3 {
		t.Errorf("%d are kept, want 3", len(s.programs.kept))
	}
	if _, err := s.Try(t.Context(), Plugin{Module: module.New(make([]byte, 2*keepBytes/interpreted.grows()))}); err == nil || len(s.programs.kept) != 1 {
		t.Errorf("%d are kept with one that is too large", len(s.programs.kept))
	}
}
