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
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// side is one filter and its listener.
type side struct {
	name    string
	wasm    string // path of the module, "" for none
	address string
	also    bool // by -also
}

// The sides, by name.
const (
	none        = "no filter"
	floor       = "floor"
	floorDenied = "floor, denying"
	floorAsking = "floor, reading headers"
	tutorial    = "tutorial, Rust"
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
		{tutorial, out("tutorial"), []string{"sh", "wasm/build-rust.sh", out("tutorial"), "bench/filter/tutorial"}},
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

// start runs an Envoy with a listener for each side and waits until they answer.
func (b *bench) start(ctx context.Context, concurrency int, sides ...*side) (*envoy.Proxy, error) {
	var err error
	for _, s := range sides {
		if s.address, err = rig.FreeAddress(); err != nil {
			return nil, err
		}
	}
	id := fmt.Sprintf("%s-%d", strings.Map(letters, sides[0].name), concurrency)
	file := filepath.Join(b.dir, id+".yaml")
	if err := os.WriteFile(file, configuration(sides), 0o600); err != nil {
		return nil, err
	}
	p, err := envoy.Start(envoy.Options{Path: b.envoy, Bootstrap: file, NodeID: id, Dir: b.dir, Concurrency: concurrency})
	if err != nil {
		return nil, err
	}
	for _, s := range sides {
		if err := answers(ctx, s.address, p); err != nil {
			p.Stop()
			return nil, err
		}
	}
	return p, nil
}

func letters(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return -1
}

// configuration is an Envoy that needs no other server: the cost of an upstream
// would only hide the filter's.
func configuration(sides []*side) []byte {
	text := []byte("admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\nstatic_resources:\n  listeners:")
	for i, s := range sides {
		text = append(text, s.listener(i)...)
	}
	return text
}

func (s *side) listener(i int) []byte {
	filter := ""
	if s.wasm != "" {
		filter = fmt.Sprintf(`
          - name: filter
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config: {name: filter-%d, vm_config: {vm_id: filter-%d, runtime: envoy.wasm.runtime.v8, code: {local: {filename: %q}}}}`, i, i, s.wasm)
	}
	_, port, _ := net.SplitHostPort(s.address)
	return fmt.Appendf(nil, `
  - name: ingress-%d
    address: {socket_address: {address: 127.0.0.1, port_value: %s}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          stat_prefix: ingress
          route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: ok}}}]}]}
          http_filters:%s
          - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`, i, port, filter)
}
