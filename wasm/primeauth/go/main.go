// Package main is primeauth, a Proxy-Wasm filter that lets a request through
// only if its token header is a prime number. This file holds the host calls;
// what they decide is in decide.go.
package main

import (
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func main() {}

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &plugin{} })
}

// plugin is one configuration of the filter in one VM.
type plugin struct {
	types.DefaultPluginContext
	config config
}

// OnPluginStart reads the configuration. An invalid one is refused, with the
// reason in the proxy's log, and the proxy keeps the filter that it has.
func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	data, err := proxywasm.GetPluginConfiguration()
	if err != nil && err != types.ErrorStatusNotFound {
		proxywasm.LogCriticalf("primeauth: plugin configuration: %v", err)
		return types.OnPluginStartStatusFailed
	}
	if p.config, err = parseConfig(data); err != nil {
		proxywasm.LogCriticalf("primeauth: %v", err)
		return types.OnPluginStartStatusFailed
	}
	return types.OnPluginStartStatusOK
}

// NewHttpContext is called for each request.
func (p *plugin) NewHttpContext(uint32) types.HttpContext {
	return &request{plugin: p}
}

type request struct {
	types.DefaultHttpContext
	plugin *plugin
}

// OnHttpRequestHeaders answers a request whose token is not prime.
func (r *request) OnHttpRequestHeaders(int, bool) types.Action {
	token, err := proxywasm.GetHttpRequestHeader(r.plugin.config.header)
	if err != nil && err != types.ErrorStatusNotFound {
		proxywasm.LogErrorf("primeauth: reading the token header: %v", err)
	}
	if decide(token) == allowed {
		return types.ActionContinue
	}
	// -1: no gRPC status. Paused, because the request ends here.
	if err := proxywasm.SendHttpResponse(r.plugin.config.deniedStatus, nil, []byte(deniedBody), -1); err != nil {
		proxywasm.LogErrorf("primeauth: denying a request: %v", err)
	}
	return types.ActionPause
}
