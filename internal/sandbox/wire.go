package sandbox

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/protobuf/proto"

	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/lockdown"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/preflight"
)

// Bounds of a message, in bytes. The server must not trust what a child says: a module may have written it.
const (
	maxSaid   = 32 << 20  // by a child
	maxTold   = 256 << 20 // to a child
	maxModule = 1 << 30   // that follows
)

// order is what a child is told: one of these.
type order struct {
	Job    *job    `json:"job,omitempty"`
	Served *served `json:"served,omitempty"` // the answer to its Serve
	Cancel bool    `json:"cancel,omitempty"` // the job under way is to be given up
}

// job is a try, or, with Replay, requests that are asked again.
type job struct {
	Limits preflight.Limits `json:"limits"`
	Plugin plugin           `json:"plugin"`
	Replay []byte           `json:"replay,omitempty"`
	Memory uint64           `json:"memory"`  // bytes that the process may have
	CPU    uint64           `json:"seconds"` // of CPU time, since its start
}

// served is what proxies run now, or why it can't be had.
type served struct {
	Plugin plugin `json:"plugin"`
	Err    string `json:"error,omitempty"`
}

// plugin is a preflight.Plugin without the bytes of its module, which follow where the child has none.
type plugin struct {
	Name     string            `json:"name"`
	Config   []byte            `json:"config"`
	Digest   string            `json:"digest"`
	Follows  bool              `json:"follows,omitempty"` // the bytes of the module come after this message; it may have none
	Checks   []fleet.Check     `json:"checks,omitempty"`
	Callouts []fleet.Callout   `json:"callouts,omitempty"`
	Hostile  fleet.Hostile     `json:"hostile"`
	Limits   fleet.Preflight   `json:"limits"`
	Secret   bool              `json:"secret,omitempty"`
	All      bool              `json:"all,omitempty"`
	Compares bool              `json:"compares,omitempty"` // with what is served
	Env      map[string]string `json:"env,omitempty"`
}

// answer is what a child says: one of these.
type answer struct {
	Ready  *ready  `json:"ready,omitempty"`
	Serve  bool    `json:"serve,omitempty"` // it wants to know what is served
	Result *result `json:"result,omitempty"`
	Died   string  `json:"died,omitempty"` // it ends itself, and why
}

// ready is the first word of a child.
type ready struct {
	Force   lockdown.Force `json:"force"`
	Missing string         `json:"missing,omitempty"` // what is not in force, and why
}

// result is what came of a job.
type result struct {
	Report  preflight.Report `json:"report"`
	Refused *preflight.Error `json:"refused,omitempty"`   // the filter is refused
	Err     string           `json:"error,omitempty"`     // nothing came of it, which is not the filter's fault
	Answers []string         `json:"answers,omitempty"`   // of a replay
	Cancel  bool             `json:"cancelled,omitempty"` // it was given up
}

// packed is a plugin for a child, with the variables of the environment that its configuration names.
func packed(p preflight.Plugin, lookup func(string) (string, bool)) (plugin, error) {
	config, err := proto.Marshal(p.Config)
	if err != nil {
		return plugin{}, fmt.Errorf("filter %q: %w", p.Name, err)
	}
	out := plugin{
		Name: p.Name, Config: config, Digest: p.Module.Digest, Checks: p.Checks, Callouts: p.Callouts, Hostile: p.Hostile,
		Limits: p.Limits, Secret: p.Secret, All: p.All, Compares: p.Served != nil, Env: map[string]string{},
	}
	for _, key := range p.Config.GetVmConfig().GetEnvironmentVariables().GetHostEnvKeys() {
		if value, there := lookup(key); there {
			out.Env[key] = value
		}
	}
	return out, nil
}

// unpacked is the plugin again, with its module.
func (p plugin) unpacked(m *module.Module) (preflight.Plugin, error) {
	config := &wasmv3.PluginConfig{}
	if err := proto.Unmarshal(p.Config, config); err != nil {
		return preflight.Plugin{}, fmt.Errorf("filter %q: %w", p.Name, err)
	}
	return preflight.Plugin{
		Name: p.Name, Config: config, Module: m, Checks: p.Checks, Callouts: p.Callouts, Hostile: p.Hostile,
		Limits: p.Limits, Secret: p.Secret, All: p.All,
	}, nil
}

var errTooLong = errors.New("the message is longer than any is")

// A pipe carries messages: the length of a text and of what follows it, the text in JSON, and bytes as they are.
type pipe struct {
	in  *bufio.Reader
	mu  sync.Mutex
	out io.Writer
}

func newPipe(in io.Reader, out io.Writer) *pipe {
	return &pipe{in: bufio.NewReaderSize(in, 64<<10), out: out}
}

// write writes a message, and what follows it. It can be called by several goroutines.
func (p *pipe) write(message any, follows []byte) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	head := binary.LittleEndian.AppendUint32(nil, uint32(len(text)))
	head = binary.LittleEndian.AppendUint32(head, uint32(len(follows)))
	if _, err := p.out.Write(append(head, text...)); err != nil || len(follows) == 0 {
		return err
	}
	_, err = p.out.Write(follows)
	return err
}

// read reads a message of at most so many bytes, and what follows it. One goroutine may do so.
func (p *pipe) read(message any, most, mostFollows uint32) (follows []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(p.in, head[:]); err != nil {
		return nil, err
	}
	size, more := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[4:])
	if size > most || more > mostFollows {
		return nil, errTooLong
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(p.in, text); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, message); err != nil {
		return nil, err
	}
	if more > 0 {
		follows = make([]byte, more)
		_, err = io.ReadFull(p.in, follows)
	}
	return follows, err
}
