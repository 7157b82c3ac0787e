package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/proxytest"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

// start runs the filter in the SDK's host emulator.
func start(t *testing.T, configuration string) (proxytest.HostEmulator, types.OnPluginStartStatus) {
	t.Helper()
	vm := elided{}
	host, reset := proxytest.NewHostEmulator(proxytest.NewEmulatorOption().
		WithVMContext(&vm).WithPluginConfiguration([]byte(configuration)))
	t.Cleanup(reset)
	return host, host.StartPlugin()
}

type elided struct{ types.DefaultVMContext }

func (*elided) NewPluginContext(uint32) types.PluginContext { return &plugin{} }

func TestRequests(t *testing.T) {
	host, status := start(t, `{"header": "x-prime", "denied_status": 401}`)
	if status != types.OnPluginStartStatusOK {
		t.Fatal("the filter did not start")
	}
	for token, allow := range map[string]bool{"32323": true, "323232": false, "": false} {
		id := host.InitializeHttpContext()
		action := host.CallOnRequestHeaders(id, [][2]string{{"x-prime", token}, {":path", "/"}}, true)
		local := host.GetSentLocalResponse(id)
		if allow != (action == types.ActionContinue) || allow != (local == nil) {
			t.Errorf("token %q: action %v, answer %+v", token, action, local)
		}
		if local != nil && (local.StatusCode != 401 || string(local.Data) != "Access forbidden.\n") {
			t.Errorf("token %q: answered %d %q", token, local.StatusCode, local.Data)
		}
	}
}

func TestOptions(t *testing.T) {
	host, status := start(t, `{"allow_paths": ["/healthz"], "remove_header": true, "denied_body": "no", "response_header": "x-filter"}`)
	if status != types.OnPluginStartStatusOK {
		t.Fatal("the filter did not start")
	}
	for _, c := range []struct {
		path, token string
		allow       bool
	}{
		{"/healthz", "", true}, {"/healthz?a=/b", "4", true}, {"/healthz/", "", false}, {"/healthz/../x", "", false},
		{"/x?/healthz", "", false}, {"/", "7", true},
	} {
		id := host.InitializeHttpContext()
		action := host.CallOnRequestHeaders(id, [][2]string{{"token", c.token}, {":path", c.path}}, true)
		if c.allow != (action == types.ActionContinue) {
			t.Errorf("%+v: action %v", c, action)
		}
		if local := host.GetSentLocalResponse(id); local != nil && string(local.Data) != "no" {
			t.Errorf("%+v: answered %q", c, local.Data)
		}
		if c.allow {
			for _, h := range host.GetCurrentRequestHeaders(id) {
				if h[0] == "token" {
					t.Errorf("%+v: the token is still there", c)
				}
			}
		}
		host.CallOnResponseHeaders(id, [][2]string{{":status", "200"}}, true)
		if h := host.GetCurrentResponseHeaders(id); !slices.Contains(h, [2]string{"x-filter", "primeauth/dev"}) {
			t.Errorf("%+v: response headers %v", c, h)
		}
	}
	for name, want := range map[string]uint64{"primeauth.exempt": 2, "primeauth.denied.missing": 3, "primeauth.allowed": 1} {
		if got, err := host.GetCounterMetric(name); err != nil || got != want {
			t.Errorf("%s is %d (%v), want %d", name, got, err, want)
		}
	}
}

func TestRefusedConfigurationLogsTheReason(t *testing.T) {
	host, status := start(t, `{"haeder": "token"}`)
	if status == types.OnPluginStartStatusOK {
		t.Fatal("an unknown key was accepted")
	}
	logs := strings.Join(host.GetCriticalLogs(), "\n")
	if !strings.Contains(logs, "haeder: unknown key") {
		t.Errorf("the log does not say why: %q", logs)
	}
}
