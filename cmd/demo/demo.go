package main

import (
	"bytes"
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
	"github.com/waxwing-xds/waxwing/internal/process"
)

// Where everything is. fleet.yaml names the echo service.
const (
	xdsAddress   = "127.0.0.1:17000"
	adminAddress = "127.0.0.1:17001"
	echoAddress  = "127.0.0.1:18080"
	firstPort    = 18000 // of the proxies' listeners
	firstAdmin   = 19000 // of the proxies' admin interfaces
	firstShadow  = 19500 // of their shadow listeners, where these need ports

	workDir  = ".waxwing/demo"
	certsDir = ".waxwing/certs" // stays: the next demo has the same
	toolsDir = ".tools"
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
	if err := makeCerts(ctx, proxies); err != nil {
		return err
	}
	server, err := startXDS()
	if err != nil {
		return err
	}
	defer server.Stop()
	fleet, err := startEnvoys(ctx, binary, proxies)
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

// makeCerts makes what is missing for mutual TLS between the proxies and xds.
func makeCerts(ctx context.Context, proxies int) error {
	args := []string{"certs", "--dir", certsDir}
	for i := range proxies {
		args = append(args, "--node", node(i))
	}
	if out, err := exec.CommandContext(ctx, "bin/xds", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("making certificates in %s: %w: %s", certsDir, err, bytes.TrimSpace(out))
	}
	return nil
}

func node(i int) string { return fmt.Sprintf("edge-%d", i) }

// startXDS runs the real server.
func startXDS() (*process.Process, error) {
	cmd := exec.Command("bin/xds", "serve", "--listen", xdsAddress, "--admin", adminAddress,
		"--tls-cert", certsDir+"/server/tls.crt", "--tls-key", certsDir+"/server/tls.key", "--client-ca", certsDir+"/server/ca.crt",
		"--fleet", "fleet.yaml", "--state", filepath.Join(workDir, "state"))
	return process.Start(cmd, filepath.Join(workDir, "xds.log"))
}

// envoys are the running proxies.
type envoys []*envoy.Proxy

func startEnvoys(ctx context.Context, binary string, n int) (envoys, error) {
	dir, err := filepath.Abs(workDir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", workDir, err)
	}
	var all envoys
	for i := range n {
		bootstrap := filepath.Join(dir, node(i)+".yaml")
		if err := writeBootstrap(ctx, bootstrap, i); err != nil {
			return all, err
		}
		p, err := envoy.Start(envoy.Options{Path: binary, Bootstrap: bootstrap, NodeID: node(i), Dir: dir})
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
	return all, nil
}

// writeBootstrap writes the bootstrap of a proxy that shares a host with others.
func writeBootstrap(ctx context.Context, path string, i int) error {
	tls, err := filepath.Abs(filepath.Join(certsDir, "proxies", node(i)))
	if err != nil {
		return fmt.Errorf("%s: %w", certsDir, err)
	}
	args := []string{
		"bootstrap", "--node-id", node(i), "--server", xdsAddress, "--tls", tls,
		"--listen", fmt.Sprintf("ingress=0.0.0.0:%d", firstPort+i), "--admin-address", fmt.Sprintf("127.0.0.1:%d", firstAdmin+i),
	}
	if runtime.GOOS != "linux" { // which alone has abstract Unix sockets
		args = append(args, "--shadow", fmt.Sprintf("127.0.0.1:%d", firstShadow+i))
	}
	var problem bytes.Buffer
	cmd := exec.CommandContext(ctx, "bin/xds", args...)
	cmd.Stderr = &problem
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("the bootstrap of %s: %w: %s", node(i), err, bytes.TrimSpace(problem.Bytes()))
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("the bootstrap of %s: %w", node(i), err)
	}
	return nil
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
