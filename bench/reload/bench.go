package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/waxwing-xds/waxwing/internal/bootstrap"
	"github.com/waxwing-xds/waxwing/internal/envoy"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/rig"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// quiet is the server's quiet period, its default.
const quiet = 50 * time.Millisecond

// bench is both servers with their Envoys.
type bench struct {
	dir   string
	echo  *httptest.Server
	ours  side
	floor side
	stop  []func()

	floorIn  io.WriteCloser
	floorOut *bufio.Scanner
	admin    string // of our server

	measuring sync.Mutex // held while what it says can wait: to read it is work
}

// side is a server and its proxies.
type side struct {
	server  string   // address
	proxies []string // addresses of their listeners
}

func newBench(ctx context.Context, proxies int) (*bench, error) {
	b := &bench{}
	var err error
	if b.dir, err = os.MkdirTemp("", "waxwing-bench-*"); err != nil {
		return b, err
	}
	b.stop = append(b.stop, func() { _ = os.RemoveAll(b.dir) })
	b.echo = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	b.stop = append(b.stop, b.echo.Close)
	for _, s := range []*side{&b.ours, &b.floor} {
		if s.server, err = rig.FreeAddress(); err != nil {
			return b, err
		}
		for range proxies {
			address, err := rig.FreeAddress()
			if err != nil {
				return b, err
			}
			s.proxies = append(s.proxies, address)
		}
	}
	if b.admin, err = rig.FreeAddress(); err != nil {
		return b, err
	}
	if err := b.startFloor(ctx); err != nil {
		return b, err
	}
	if err := b.startOurs(ctx); err != nil {
		return b, err
	}
	return b, errors.Join(b.startEnvoys(ctx, "ours", b.ours), b.startEnvoys(ctx, "floor", b.floor))
}

func (b *bench) close() {
	for i := len(b.stop) - 1; i >= 0; i-- {
		b.stop[i]()
	}
}

// process starts a server that ends with the benchmark.
func (b *bench) process(cmd *exec.Cmd, log string) error {
	f, err := os.Create(filepath.Join(b.dir, log))
	if err != nil {
		return err
	}
	cmd.Stderr = f
	if err := cmd.Start(); err != nil {
		return err
	}
	b.stop = append(b.stop, func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	return nil
}

func (b *bench) startFloor(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"-floor", b.floor.server}
	for i, address := range b.floor.proxies {
		args = append(args, fmt.Sprintf("floor-%d=%s", i, address))
	}
	cmd := exec.CommandContext(ctx, self, args...)
	if b.floorIn, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	b.floorOut = bufio.NewScanner(out)
	err = b.process(cmd, "floor.log")
	b.stop = append(b.stop, func() { _ = b.floorIn.Close() }) // it ends with its commands
	return err
}

// tell gives the floor a command and waits until it is carried out.
func (b *bench) tell(command string) error {
	if _, err := fmt.Fprintln(b.floorIn, command); err != nil {
		return err
	}
	if !b.floorOut.Scan() || b.floorOut.Text() != "done <nil>" {
		return fmt.Errorf("the floor, told to %s: %s", command, b.floorOut.Text())
	}
	return nil
}

func (b *bench) startOurs(ctx context.Context) error {
	return b.process(exec.CommandContext(ctx, "bin/xds", "serve", "--config", os.DevNull, "--fleet", b.path("fleet.yaml"), "--state", b.path("state"),
		"--listen", b.ours.server, "--admin", b.admin, "--settle", quiet.String()), "xds.log")
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) startEnvoys(ctx context.Context, name string, s side) error {
	path, err := envoy.Find(ctx, ".tools", func(what string) { fmt.Fprintln(os.Stderr, what) })
	if err != nil {
		return err
	}
	for i, address := range s.proxies {
		id := fmt.Sprintf("%s-%d", name, i)
		var text strings.Builder
		err := bootstrap.Write(&text, bootstrap.Options{
			NodeID: id, Cluster: "edge", Server: s.server, Admin: "127.0.0.1:0",
			Listen: map[string]string{"ingress": address}, Command: "make bench",
		})
		if err != nil {
			return err
		}
		if err := os.WriteFile(b.path(id+".yaml"), []byte(text.String()), 0o600); err != nil {
			return err
		}
		p, err := envoy.Start(envoy.Options{Path: path, Bootstrap: b.path(id + ".yaml"), NodeID: id, Dir: b.dir})
		if err != nil {
			return err
		}
		b.stop = append(b.stop, p.Stop)
	}
	return nil
}

// revision builds what the floor is handed.
func (b *bench) revision(fleetYAML []byte, wasm []byte) ([]byte, error) {
	f, err := fleet.Parse(b.path("fleet.yaml"), fleetYAML)
	if err != nil {
		return nil, err
	}
	s, err := snapshot.Build(f, map[string]*module.Module{b.path("filter.wasm"): module.New(wasm)})
	if err != nil {
		return nil, err
	}
	return s.Encode()
}
