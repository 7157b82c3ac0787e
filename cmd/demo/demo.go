package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/waxwing-xds/waxwing/internal/envoy"
	"github.com/waxwing-xds/waxwing/internal/rig/process"
)

// Where everything is. fleet.yaml and envoy-bootstrap/local.yaml name the first three.
const (
	xdsAddress   = "127.0.0.1:17000"
	adminAddress = "127.0.0.1:17001"
	echoAddress  = "127.0.0.1:18080"
	firstPort    = 18000 // of the proxies' listeners
	firstAdmin   = 19000 // of the proxies' admin interfaces
	firstShadow  = 19500 // of their shadow listeners, where these need ports

	workDir   = ".waxwing/demo"
	toolsDir  = ".tools"
	bootstrap = "envoy-bootstrap/local.yaml"
)

func demo(ctx context.Context, proxies int) error {
	if err := portsFree(proxies); err != nil {
		return err
	}
	binary, err := prepare(ctx)
	if err != nil {
		return err
	}
	// What an earlier demo served is of no interest.
	if err := os.RemoveAll(workDir); err != nil {
		return fmt.Errorf("clearing %s: %w", workDir, err)
	}
	if err := os.MkdirAll(workDir, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", workDir, err)
	}
	stopEcho, err := startEcho()
	if err != nil {
		return err
	}
	defer stopEcho()
	server, err := startXDS()
	if err != nil {
		return err
	}
	defer server.Stop()
	fleet, err := startEnvoys(binary, proxies)
	defer fleet.stop()
	if err != nil {
		return err
	}
	return follow(ctx, server, fleet)
}

// portsFree reports a port that something else has.
func portsFree(proxies int) error {
	addresses := []string{xdsAddress, adminAddress, echoAddress}
	for i := range proxies {
		addresses = append(addresses, fmt.Sprintf("0.0.0.0:%d", firstPort+i), fmt.Sprintf("127.0.0.1:%d", firstAdmin+i))
	}
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%s is in use: end what listens there (another demo?) and try again", address)
		}
		if err != nil {
			return fmt.Errorf("trying %s: %w", address, err)
		}
		if err := l.Close(); err != nil {
			return fmt.Errorf("trying %s: %w", address, err)
		}
	}
	return nil
}

// startEcho runs the service behind the proxies.
func startEcho() (stop func(), err error) {
	l, err := net.Listen("tcp", echoAddress)
	if err != nil {
		return nil, fmt.Errorf("the echo service: %w", err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "Welcome to WASM land")
	})}
	go server.Serve(l)                        //nolint:errcheck // ends with Close
	return func() { _ = server.Close() }, nil // the process ends next
}

// startXDS runs the real server.
func startXDS() (*process.Process, error) {
	cmd := exec.Command("bin/xds", "serve", "--listen", xdsAddress, "--admin", adminAddress,
		"--fleet", "fleet.yaml", "--state", filepath.Join(workDir, "state"))
	return process.Start(cmd, filepath.Join(workDir, "xds.log"))
}

// envoys are the running proxies.
type envoys []*envoy.Proxy

func startEnvoys(binary string, n int) (envoys, error) {
	path, err := filepath.Abs(bootstrap)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bootstrap, err)
	}
	dir, err := filepath.Abs(workDir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", workDir, err)
	}
	var all envoys
	for i := range n {
		// One bootstrap for all; what differs on a shared host is laid over it.
		p, err := envoy.Start(envoy.Options{
			Path: binary, Bootstrap: path, NodeID: fmt.Sprintf("edge-%d", i), Dir: dir,
			Overlay: fmt.Sprintf(`{node: {metadata: {listen: {ingress: "0.0.0.0:%d"}%s}},
				admin: {address: {socket_address: {port_value: %d}}}}`, firstPort+i, shadow(i), firstAdmin+i),
		})
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
	return all, nil
}

// shadow is where a proxy has its shadow listeners, on a system without abstract
// Unix sockets: in place of what the bootstrap says under the same key.
func shadow(i int) string {
	if runtime.GOOS == "linux" {
		return ""
	}
	return fmt.Sprintf(`, waxwing: {evidence: [health, metrics], shadow: "127.0.0.1:%d"}`, firstShadow+i)
}

func (all envoys) stop() {
	for _, p := range all {
		p.Stop()
	}
}

// ended returns the first proxy that is not running any more, or nil.
func (all envoys) ended() *envoy.Proxy {
	for _, p := range all {
		select {
		case <-p.Done():
			return p
		default:
		}
	}
	return nil
}
