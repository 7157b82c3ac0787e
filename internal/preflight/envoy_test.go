package preflight

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/template"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/envoy"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// anEnvoy is what the Envoys of these tests have in common: an address for their admin pages,
// and a cluster where nothing listens.
const anEnvoy = `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  clusters:
    - name: dead
      connect_timeout: 1s
      load_assignment:
        cluster_name: dead
        endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}}]}]
`

// staticEnvoy is an Envoy with listeners.
var staticEnvoy = template.Must(template.New("").Parse(anEnvoy + `
  listeners:
{{- range .}}{{.}}{{end}}
`))

// What passes here passes in a real Envoy, and what is refused for an answer is
// answered wrongly there: the texts of testdata trap where something is not as
// they expect it, so that the sandbox and Envoy must agree on all of it.
func TestEnvoyAgrees(t *testing.T) {
	path, err := envoy.Find(t.Context(), "../../.tools", func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("X", "abc") // for host_env_keys
	var listeners []listener
	tried, refused := map[string]Plugin{}, map[string]bool{}
	dir := t.TempDir()
	for _, archive := range []string{"passed.txtar", "refused.txtar"} {
		for _, file := range texts(t, archive) {
			text, name := string(file.Data), strings.TrimSuffix(file.Name, ".wat")
			if archive == "refused.txtar" && !answered(name, text) {
				continue
			}
			p := plugin(t, text)
			listeners = append(listeners, listenerOf(t, dir, name, p))
			tried[name], refused[name] = p, archive == "refused.txtar"
		}
	}
	ports := runEnvoy(t, path, dir, listeners)
	for name, p := range tried {
		wrong := ""
		for range 2 {
			for _, c := range p.Checks {
				if got := askEnvoy(t, ports[name], c.Headers[0].Value); got != c.Status {
					wrong = fmt.Sprintf("%d where %d is expected", got, c.Status)
				}
			}
		}
		if (wrong != "") != refused[name] {
			t.Errorf("%s: refused here: %t; in Envoy: %q", name, refused[name], wrong)
		}
	}
}

// What is refused here before it is asked anything, Envoy does not take either.
func TestEnvoyRefuses(t *testing.T) {
	path, err := envoy.Find(t.Context(), "../../.tools", func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	// Limits are the sandbox's own, and Envoy sees what happens to workers too late.
	ours := regexp.MustCompile("loop|memory|tick|second_vm|grpc")
	for _, file := range texts(t, "refused.txtar") {
		text, name := string(file.Data), strings.TrimSuffix(file.Name, ".wat")
		if strings.HasPrefix(directive(text, "want"), "check: ") || ours.MatchString(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			config := writeConfig(t, dir, []listener{listenerOf(t, dir, name, plugin(t, text))})
			out, err := exec.Command(path, "--mode", "validate", "--config-path", config).CombinedOutput()
			if err == nil || !bytes.Contains(out, []byte("Unable to create Wasm plugin")) && !bytes.Contains(out, []byte("duplicated")) {
				t.Errorf("refused here, but Envoy: %v\n%s", err, out)
			}
		})
	}
}

type listener struct{ Name, Config string }

// listenerOf writes a filter's module to a folder, and makes its listener.
func listenerOf(t *testing.T, dir, name string, p Plugin) listener {
	t.Helper()
	file := filepath.Join(dir, name+".wasm")
	if err := os.WriteFile(file, p.Module.Bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	config := proto.CloneOf(p.Config)
	config.Name = p.Name
	vm := config.GetVmConfig()
	vm.Runtime, vm.VmId = "envoy.wasm.runtime.v8", name
	vm.Code = &corev3.AsyncDataSource{Specifier: &corev3.AsyncDataSource_Local{Local: &corev3.DataSource{
		Specifier: &corev3.DataSource_Filename{Filename: file},
	}}}
	text, err := protojson.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return listener{name, string(text)}
}

func writeConfig(t *testing.T, dir string, listeners []listener) (file string) {
	t.Helper()
	var config bytes.Buffer
	var texts []string
	for _, l := range listeners {
		texts = append(texts, rig.Listener(l.Name, "127.0.0.1:0", `
                route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: "service"}}}]}]}`, `
                  - name: tested
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      config: `+l.Config))
	}
	if err := staticEnvoy.Execute(&config, texts); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "envoy.yaml")
	if err := os.WriteFile(file, config.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// answered reports whether Envoy gives an answer, if a wrong one: not where a
// filter takes a worker with it, or where what it does is only too much for here.
func answered(name, text string) bool {
	return strings.HasPrefix(directive(text, "want"), "check: ") && !regexp.MustCompile("loop|pause|does_not_help|memory|table|deep").MatchString(name)
}

// runEnvoy starts an Envoy and returns the addresses of its listeners.
func runEnvoy(t *testing.T, path, dir string, listeners []listener) map[string]string {
	t.Helper()
	return runFile(t, path, dir, writeConfig(t, dir, listeners))
}

func runFile(t *testing.T, path, dir, file string) map[string]string {
	t.Helper()
	proxy, err := envoy.Start(envoy.Options{Path: path, Bootstrap: file, NodeID: "tested", Dir: dir, Concurrency: 1, LogLevel: "info"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		proxy.Stop()
		if log, err := os.ReadFile(proxy.LogFile); t.Failed() {
			t.Logf("%v\n%s", err, probedLines.ReplaceAll(log, nil))
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ports, err := proxy.Listeners(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return ports
}

// probedLines are the probe's, thousands of them.
var probedLines = regexp.MustCompile(`(?m)^.*wasm log.*: [a-zA-Z] [0-9a-f]{4} .*\n`)

// askEnvoy returns the status of an answer, or 0 for a connection that is closed.
func askEnvoy(t *testing.T, address, token string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host, req.Close = "waxwing.check", true
	req.Header.Set("token", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
