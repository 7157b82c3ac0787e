package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/spf13/pflag"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control/controltest"
	"github.com/waxwing-xds/waxwing/internal/rig"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// gossip logs its configuration, and refuses one that begins with x.
//
//nolint:dupword // WebAssembly
const gossip = `(module
(import "env" "proxy_get_buffer_bytes" (func $get (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
(memory (export "memory") 2)
(func (export "proxy_abi_version_0_2_1"))
(func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))
(func (export "proxy_on_context_create") (param i32 i32))
(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
(func (export "proxy_on_configure") (param i32 i32) (result i32)
  (drop (call $get (i32.const 7) (i32.const 0) (local.get 1) (i32.const 8) (i32.const 12)))
  (drop (call $log (i32.const 4) (i32.load (i32.const 8)) (i32.load (i32.const 12))))
  (i32.ne (i32.load8_u (i32.load (i32.const 8))) (i32.const 120))))`

// canaries are in every place that is a secret's; none is to be seen anywhere.
const (
	canaryFile, canaryEnv, canaryHeader = "canary-in-a-file", "canary-in-the-environment", "canary-in-a-header"
	canaryGeneric, canaryBody           = "canary-in-a-secret", "canary-in-a-body"
)

const canaryYAML = `fleet: edge
match: {cluster: edge}
filters:
  - name: gossip
    module: {file: gossip.wasm}
    config_from: {file: key}
    listeners: [ingress]
    shadow: false
    checks: [{request: {path: /CHECK, headers: {token: ` + canaryHeader + `}, body: ` + canaryBody + `}, expect: {status: 200}}]
  - {name: other, module: {file: gossip.wasm}, config_from: {env: CANARY}, listeners: [ingress], shadow: false}
resources:
  listeners:LISTENER
  secrets:
    - {name: generic, generic_secret: {secret: {inline_string: ` + canaryGeneric + `}}}
    - name: pair
      tls_certificate: {certificate_chain: {inline_string: CHAIN}, private_key: {inline_string: KEY}}
rollout: {stages: [{name: all, percent: 100, bake: 0s}]}
`

// aviary is a server with canaries, and a proxy that says what it is told to.
type aviary struct {
	t      *testing.T
	dir    string
	s      settings
	seen   *controltest.Log // all that the server and the commands have said
	client *api.Client
	pair   rig.Certificate

	mu      sync.Mutex
	refuses string        // what the proxy says; "" for it takes all
	thinks  chan struct{} // it says so once this is closed
}

func (a *aviary) save(name, text string) {
	a.t.Helper()
	if err := rig.Save(filepath.Join(a.dir, name), []byte(text)); err != nil {
		a.t.Fatal(err)
	}
}

// fleet is the fleet file, with one thing in it replaced.
func (a *aviary) fleet(from, to string) string {
	quoted := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	text := strings.NewReplacer("LISTENER", rig.Listener("ingress", "127.0.0.1:1", rig.Answers, ""), "CHAIN", quoted(a.pair.Chain), "KEY", quoted(a.pair.Key)).Replace(canaryYAML)
	return strings.Replace(text, from, to, 1)
}

// until waits until the fleet's status is as wanted, and then asks everything.
func (a *aviary) until(what string, so func(api.Fleet) bool) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), 30*time.Second)
	defer cancel()
	err := rig.Until(ctx, func() error {
		status, err := a.client.Status(ctx)
		if err == nil && (len(status.Fleets) != 1 || !so(status.Fleets[0])) {
			err = fmt.Errorf("it is %+v", status)
		}
		return err
	})
	if err != nil {
		a.t.Fatalf("%s: %v\n%s", what, err, a.seen)
	}
	a.ask()
}

// ask asks all that can be asked.
func (a *aviary) ask() {
	a.t.Helper()
	ctx := a.t.Context()
	answers := map[string]func() (any, error){
		api.PathStatus: func() (any, error) { return a.client.Status(ctx) }, api.PathHistory: func() (any, error) { return a.client.History(ctx, "") },
		api.PathDiff: func() (any, error) { return a.client.Diff(ctx, "") }, api.PathMetrics: func() (any, error) { return a.client.Metrics(ctx) },
		api.PathProxies: func() (any, error) { return a.client.ProxyPage(ctx, api.ProxyQuery{}) },
		api.PathMoves:   func() (any, error) { return a.client.Moves(ctx, []api.Claim{{Fleet: "edge", File: a.s.Fleet}}) },
	}
	for path, ask := range answers {
		answer, err := ask()
		if err != nil {
			a.t.Errorf("%s: %v", path, err)
		}
		if err := json.NewEncoder(a.seen).Encode(answer); err != nil {
			a.t.Error(err)
		}
	}
	getenv := func(name string) string { return map[string]string{"XDS_ADMIN": a.s.Admin}[name] }
	junit := filepath.Join(a.dir, "junit.xml")
	for _, line := range []string{
		"status", "status -o json", "rollout status", "rollout status -o json", "rollout history", "rollout history -o json", "diff", "diff -o json",
		"fleet list", "check -v --junit " + junit + " " + a.s.Fleet, "check -o json " + a.s.Fleet, "check --run . " + a.s.Fleet,
	} {
		run(strings.Fields(line), getenv, a.seen, a.seen)
	}
	text, err := os.ReadFile(junit)
	if err != nil {
		a.t.Error(err)
	}
	a.seen.Write(text)
}

