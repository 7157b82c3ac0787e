// Package main is primeauth, a Proxy-Wasm filter that lets a request through
// only if its token header is a prime number. This file holds the host calls;
// what they decide is in decide.go.
package main

import (
	"errors"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func main() {}

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &plugin{} })
}

// version names the build, in the response header. Set by the linker.
var version = "dev"

// plugin is one configuration of the filter in one VM.
type plugin struct {
	types.DefaultPluginContext
	config  config
	metrics metrics
}

// OnPluginStart reads the configuration. An invalid one is refused, with the
// reason in the proxy's log, and the proxy keeps the filter that it has.
func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	data, err := proxywasm.GetPluginConfiguration()
	if err != nil && !errors.Is(err, types.ErrorStatusNotFound) {
		proxywasm.LogCriticalf("primeauth: plugin configuration: %v", err)
		return types.OnPluginStartStatusFailed
	}
	if p.config, err = parseConfig(data); err != nil {
		proxywasm.LogCriticalf("primeauth: %v", err)
		return types.OnPluginStartStatusFailed
	}
	p.metrics = defineMetrics()
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

// OnHttpRequestHeaders answers a request that has no business with the service.
func (r *request) OnHttpRequestHeaders(int, bool) types.Action {
	c := &r.plugin.config
	v := judged(r.verdict())
	r.plugin.metrics[v].Increment(1)
	if v.denied() {
		// -1: no gRPC status. Paused, because the request ends here.
		if err := proxywasm.SendHttpResponse(c.deniedStatus, nil, c.deniedBody, -1); err != nil {
			proxywasm.LogErrorf("primeauth: denying a request: %v", err)
		}
		return types.ActionPause
	}
	if c.removeHeader {
		if err := proxywasm.RemoveHttpRequestHeader(c.header); err != nil {
			proxywasm.LogErrorf("primeauth: removing the token header: %v", err)
		}
	}
	return types.ActionContinue
}

// verdict judges the request by its path, if paths matter, and its token. It
// asks for all headers: asked for one, Envoy answers with the first of that name
// and keeps quiet about a second.
func (r *request) verdict() verdict {
	headers, err := proxywasm.GetHttpRequestHeaders()
	if err != nil {
		proxywasm.LogErrorf("primeauth: reading the request's headers: %v", err)
	}
	return r.plugin.config.judge(headers)
}

// OnHttpResponseHeaders names the filter, where that is asked for.
func (r *request) OnHttpResponseHeaders(int, bool) types.Action {
	if name := r.plugin.config.responseHeader; name != "" {
		if err := proxywasm.ReplaceHttpResponseHeader(name, "primeauth/"+version); err != nil {
			proxywasm.LogErrorf("primeauth: naming the filter: %v", err)
		}
	}
	return types.ActionContinue
}
