package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/preflight"
)

// What the test's own program does instead of its tests, by its first argument.
var programs = map[string]func() int{
	Argument: func() int { return Serve(os.Stdin, os.Stdout) },
	"busy": func() int {
		go func() {
			for {
				continue
			}
		}()
		return Serve(os.Stdin, os.Stdout)
	},
	"dies": func() int { return 3 },
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && programs[os.Args[1]] != nil {
		os.Exit(programs[os.Args[1]]())
	}
	os.Exit(m.Run())
}

// pool is one whose children run a program of this test.
func pool(t testing.TB, program string, limits preflight.Limits) *Pool {
	t.Helper()
	lookup := func(name string) (string, bool) { return "the value", name == "KNOWN" }
	p := poolOf(slog.New(slog.DiscardHandler), limits, lookup, func() *exec.Cmd {
		cmd := itself()
		if cmd.Args[1] = program; programs[program] == nil {
			cmd.Path = program
		}
		return cmd
	})
	t.Cleanup(p.Close)
	return p
}

// assemble makes a module of a text, with what each filter has.
func assemble(t testing.TB, imports, text string) *module.Module {
	t.Helper()
	dir := t.TempDir()
	text = "(module " + imports + ` (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024)) ` + text + ")"
	if err := os.WriteFile(dir+"/in.wat", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if message, err := exec.Command("wat2wasm", "-o", dir+"/out.wasm", dir+"/in.wat").CombinedOutput(); err != nil {
		t.Fatalf("wat2wasm (of wabt): %v\n%s", err, message)
	}
	code, err := os.ReadFile(dir + "/out.wasm")
	if err != nil {
		t.Fatal(err)
	}
	return module.New(code)
}

func plugin200(t testing.TB, imports, text string) preflight.Plugin {
	t.Helper()
	config, err := anypb.New(wrapperspb.String("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return preflight.Plugin{
		Name: "tested", Module: assemble(t, imports, text), Config: &wasmv3.PluginConfig{Configuration: config}, Hostile: fleet.Hostile{Off: true},
		Checks: []fleet.Check{{Line: 7, Method: "GET", Path: "/", Host: "waxwing.check", Upstream: 200, Status: 200, Headers: []fleet.Header{{Name: "x", Value: "a\xe9"}}}},
	}
}

const (
	loops = `(func (export "proxy_on_configure") (param i32 i32) (result i32) (loop (br 0)) (i32.const 1))`
	traps = `(func (export "proxy_on_response_trailers") (param i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_context_create") (param i32 i32) (if (i32.eqz (local.get 1)) (then (return))) (unreachable))`
)

// A child says what preflight says in this process, word by word.
func TestSameWords(t *testing.T) {
	p := pool(t, Argument, preflight.Limits{Start: 200 * time.Millisecond, Call: 50 * time.Millisecond, Memory: 16 << 20})
	here := preflight.New(p.limits, p.lookup)
	hostile := plugin200(t, "", `(func (export "proxy_on_request_trailers") (param i32 i32) (result i32) (unreachable))`)
	hostile.Hostile = fleet.Hostile{}
	compared := hostile
	compared.Served = func() (preflight.Plugin, error) {
		return plugin200(t, "", `(func) (func (export "proxy_on_request_trailers") (param i32 i32) (result i32) (unreachable))`), nil
	}
	env := plugin200(t, `(import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))`,
		`(func (export "proxy_on_configure") (param i32 i32) (result i32) (drop (call $sizes (i32.const 0) (i32.const 4))) (i32.eq (i32.load (i32.const 4)) (i32.const 16)))`)
	env.Config.Vm = &wasmv3.PluginConfig_VmConfig{VmConfig: &wasmv3.VmConfig{EnvironmentVariables: &wasmv3.EnvironmentVariables{HostEnvKeys: []string{"KNOWN", "PATH"}}}}
	for name, tried := range map[string]preflight.Plugin{
		"passes": plugin200(t, "", ""), "traps": plugin200(t, "", traps), "loops": plugin200(t, "", loops), "hostile": hostile, "compared": compared,
		"environment": env, "junk": {Name: "junk", Module: module.New([]byte("junk"))}, "empty": {Name: "empty", Module: module.New(nil)},
		"grows": plugin200(t, "", `(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (drop (memory.grow (i32.const 4096))) (i32.const 1))`),
	} {
		want, wantErr := here.Try(t.Context(), tried)
		for range 2 { // the second time in a child that has it
			got, err := p.Try(t.Context(), tried)
			if words(t, got, err) != words(t, want, wantErr) {
				t.Errorf("%s: in a child\n%s\nand here\n%s", name, words(t, got, err), words(t, want, wantErr))
			}
		}
	}
	_, err := p.Try(t.Context(), hostile)
	e := (*preflight.Error)(nil)
	if !errors.As(err, &e) || e.Replay() == nil {
		t.Fatalf("%v has nothing to be replayed", err)
	}
	if _, err := p.Replay(t.Context(), hostile, e.Replay()); err == nil || !strings.Contains(err.Error(), e.Reason) {
		t.Errorf("replayed: %v", err)
	}
}

// words are all of a report but its times.
func words(t *testing.T, r preflight.Report, err error) string {
	t.Helper()
	r.Outcomes = slices.Clone(r.Outcomes)
	for i := range r.Outcomes {
		r.Outcomes[i].Took = 0
	}
	text, jsonErr := json.Marshal(r)
	if jsonErr != nil {
		t.Fatal(jsonErr)
	}
	e := (*preflight.Error)(nil)
	if errors.As(err, &e) {
		more, _ := json.Marshal(e)
		text = append(text, more...)
	} else if err != nil {
		text = append(text, err.Error()...)
	}
	return string(text)
}

// What nothing in preflight counts ends a child, and is a refusal that says what was too much.
func TestWorst(t *testing.T) {
	for name, c := range map[string]struct {
		program string
		most    uint64
		seconds uint64
		want    string
	}{
		"memory": {Argument, 48 << 20, 0, "the process of its sandbox ends, out of memory: 48 MiB are allowed"},
		"CPU":    {"busy", 0, 1, "the process of its sandbox ends, out of CPU time: 1 s are allowed"},
	} {
		p := pool(t, c.program, preflight.Limits{Start: time.Minute})
		p.most, p.seconds = c.most, c.seconds
		tried := plugin200(t, "", loops)
		if name == "memory" {
			tried = heavy()
		}
		_, err := p.Try(t.Context(), tried)
		if e := (*preflight.Error)(nil); !errors.As(err, &e) || e.Reason != c.want || e.Filter != "tested" {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		p.seconds, p.most = 0, 0
		if name == "memory" { // the next one has a child of its own
			if _, err := p.Try(t.Context(), plugin200(t, "", "")); err != nil {
				t.Errorf("after it: %v", err)
			}
		}
	}
}

// heavy is a module of 500 bytes that takes 150 MiB to be ready, which preflight lets pass.
func heavy() preflight.Plugin {
	code := []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x33\x32" + strings.Repeat("\x00", 50) + "\x0a\xdf\x02\x32" +
		strings.Repeat("\x06\x01\xd0\x86\x03\x7f\x0b", 50))
	return preflight.Plugin{Name: "tested", Config: &wasmv3.PluginConfig{}, Module: module.New(code)}
}

// A child that somebody else kills says nothing of the filter.
func TestKilled(t *testing.T) {
	p := pool(t, Argument, preflight.Limits{Start: time.Minute})
	done := make(chan error, 1)
	tried := plugin200(t, "", loops)
	killed := make(chan int, 8)
	p.hired = func(pid int) { killed <- pid }
	go func() {
		_, err := p.Try(t.Context(), tried)
		done <- err
	}()
	for range 2 { // it is tried once more
		process, err := os.FindProcess(<-killed)
		if err == nil {
			err = process.Kill()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	err := <-done
	if problem := (*Problem)(nil); !errors.As(err, &problem) || !strings.Contains(err.Error(), "killed by somebody else") {
		t.Errorf("%v", err)
	}
}

// A child that does not start is a problem, and no refusal.
func TestDoesNotStart(t *testing.T) {
	p := pool(t, "dies", preflight.Limits{})
	_, err := p.Try(t.Context(), plugin200(t, "", ""))
	if problem := (*Problem)(nil); !errors.As(err, &problem) || !strings.Contains(err.Error(), "its process does not start: exit status 3") {
		t.Errorf("%v", err)
	}
	if _, err := pool(t, "/nowhere", preflight.Limits{}).Try(t.Context(), plugin200(t, "", "")); err == nil || !strings.Contains(err.Error(), "can't be started") {
		t.Errorf("%v", err)
	}
}

// A try that is given up while its child does not start asks the child whether it goes on only when that is known.
func TestGivenUpAtTheStart(t *testing.T) {
	var tried sync.WaitGroup
	for range 8 {
		p := pool(t, "dies", preflight.Limits{})
		tried.Go(func() {
			for range 20 {
				ctx, cancel := context.WithCancel(t.Context())
				c := p.take("", 0)
				cancel()
				if _, err := c.run(ctx, job{}, preflight.Plugin{}, nil); err == nil {
					t.Error("a child that dies at once has done its work")
				}
				p.settle(c)
			}
		})
	}
	tried.Wait()
}
