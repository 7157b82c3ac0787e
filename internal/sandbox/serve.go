package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/lockdown"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/preflight"
)

// child is the process that modules run in.
type child struct {
	pipe    *pipe
	sandbox *preflight.Sandbox
	modules map[string]*module.Module // by digest
	env     map[string]string         // of the job, and of what is served
	jobs    chan job
	served  chan served   // answers to ask
	cancel  chan struct{} // has an element where the job under way is to be given up
	seconds atomic.Uint64 // of CPU time that it may have
}

// Serve is the child: it locks the process down, says that it is ready, and tries what it is told to, until its
// input ends. It returns the exit status.
func Serve(in io.Reader, out io.Writer) int {
	runtime.GOMAXPROCS(min(runtime.GOMAXPROCS(0), maxThreads))
	force, err := lockdown.Process()
	warm()
	if !lockdown.Raced { // whose shadow is four times as much: that takes longer than it saves
		makeRoom()
	}
	c := newChild(in, out)
	r := ready{Force: force}
	if err != nil {
		r.Missing = err.Error()
	}
	if err := c.pipe.write(answer{Ready: &r}, nil); err != nil {
		return 1
	}
	go c.listen()
	late := make(chan os.Signal, 1)
	signal.Notify(late, syscall.SIGXCPU)
	go func() {
		<-late
		_ = c.pipe.write(answer{Died: fmt.Sprintf("the process of its sandbox ends, out of CPU time: %d s are allowed", c.seconds.Load())}, nil)
		os.Exit(1)
	}()
	for j := range c.jobs {
		if err := c.pipe.write(answer{Result: c.do(j)}, nil); err != nil {
			return 1
		}
	}
	return 0
}

// maxThreads is how many threads of a child work at a time: one with the module, and those that compile it.
const maxThreads = 4

// listen takes orders. The process ends with them, whatever it is at.
func (c *child) listen() {
	for {
		var o order
		follows, err := c.pipe.read(&o, maxTold, maxModule)
		if err != nil {
			os.Exit(0)
		}
		switch {
		case o.Job != nil:
			c.keep(o.Job.Plugin, follows)
			select {
			case <-c.cancel: // of the job before
			default:
			}
			c.jobs <- *o.Job
		case o.Served != nil:
			c.keep(o.Served.Plugin, follows)
			c.served <- *o.Served
		case o.Cancel:
			select {
			case c.cancel <- struct{}{}:
			default:
			}
		}
	}
}

// keep keeps a module that was sent with a plugin. That it has this digest is the server's word.
func (c *child) keep(p plugin, bytes []byte) {
	if p.Follows {
		c.modules[p.Digest] = &module.Module{Digest: p.Digest, Bytes: bytes}
	}
}

// warm does a job with a small module, so that what all jobs need is there when the first one comes.
func warm() {
	m := module.New(smallest)
	tried := plugin{Name: "smallest", Digest: m.Digest, Follows: true, Checks: []fleet.Check{{Line: 1, Method: "GET", Path: "/", Host: "warm", Upstream: 200, Status: 200}}}
	var asks bytes.Buffer
	to := newPipe(nil, &asks)
	if err := to.write(order{Job: &job{Plugin: tried, Memory: ownMemory, CPU: 3600}}, nil); err != nil {
		return
	}
	c := newChild(&asks, io.Discard)
	c.keep(tried, smallest)
	var o order
	if _, err := c.pipe.read(&o, maxTold, maxModule); err != nil {
		return
	}
	_ = c.pipe.write(answer{Result: c.do(*o.Job)}, nil)
}

func newChild(in io.Reader, out io.Writer) *child {
	return &child{
		pipe: newPipe(in, out), modules: map[string]*module.Module{},
		jobs: make(chan job), served: make(chan served, 1), cancel: make(chan struct{}, 1),
	}
}

// smallest is a filter that does nothing: (module (memory (export "memory") 1) (func (export
// "proxy_abi_version_0_2_0")) (func (export "malloc") (param i32) (result i32) (i32.const 1024))).
var smallest = []byte("\x00asm\x01\x00\x00\x00\x01\x09\x02\x60\x00\x00\x60\x01\x7f\x01\x7f\x03\x03\x02\x00\x01\x05\x03\x01\x00\x01" +
	"\x07\x2d\x03\x06memory\x02\x00\x17proxy_abi_version_0_2_0\x00\x00\x06malloc\x00\x01\x0a\x0a\x02\x02\x00\x0b\x05\x00\x41\x80\x08\x0b")

// do does a job, within its limits.
func (c *child) do(j job) *result {
	if err := lockdown.Own(j.Memory, j.CPU); err != nil {
		return &result{Err: err.Error()}
	}
	c.seconds.Store(j.CPU)
	debug.SetMemoryLimit(int64(j.Memory - j.Memory/8))
	debug.SetGCPercent(collectAt)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	over := make(chan struct{})
	defer close(over)
	go c.watch(j.Memory, over)
	go func() {
		select {
		case <-c.cancel:
			cancel()
		case <-over:
		}
	}()
	return c.within(ctx, j)
}

// within does a job until a context ends.
func (c *child) within(ctx context.Context, j job) *result {
	p, err := j.Plugin.unpacked(c.modules[j.Plugin.Digest])
	if err != nil || p.Module == nil {
		return &result{Err: fmt.Sprintf("the module was not sent: %v", err)}
	}
	if c.sandbox == nil {
		c.sandbox = preflight.New(j.Limits, func(name string) (string, bool) {
			value, there := c.env[name]
			return value, there
		})
	}
	c.env = j.Plugin.Env
	if j.Plugin.Compares {
		p.Served = c.ask
	}
	r := &result{}
	if j.Replay != nil {
		var what *preflight.Replay
		if what, err = preflight.ReadReplay(j.Replay); err == nil {
			r.Answers, err = c.sandbox.Replay(ctx, p, what)
		}
	} else {
		r.Report, err = c.sandbox.Try(ctx, p)
	}
	if r.Cancel = ctx.Err() != nil; r.Cancel {
		return r
	}
	if !errors.As(err, &r.Refused) && err != nil {
		r.Err = err.Error()
	}
	return r
}

// ask has the server say what is served.
func (c *child) ask() (preflight.Plugin, error) {
	if err := c.pipe.write(answer{Serve: true}, nil); err != nil {
		return preflight.Plugin{}, err
	}
	s := <-c.served
	if s.Err != "" {
		return preflight.Plugin{}, errors.New(s.Err)
	}
	for key, value := range s.Plugin.Env {
		if _, there := c.env[key]; !there {
			c.env[key] = value
		}
	}
	return s.Plugin.unpacked(c.modules[s.Plugin.Digest])
}

// watchEvery is how often the memory is looked at. What grows faster comes to the system's limit.
const watchEvery = 10 * time.Millisecond

// watch ends the process when it has more memory than it may, in bytes, and says that before.
func (c *child) watch(most uint64, over <-chan struct{}) {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	for tick := time.NewTicker(watchEvery); ; {
		select {
		case <-over:
			tick.Stop()
			return
		case <-tick.C:
		}
		metrics.Read(samples)
		if samples[0].Value.Uint64()-samples[1].Value.Uint64() > most {
			_ = c.pipe.write(answer{Died: outOfMemory(most)}, nil)
			os.Exit(1)
		}
	}
}

func outOfMemory(most uint64) string {
	return fmt.Sprintf("the process of its sandbox ends, out of memory: %d MiB are allowed", most>>20)
}
