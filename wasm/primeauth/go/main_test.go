package main

import (
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
