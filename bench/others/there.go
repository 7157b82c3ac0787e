package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"

	"github.com/waxwing-xds/waxwing/internal/envoy"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/preflight"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

const (
	patience = 5 * time.Second  // for an answer: what is not there then is paused
	startup  = 10 * time.Minute // a large module is compiled first
)

// service answers every request alike, and keeps the last.
type service struct {
	mu   sync.Mutex
	last *preflight.Whole
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	got := &preflight.Whole{Body: body}
	add := func(name, value string) {
		got.Headers = append(got.Headers, fleet.Header{Name: strings.ToLower(name), Value: value})
	}
	add(":method", r.Method)
	add(":path", r.RequestURI)
	add(":authority", r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			add(name, v)
		}
	}
	s.mu.Lock()
	s.last = got
	s.mu.Unlock()
	for _, h := range said {
		w.Header().Set(h.Name, h.Value)
	}
	w.Header().Set("content-length", strconv.Itoa(len(answer)))
	if r.Header.Get("x-latin") != "" { // the path may be rewritten
		w.WriteHeader(http.StatusInternalServerError)
	}
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, answer)
	}
}

func (s *service) take() *preflight.Whole {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.last
	s.last = nil
	return got
}

// there is what Envoy makes of a filter.
type there struct {
	refused string // why it does not start
	passed  []preflight.Passed
}

// inEnvoy asks a filter in an Envoy of its own.
func inEnvoy(ctx context.Context, path string, module string, c *wasmv3.PluginConfig) (out there, err error) {
	var ends rig.Ends
	defer ends.End()
	seen := &service{}
	upstream, err := rig.StartService(seen)
	if err != nil {
		return out, err
	}
	ends.Add(upstream.Stop)
	dir, err := ends.Folder()
	if err != nil {
		return out, err
	}
	file, err := bootstrapOf(dir, module, upstream.Address, c)
	if err != nil {
		return out, err
	}
	proxy, err := envoy.Start(envoy.Options{Path: path, Bootstrap: file, NodeID: "waxwing-preflight", Dir: dir, Concurrency: 1, LogLevel: "info"})
	if err != nil {
		return out, fmt.Errorf("an Envoy: %w", err)
	}
	ends.Add(func() { proxy.Stop() })
	address, err := listening(ctx, proxy)
	log := func() string { text, _ := os.ReadFile(proxy.LogFile); return string(text) }
	if err != nil {
		if m := refusal.FindString(log()); m != "" {
			return there{refused: m}, nil
		}
		return out, fmt.Errorf("%w: %s", err, lastLines(log()))
	}
	for _, r := range requests() {
		seen.take()
		got := askEnvoy(ctx, address, r)
		got.Service = seen.take()
		if m := crash.FindString(log()); m != "" {
			got.Failed = &preflight.Error{Reason: m}
		}
		out.passed = append(out.passed, got)
		if crash.MatchString(log()) {
			break
		}
	}
	return out, nil
}

var (
	refusal = regexp.MustCompile(`Unable to create Wasm plugin[^\n]*|Failed to load Wasm[^\n]*|Wasm[^\n]*(missing|failed|Failed)[^\n]*`)
	crash   = regexp.MustCompile(`Function: \w+ failed[^\n]*`)
)

func lastLines(text string) string { return text[max(0, len(text)-600):] }

func bootstrapOf(dir, module, upstream string, c *wasmv3.PluginConfig) (string, error) {
	c = proto.CloneOf(c)
	if c.GetVmConfig() == nil {
		c.Vm = &wasmv3.PluginConfig_VmConfig{VmConfig: &wasmv3.VmConfig{}}
	}
	vm := c.GetVmConfig()
	vm.Runtime = "envoy.wasm.runtime.v8"
	vm.Code = &corev3.AsyncDataSource{Specifier: &corev3.AsyncDataSource_Local{Local: &corev3.DataSource{
		Specifier: &corev3.DataSource_Filename{Filename: module}}}}
	plugin, err := protojson.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("the filter's configuration: %w", err)
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, `
node: {id: waxwing-preflight, cluster: waxwing-preflight}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  clusters:
    - name: service
      connect_timeout: 1s
      # What a filter sends beyond a content-length must not reach the next request.
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          common_http_protocol_options: {max_requests_per_connection: 1}
          explicit_http_config: {http_protocol_options: {}}
      load_assignment:
        cluster_name: service
        endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %s}}}}]}]
%s
  listeners:`, upstream[strings.LastIndexByte(upstream, ':')+1:], dead())
	text.WriteString(rig.Listener("tested", "127.0.0.1:0", `
                route_config: {virtual_hosts: [{name: waxwing-preflight, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: service}}]}]}`, `
                  - name: tested
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      config: `+string(plugin)))
	file := filepath.Join(dir, "envoy.yaml")
	return file, os.WriteFile(file, text.Bytes(), 0o600)
}

// called are clusters that modules call. Nothing listens there: the sandbox has no network either.
var called = []string{"httpbin", "web_service", "wasm_upstream", "storage-upstream", "google", "grpcbin"}

func dead() string {
	var out strings.Builder
	for _, name := range called {
		fmt.Fprintf(&out, `
    - name: %[1]s
      connect_timeout: 1s
      load_assignment:
        cluster_name: %[1]s
        endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}}]}]`, name)
	}
	return out.String()
}

// listening waits for an Envoy's listener and returns its address.
func listening(ctx context.Context, proxy *envoy.Proxy) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startup)
	defer cancel()
	go func() { // an Envoy that does not take the filter is gone
		select {
		case <-proxy.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	var address string
	err := rig.Until(ctx, func() error {
		there, err := proxy.Listeners(ctx)
		for _, address = range there {
			return nil
		}
		return cmp.Or(err, errors.New("no listener yet"))
	})
	return address, err
}

// askEnvoy sends a request as it is.
func askEnvoy(ctx context.Context, address string, r fleet.Check) (out preflight.Passed) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return preflight.Passed{Failed: &preflight.Error{Reason: "Envoy is gone"}}
	}
	defer conn.Close() //nolint:errcheck // read, or given up
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nhost: %s\r\n", r.Method, r.Path, r.Host)
	for _, h := range r.Headers {
		fmt.Fprintf(&text, "%s: %s\r\n", h.Name, h.Value)
	}
	if len(r.Body) > 0 {
		fmt.Fprintf(&text, "content-length: %d\r\n", len(r.Body))
	}
	if _, err := io.WriteString(conn, text.String()+"\r\n"+string(r.Body)); err != nil {
		return preflight.Passed{Closed: true}
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: r.Method})
	if err != nil {
		return noAnswer(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return noAnswer(err)
	}
	out.Answer = preflight.Whole{Headers: []fleet.Header{{Name: ":status", Value: strconv.Itoa(resp.StatusCode)}}, Body: body}
	for name, values := range resp.Header {
		for _, v := range values {
			out.Answer.Headers = append(out.Answer.Headers, fleet.Header{Name: strings.ToLower(name), Value: v})
		}
	}
	return out
}

func noAnswer(err error) preflight.Passed {
	if slow, ok := err.(net.Error); ok && slow.Timeout() { //nolint:errorlint // of the connection itself
		return preflight.Passed{Failed: &preflight.Error{Reason: "no answer"}}
	}
	return preflight.Passed{Closed: true}
}
