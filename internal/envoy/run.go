package envoy

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/process"
)

// Options are how an Envoy is started.
type Options struct {
	Path        string // of the binary
	Bootstrap   string // file
	NodeID      string // "" leaves it to the bootstrap
	Overlay     string // YAML that is merged into the bootstrap, "" for none
	Dir         string // its working directory; its log is NODE.log in it
	Concurrency int    // worker threads, 0 for 2
	LogLevel    string // "" for warning
	// Drain is for how long a listener drains that is replaced or removed, in whole seconds;
	// 0 for Envoy's 600 s.
	Drain time.Duration
	// BaseID and Epoch are for hot restart: processes with one BaseID, each with the next
	// Epoch, hand their sockets over. 0 for none.
	BaseID, Epoch int
	Env           []string // more of its environment, as NAME=value
}

// A Proxy is a running Envoy.
type Proxy struct {
	*process.Process

	Node    string
	LogFile string
	admin   string // file that Envoy writes its admin address to
}

// Start runs an Envoy. It returns as soon as the process runs; Stop ends it.
func Start(o Options) (*Proxy, error) {
	name := o.NodeID
	if name == "" {
		name = "envoy"
	}
	p := &Proxy{Node: name, LogFile: filepath.Join(o.Dir, name+".log"), admin: filepath.Join(o.Dir, name+".admin")}
	if err := os.RemoveAll(p.admin); err != nil { // of an earlier run
		return nil, fmt.Errorf("starting Envoy %s: %w", name, err)
	}
	path, err := filepath.Abs(o.Path) // it runs in another folder
	if err != nil {
		return nil, fmt.Errorf("starting Envoy %s: %w", name, err)
	}
	cmd := exec.Command(path, //nolint:noctx // it outlives the call; Stop ends it
		arguments(o, p)...)
	if len(o.Env) > 0 {
		cmd.Env = append(os.Environ(), o.Env...)
	}
	cmd.Dir = o.Dir
	if p.Process, err = process.Start(cmd, p.LogFile); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

func arguments(o Options, p *Proxy) []string {
	concurrency, level := o.Concurrency, o.LogLevel
	if concurrency == 0 {
		concurrency = 2
	}
	if level == "" {
		level = "warning"
	}
	args := []string{
		"--config-path", o.Bootstrap, "--admin-address-path", p.admin,
		"--concurrency", strconv.Itoa(concurrency), "--log-level", level,
	}
	if o.BaseID == 0 {
		args = append(args, "--disable-hot-restart")
	} else {
		args = append(args, "--base-id", strconv.Itoa(o.BaseID), "--restart-epoch", strconv.Itoa(o.Epoch),
			"--drain-time-s", "1", "--parent-shutdown-time-s", "4", "--socket-path", "@envoy_waxwing_test")
	}
	if o.Drain > 0 {
		args = append(args, "--drain-time-s", strconv.Itoa(int(o.Drain.Seconds())))
	}
	if o.NodeID != "" {
		args = append(args, "--service-node", o.NodeID)
	}
	if o.Overlay != "" {
		args = append(args, "--config-yaml", o.Overlay)
	}
	return args
}

// Err says how it ended, with the last lines of its log, once Done is closed.
func (p *Proxy) Err() error { return fmt.Errorf("%s: %w", p.Node, p.Process.Err()) }

// Admin waits for the address of its admin interface.
func (p *Proxy) Admin(ctx context.Context) (string, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if text, err := os.ReadFile(p.admin); err == nil && len(text) > 0 {
			return strings.TrimSpace(string(text)), nil
		}
		select {
		case <-tick.C:
		case <-p.Done():
			return "", p.Err()
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for the admin address of Envoy %s: %w", p.Node, ctx.Err())
		}
	}
}
