package envoy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
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
	// BaseID and Epoch are for hot restart: processes with one BaseID, each with the next
	// Epoch, hand their sockets over. 0 for none.
	BaseID, Epoch int
}

// A Proxy is a running Envoy.
type Proxy struct {
	Node    string
	LogFile string

	cmd   *exec.Cmd
	admin string        // file that Envoy writes its admin address to
	done  chan struct{} // closed when it has ended
	err   error         // how it ended, once done is closed
}

// Start runs an Envoy. It returns as soon as the process runs; Stop ends it.
func Start(o Options) (*Proxy, error) {
	name := o.NodeID
	if name == "" {
		name = "envoy"
	}
	p := &Proxy{Node: name, LogFile: filepath.Join(o.Dir, name+".log"), admin: filepath.Join(o.Dir, name+".admin"), done: make(chan struct{})}
	if err := os.RemoveAll(p.admin); err != nil { // of an earlier run
		return nil, fmt.Errorf("starting Envoy %s: %w", name, err)
	}
	log, err := os.OpenFile(p.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("starting Envoy %s: %w", name, err)
	}
	defer log.Close()                 //nolint:errcheck // the process has its own descriptor
	path, err := filepath.Abs(o.Path) // it runs in another folder
	if err != nil {
		return nil, fmt.Errorf("starting Envoy %s: %w", name, err)
	}
	p.cmd = exec.Command(path, //nolint:noctx // it outlives the call; Stop ends it
		arguments(o, p)...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = o.Dir, log, log
	// Not in the terminal's process group: who started it ends it, in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting Envoy %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
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
	if o.NodeID != "" {
		args = append(args, "--service-node", o.NodeID)
	}
	if o.Overlay != "" {
		args = append(args, "--config-yaml", o.Overlay)
	}
	return args
}

// Done is closed when the Envoy has ended.
func (p *Proxy) Done() <-chan struct{} { return p.done }

// Err is how it ended, once Done is closed: the last lines of its log.
func (p *Proxy) Err() error {
	log, err := os.ReadFile(p.LogFile)
	if err != nil {
		return fmt.Errorf("the Envoy %s ended (%w), and its log can't be read: %w", p.Node, p.err, err)
	}
	how := "by itself"
	if p.err != nil {
		how = p.err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return fmt.Errorf("the Envoy %s ended (%s): %s", p.Node, how, strings.Join(lines[max(0, len(lines)-3):], " | "))
}

// PID is its process id.
func (p *Proxy) PID() int { return p.cmd.Process.Pid }

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
		case <-p.done:
			return "", p.Err()
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for the admin address of Envoy %s: %w", p.Node, ctx.Err())
		}
	}
}

// Stop ends it and waits until it has.
func (p *Proxy) Stop() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		p.Kill()
	}
}

// Kill ends it at once.
func (p *Proxy) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

func (p *Proxy) signal(s os.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		panic(fmt.Sprintf("signalling process %d, a child of ours: %v", p.PID(), err))
	}
}