// newAviary runs the server, with events that are followed and a proxy.
func newAviary(t *testing.T) *aviary {
	t.Setenv("CANARY", canaryEnv)
	a := &aviary{t: t, dir: t.TempDir(), seen: &controltest.Log{}}
	code, err := rig.Assemble(gossip)
	if err != nil {
		t.Fatal(err)
	}
	if a.pair, err = rig.NewCertificate(1); err != nil {
		t.Fatal(err)
	}
	a.s.flags(pflag.NewFlagSet("", pflag.ContinueOnError))
	a.s.State, a.s.Fleet = filepath.Join(a.dir, "state"), filepath.Join(a.dir, "fleet.yaml")
	for _, address := range []*string{&a.s.Listen, &a.s.Admin} {
		if *address, err = rig.FreeAddress(); err != nil {
			t.Fatal(err)
		}
	}
	a.save("gossip.wasm", string(code))
	a.save("key", `{"key": "`+canaryFile+`"}`)
	a.save("fleet.yaml", a.fleet("", ""))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- serve(ctx, slog.New(slog.NewTextHandler(a.seen, &slog.HandlerOptions{Level: slog.LevelDebug})), a.s)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	a.client = api.New(a.s.Admin)
	a.connect(ctx)
	return a
}

func (a *aviary) connect(ctx context.Context) {
	conn, err := xdstest.Dial(a.s.Listen)
	if err != nil {
		a.t.Fatal(err)
	}
	p := xdstest.New(xdstest.Config{
		Node: xdstest.Node("edge-1", "edge", nil), Names: map[string][]string{resource.ExtensionConfigType: {"gossip", "other"}, resource.SecretType: {"generic", "pair"}},
		Judge: func(r xdstest.Response) error {
			a.mu.Lock()
			refuses, thinks := a.refuses, a.thinks
			a.mu.Unlock()
			if refuses == "" || r.TypeURL != resource.ExtensionConfigType {
				return nil
			}
			select {
			case <-thinks:
			case <-a.t.Context().Done():
			}
			return errors.New(refuses)
		},
	})
	if err := p.Connect(ctx, conn); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { p.Close(); conn.Close() })
	go func() {
		for e := range a.client.Follow(ctx, nil) {
			_ = json.NewEncoder(a.seen).Encode(e)
			fmt.Fprintln(a.seen, sentence(e))
		}
	}()
}

// No answer, event, line of a log or command's output has a secret, whatever goes wrong with
// it; and what is kept on disk is its owner's alone.
func TestSecretsAreNotSeen(t *testing.T) {
	a := newAviary(t)
	a.until("it is served", func(f api.Fleet) bool { return f.Serving.Number == 1 && f.Disk.State == api.DiskServed })
	// A proxy that quotes what it refuses.
	a.mu.Lock()
	a.thinks = make(chan struct{})
	a.refuses = `can't load: {"key": "` + canaryFile + `-2"}, ` + canaryEnv
	a.mu.Unlock()
	a.save("key", `{"key": "`+canaryFile+`-2"}`)
	a.until("it is on its way", func(f api.Fleet) bool { return f.Candidate.Number == 2 })
	close(a.thinks)
	a.until("it is refused by the proxy", func(f api.Fleet) bool { return f.Disk.State == api.DiskRejected })
	// A filter that does.
	a.save("key", "x "+canaryFile+"-3")
	a.until("it is refused by the sandbox", func(f api.Fleet) bool {
		return f.Disk.State == api.DiskRefused && strings.Contains(f.Problem, "refuses its configuration")
	})
	// Mistakes in the file, and none in place of it.
	for from, to := range map[string]string{
		"generic_secret: {secret: {inline_string: " + canaryGeneric + "}}": "generic_secret: {secret: " + canaryGeneric + "}",
		"{inline_string: " + canaryGeneric + "}":                           "{inline_bytes: " + canaryGeneric + "!}",
		"expect: {status: 200}":                                            "expect: {status: 403}",
	} {
		a.save("key", "{}")
		a.save("fleet.yaml", a.fleet(from, to))
		a.until(to, func(f api.Fleet) bool {
			return f.Disk.State == api.DiskRefused && !strings.Contains(f.Problem, "refuses its configuration")
		})
	}
	all := a.seen.String()
	for _, part := range []string{"canary-in", base64.StdEncoding.EncodeToString([]byte("canary-in")), strings.Split(a.pair.Key, "\n")[1]} {
		if i := strings.Index(all, part); i >= 0 {
			t.Errorf("seen is …%s…", all[max(0, i-200):min(len(all), i+200)])
		}
	}
	for _, want := range []string{"rejected", "not shown: its configuration is a secret", "(secret, another one)", "can't load"} {
		if !strings.Contains(all, want) {
			t.Errorf("there was no %q to be seen", want)
		}
	}
	a.disk()
}

// disk looks at the modes of what has a secret.
func (a *aviary) disk() {
	found := 0
	err := filepath.WalkDir(a.s.State, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte("canary")) {
			return err
		}
		found++
		info, err := e.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			a.t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		return err
	})
	if err != nil || found == 0 {
		a.t.Errorf("%d files of the state have secrets: %v", found, err)
	}
}
