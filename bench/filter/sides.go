package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/envoy"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// side is one filter and its Envoy.
type side struct {
	name    string
	wasm    string // path of the module, "" for none
	address string
	pid     int
	also    bool // by -also
}

// The sides, by name.
const (
	none        = "no filter"
	floor       = "floor"
	floorDenied = "floor, denying"
	floorAsking = "floor, with our host calls"
	seed        = "the first one, Rust"
	goFilter    = "primeauth, Go"
	rustFilter  = "primeauth, Rust"
)

// buildSides builds every module.
func buildSides(ctx context.Context, dir string) ([]*side, error) {
	out := func(name string) string { return filepath.Join(dir, name+".wasm") }
	sides := []*side{{name: none}}
	for _, m := range []struct {
		name, wasm string
		command    []string
	}{
		{floor, out("floor"), []string{"wat2wasm", "bench/filter/floor.wat", "-o", out("floor")}},
		{floorDenied, out("floor_denied"), []string{"wat2wasm", "bench/filter/floor_denied.wat", "-o", out("floor_denied")}},
		{floorAsking, out("floor_asking"), []string{"wat2wasm", "bench/filter/floor_asking.wat", "-o", out("floor_asking")}},
		{seed, out("seed"), []string{"sh", "wasm/primeauth/build-rust.sh", out("seed"), "bench/filter/seed"}},
		{goFilter, out("go"), []string{"make", "filter", "FILTER=go", "WASM=" + out("go")}},
		{rustFilter, out("rust"), []string{"make", "filter", "FILTER=rust", "WASM=" + out("rust")}},
	} {
		fmt.Fprintln(os.Stderr, "building:", m.name)
		if text, err := exec.CommandContext(ctx, m.command[0], m.command[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building %s: %w\n%s", m.name, err, text)
		}
		sides = append(sides, &side{name: m.name, wasm: m.wasm})
	}
	return sides, nil
}

// start runs an Envoy with a side's filter and waits until it answers.
func (b *bench) start(s *side, concurrency int) (*envoy.Proxy, error) {
	var err error
	if s.address, err = xdstest.FreeAddress(); err != nil {
		return nil, err
	}
	id := fmt.Sprintf("%s-%d", strings.Map(letters, s.name), concurrency)
	file := filepath.Join(b.dir, id+".yaml")
	if err := os.WriteFile(file, s.bootstrap(), 0o600); err != nil {
		return nil, err
	}
	p, err := envoy.Start(envoy.Options{Path: b.envoy, Bootstrap: file, NodeID: id, Dir: b.dir, Concurrency: concurrency})
	if err != nil {
		return nil, err
	}
	if err := answers(s.address, p); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

func letters(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return -1
}

// bootstrap is an Envoy that needs no other server: the cost of an upstream
// would only hide the filter's.
func (s *side) bootstrap() []byte {
	filter := ""
	if s.wasm != "" {
		filter = fmt.Sprintf(`
          - name: filter
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config: {name: filter, vm_config: {vm_id: filter, runtime: envoy.wasm.runtime.v8, code: {local: {filename: %q}}}}`, s.wasm)
	}
	_, port, _ := net.SplitHostPort(s.address)
	return fmt.Appendf(nil, `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
  - name: ingress
    address: {socket_address: {address: 127.0.0.1, port_value: %s}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: ok}}}]}]}
          http_filters:%s
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
`, port, filter)
}
