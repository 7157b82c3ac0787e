// Package fleet reads the fleet file: which proxies it is for, the Wasm filters
// they serve, and Envoy's own v3 configuration around them. What it returns is
// valid as far as a control plane can tell without a proxy; what is wrong it
// reports as Errors, each with its file and line.
package fleet

import (
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
)

// A Fleet is what one fleet file says.
type Fleet struct {
	Name  string
	File  string // where it was read from, for messages
	Match Match
	// NameLine and MatchLine are the lines of its name and of its match, or where that
	// would be.
	NameLine, MatchLine int
	Filters             []Filter
	// Verify is what the file says of all its modules, nil for nothing.
	Verify *Verify
	// Code are the lines at which resources have Wasm code of their own, which is no module.
	Code    []int
	Rollout Rollout
	// Shadow is what the file says of the shadow listeners as a whole.
	Shadow Shadow

	Resources []Resource // all that the file has
	// Certificates are those that the file itself has.
	Certificates []Certificate
	// Files are those that checks name: bodies of requests and answers.
	Files     []string
	Listeners []*listenerv3.Listener // those of them that are listeners
}

// A Filter is one Wasm HTTP filter, delivered by ECDS under its name.
type Filter struct {
	Name string
	// Module is the path of the .wasm file, resolved against the fleet file's folder.
	Module string
	// ModuleLine is the line of the fleet file that names the module.
	ModuleLine int
	// Verify is what the module must be signed by, as far as the fleet file says; nil for nothing.
	Verify *Verify
	// Plugin is Envoy's PluginConfig as far as the file says: everything but the
	// code, the vm_id and the name, which the server fills in.
	// https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/wasm/v3/wasm.proto
	Plugin *wasmv3.PluginConfig
	// ConfigFrom is where the plugin's configuration is, if that is a secret: Configured reads it.
	ConfigFrom ConfigFrom
	// Listeners are the names of the listeners that the filter is put into,
	// before the router; empty where the listeners name it by config_discovery.
	Listeners []string
	// Checks are requests with known answers.
	Checks []Check
	// Callouts are what its calls get in the sandbox where a check says nothing of them.
	Callouts []Callout
	// Hostile says how the requests count that preflight asks besides.
	Hostile Hostile
	// Preflight is what it may take in the sandbox.
	Preflight Preflight
	// Shadow says that a candidate of the filter is proven in a shadow listener,
	// beside the real one, before it is flipped.
	Shadow bool
}
