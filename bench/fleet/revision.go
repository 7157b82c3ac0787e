package main

import (
	"encoding/binary"
	"fmt"
	"os"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	_ "github.com/waxwing-xds/waxwing/internal/extensions"
	"github.com/waxwing-xds/waxwing/internal/rig"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// kind is a kind of change.
type kind string

const (
	configuration kind = "configuration"  // a route in a listener
	inlineModule  kind = "2.88 MB inline" // a Wasm module
	smallModule   kind = "0.1 MB inline"  // another
	// evidenceModule is that with checks, which proxies report on.
	evidenceModule kind = "0.1 MB inline, with checks"
)

// size is what a module is filled up to, in bytes; 0 for no module. The large one
// is that of the first measurements, so that these can be compared with them.
func (k kind) size() int {
	return map[kind]int{inlineModule: 2_880_000, smallModule: 100_000, evidenceModule: 100_000}[k]
}

// The names of what the proxies have, by type.
var names = map[string]string{
	resource.ClusterType: "echo", resource.ListenerType: "ingress", resource.ExtensionConfigType: "auth",
}

// changes is the type of the resource that a change of this kind changes.
func (k kind) changes() string {
	if k.size() > 0 {
		return resource.ExtensionConfigType
	}
	return resource.ListenerType
}

// types is what a proxy ends up with.
func (k kind) types() []string {
	if k.size() > 0 {
		return []string{resource.ClusterType, resource.ListenerType, resource.ExtensionConfigType}
	}
	return []string{resource.ClusterType, resource.ListenerType}
}

// What the proxies of a fleet are given a revision by.
const (
	atOnce = "{name: all, percent: 100}"
	// halted is a rollout that stays in its first stage, and endless one of all.
	halted  = "{name: canary, percent: 10, bake: 1h}, {name: all, percent: 100}"
	endless = "{name: all, percent: 100, bake: 1h}"
)

// fleetFile is a fleet file of a kind, and wasm the nth module. mark is in a listener.
func (k kind) fleetFile(mark int, stages string) []byte {
	f := rig.Fleet{Filter: "auth", NoFilter: k.size() == 0, Rollout: "{stages: [" + stages + "]}", Service: "127.0.0.1:9", Tail: fmt.Sprintf(routes, mark)}
	if k == evidenceModule {
		f.Checks = "[{request: {headers: {token: '32323'}}, expect: {status: 200}}, {request: {headers: {token: 'no'}}, expect: {status: 403}}]"
	}
	return f.YAML()
}

// nth is the mark of the nth revision of a kind.
func (k kind) nth(n int) int {
	if k.size() > 0 {
		return 0 // its module changes, and nothing else
	}
	return n
}

// wasm is a module with a custom section that names the revision and fills it up.
func (k kind) wasm(module []byte, n int) []byte {
	fill := make([]byte, max(k.size()-len(module), 16))
	binary.BigEndian.PutUint64(fill, uint64(n))
	return rig.WithSection(module, "waxwing", fill)
}

// build makes the nth revision of a kind.
func build(k kind, n int, modulePath string) (*snapshot.Snapshot, error) {
	modules := map[string][]byte{}
	if k.size() > 0 {
		code, err := os.ReadFile(modulePath)
		if err != nil {
			return nil, err
		}
		modules["filter.wasm"] = k.wasm(code, n)
	}
	return rig.Snapshot("fleet.yaml", k.fleetFile(k.nth(n), atOnce), modules)
}

// routes are as many as a listener has that does something, with a place for a mark.
const routes = `
                route_config:
                  response_headers_to_add: [{header: {key: x-revision, value: "%d"}}]
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes:
                        - {match: {prefix: /a}, route: {cluster: echo, timeout: 3s, retry_policy: {retry_on: 5xx, num_retries: 2}}}
                        - {match: {prefix: /b}, route: {cluster: echo, prefix_rewrite: /a}}
                        - {match: {prefix: /}, route: {cluster: echo}}`
