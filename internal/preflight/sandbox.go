package preflight

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
)

// Limits are what a filter may take in the sandbox. wazero's interpreter is many
// times slower than a proxy's V8; the limits are for the interpreter.
type Limits struct {
	// Start is how long a VM may take to start and to be configured; 2 s if it is 0.
	Start time.Duration
	// Call is how long one call may take, and a tenth of what a check may take; 100
	// ms if it is 0.
	Call time.Duration
	// Memory is how many bytes a VM may have; 256 MiB if it is 0.
	Memory int64
}

// DefaultLimits are those of the zero Limits.
var DefaultLimits = Limits{Start: 2 * time.Second, Call: 100 * time.Millisecond, Memory: 256 << 20}

// A Plugin is a filter to be tried.
type Plugin struct {
	Name   string
	Config *wasmv3.PluginConfig // code, vm_id and name in it don't matter
	Module *module.Module
	Checks []fleet.Check
	// Routed are the checks that are not asked here, as their routes switch the filter off.
	Routed []fleet.Check
	// Callouts are what its calls get where a check says nothing of them.
	Callouts []fleet.Callout
	// Hostile says how what is asked without being told counts.
	Hostile fleet.Hostile
	// Served reads the filter of this name that proxies run now, nil where there is none: what
	// fails there in the same way is no refusal. It is called when something fails.
	Served func() (Plugin, error)
}

// A Report is what a try found besides a refusal.
type Report struct {
	Hostile  int      // how many hostile requests were asked
	Left     int      // how many were not, as the filter is too slow here
	Warnings []*Error // failures that are no refusal
}

// A Sandbox tries filters. It can be used by several goroutines.
type Sandbox struct {
	limits   Limits
	lookup   func(string) (string, bool)
	programs programs
}

// New makes a sandbox. lookup finds the variables that a plugin's
// environment_variables.host_env_keys names: os.LookupEnv, or nil for none.
func New(limits Limits, lookup func(string) (string, bool)) *Sandbox {
	if limits.Start <= 0 {
		limits.Start = DefaultLimits.Start
	}
	if limits.Call <= 0 {
		limits.Call = DefaultLimits.Call
	}
	if limits.Memory <= 0 {
		limits.Memory = DefaultLimits.Memory
	}
	if lookup == nil {
		lookup = func(string) (string, bool) { return "", false }
	}
	return &Sandbox{limits: limits, lookup: lookup}
}

// Try starts a filter as a proxy would and asks it its checks. It returns an
// *Error that says why a proxy should not have it, or the context's error, at
// once, when that ends.
func (s *Sandbox) Try(ctx context.Context, p Plugin) (Report, error) {
	report, err := s.try(ctx, p)
	if e := (*Error)(nil); errors.As(err, &e) && e.slow {
		// Once more: that the machine was busy is not the filter's fault.
		report, err = s.try(ctx, p)
	}
	for _, w := range report.Warnings {
		w.Filter = p.Name
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		e.Filter = p.Name
		return report, e
	}
	if err != nil {
		return report, fmt.Errorf("preflight of filter %q: %w", p.Name, err)
	}
	return report, nil
}

func (s *Sandbox) try(ctx context.Context, p Plugin) (Report, error) {
	p.Checks = slices.DeleteFunc(slices.Clone(p.Checks), func(c fleet.Check) bool { return !c.In(fleet.InSandbox) })
	program, err := s.programs.get(ctx, p.Module)
	if ctx.Err() != nil {
		return Report{}, ctx.Err()
	}
	if err != nil {
		return Report{}, &Error{Stage: StageModule, Reason: err.Error()}
	}
	settings, err := read(p, s.lookup)
	if err != nil {
		return Report{}, &Error{Stage: StageConfigure, Reason: err.Error()}
	}
	// A VM of their own for the checks in either order: what one request leaves
	// behind must not change the answer to another. Two also when there is nothing
	// to ask: on a proxy the filter must start in more than one.
	backwards := slices.Clone(p.Checks)
	slices.Reverse(backwards)
	orders := [][]fleet.Check{p.Checks, backwards}
	if len(p.Checks) == 1 {
		orders[0] = slices.Concat(p.Checks, p.Checks)
	}
	shared, log := newStore(), newLogbook(secrets(p.Checks))
	first, err := s.ask(ctx, program, settings, shared, log, orders[0])
	if err != nil {
		return Report{}, err
	}
	first.close(ctx)
	second, err := s.ask(ctx, program, settings, shared, log, orders[1])
	if err != nil {
		return Report{}, err
	}
	defer second.close(ctx)
	return s.endure(ctx, second, program, settings, p, log)
}

// alone starts a filter in a VM of its own, that shares nothing with another.
func (s *Sandbox) alone(ctx context.Context, p Plugin) (*vm, error) {
	program, err := s.programs.get(ctx, p.Module)
	if err != nil {
		return nil, &Error{Filter: p.Name, Stage: StageModule, Reason: err.Error()}
	}
	plugin, err := read(p, s.lookup)
	if err != nil {
		return nil, &Error{Filter: p.Name, Stage: StageConfigure, Reason: err.Error()}
	}
	return start(ctx, program, plugin, s.limits, newLogbook(secrets(p.Checks)), newStore())
}

// ask starts a VM and asks it checks. It is returned as it is then.
func (s *Sandbox) ask(ctx context.Context, p *program, plugin settings, shared *store, log *logbook, checks []fleet.Check) (*vm, error) {
	v, err := start(ctx, p, plugin, s.limits, log, shared)
	if err != nil {
		return nil, err
	}
	for _, c := range checks {
		if err := v.ask(ctx, c); err != nil {
			v.close(ctx)
			return nil, err
		}
	}
	return v, nil
}

// secrets are the values that must not be in a log.
func secrets(checks []fleet.Check) []string {
	var out []string
	for _, c := range checks {
		for _, h := range slices.Concat(c.Headers, c.Trailers) {
			out = append(out, h.Value)
		}
		out = append(out, string(c.Body))
	}
	return out
}

// Key names everything that the outcome of a try depends on, but for the limits, and, where
// there are warnings, for what is served: what was tried once need not be tried again.
func (p Plugin) Key() (string, error) {
	config, err := proto.MarshalOptions{Deterministic: true}.Marshal(p.Config)
	if err != nil {
		return "", fmt.Errorf("filter %q: %w", p.Name, err)
	}
	checks := slices.Clone(p.Checks)
	for i := range checks {
		checks[i].Line = 0 // where it stands does not matter
	}
	text, err := json.Marshal([]any{p.Name, config, p.Module.Digest, checks, p.Callouts, p.Hostile})
	if err != nil {
		return "", fmt.Errorf("filter %q: %w", p.Name, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
