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

// Limits are what a filter may take in the sandbox. Times are of CPU time, where the system
// tells it. A filter is compiled before it is refused for one of them.
type Limits struct {
	// Start is how long a VM may work to start and to be configured, for which it keeps a
	// proxy's main thread; 30 s if it is 0.
	Start time.Duration
	// Call is how long one call may work, and a tenth of what a check may work; 1 s if it is 0.
	Call time.Duration
	// Memory is how many bytes a VM may have; 256 MiB if it is 0.
	Memory int64
}

// DefaultLimits are those of the zero Limits.
var DefaultLimits = Limits{Start: 30 * time.Second, Call: time.Second, Memory: 256 << 20}

// patience is what a filter may take in the interpreter, which most filters pass: then the
// verdict is there sooner than a compiler would be done.
var patience = Limits{Start: 2 * time.Second, Call: 100 * time.Millisecond}

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
	// Limits are the filter's own, where they are not 0.
	Limits fleet.Preflight
	// Secret says that its configuration is one: what it logs is not shown, and what is said of
	// it is without that.
	Secret bool
	// All has each check asked, also after one has failed.
	All bool
	// Served reads the filter of this name that proxies run now, nil where there is none: what
	// fails there in the same way is no refusal. It is called when something fails.
	Served func() (Plugin, error)
}

// A Report is what a try found besides a refusal.
type Report struct {
	Hostile  int       // how many hostile requests were asked
	Left     int       // how many were not, as the filter is too slow here
	Warnings []*Error  // failures that are no refusal
	Unjudged bool      // it was not tried, or what was tried says nothing: the last warning says why
	Outcomes []Outcome // of the checks that were asked, also where the filter is refused
	Coverage Coverage  // what they reached
}

// A Sandbox tries filters. It can be used by several goroutines.
type Sandbox struct {
	limits   Limits
	patience Limits // with the interpreter
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
	return &Sandbox{limits: limits, patience: patience, lookup: lookup}
}

// Try starts a filter as a proxy would and asks it its checks. It returns an
// *Error that says why a proxy should not have it, or the context's error, at
// once, when that ends.
func (s *Sandbox) Try(ctx context.Context, p Plugin) (Report, error) {
	report, err := s.judge(ctx, p)
	for _, w := range report.Warnings {
		w.Filter = p.Name
	}
	p.conceal(report, err)
	if e := (*Error)(nil); errors.As(err, &e) {
		e.Filter = p.Name
		return report, e
	}
	if err != nil {
		return report, fmt.Errorf("preflight of filter %q: %w", p.Name, err)
	}
	return report, nil
}

// judge tries a filter interpreted, and compiled where that takes too long: what is slow in the
// interpreter may not be in a proxy.
func (s *Sandbox) judge(ctx context.Context, p Plugin) (Report, error) {
	p.Checks = slices.DeleteFunc(slices.Clone(p.Checks), func(c fleet.Check) bool { return !c.In(fleet.InSandbox) })
	program, err := s.programs.get(ctx, p.Module)
	if ctx.Err() != nil {
		return Report{}, ctx.Err()
	}
	if err != nil {
		return Report{}, &Error{Step: StepModule, Reason: err.Error()}
	}
	if p.Limits.Off {
		return unjudged(StepStart, "`preflight: off`"), nil
	}
	report, err := s.try(ctx, p, program)
	slow := (*Error)(nil)
	if !errors.As(err, &slow) || !slow.slow || program.engine == compiled {
		return report, err
	}
	program, err = s.programs.in(ctx, p.Module, compiled)
	if ctx.Err() != nil {
		return Report{}, ctx.Err()
	}
	if err != nil {
		return unjudged(slow.Step, fmt.Sprintf("it is too slow for the interpreter, and can't be compiled: %v", err)), nil
	}
	return s.try(ctx, p, program)
}

func unjudged(step Step, why string) Report {
	return Report{Unjudged: true, Warnings: []*Error{{Step: step, Reason: "not judged here: " + why}}}
}

// limitsOf are those of a filter in an engine.
func (s *Sandbox) limitsOf(p Plugin, e engine) Limits {
	l := s.limits
	if p.Limits.Start > 0 {
		l.Start = p.Limits.Start
	}
	if p.Limits.Call > 0 {
		l.Call = p.Limits.Call
	}
	if p.Limits.Memory > 0 {
		l.Memory = p.Limits.Memory
	}
	if e == interpreted {
		l.Start, l.Call = min(l.Start, s.patience.Start), min(l.Call, s.patience.Call)
	}
	return l
}

func (s *Sandbox) try(ctx context.Context, p Plugin, program *program) (report Report, err error) {
	settings, err := read(p, s.lookup)
	if err != nil {
		return Report{}, &Error{Step: StepConfigure, Reason: err.Error()}
	}
	settings.notes = newNotes(program.code)
	defer func() { report.Outcomes, report.Coverage = settings.notes.outcomes, settings.notes.coverage() }()
	// A VM of their own for the checks in either order: what one request leaves
	// behind must not change the answer to another. Two also when there is nothing
	// to ask: on a proxy the filter must start in more than one.
	backwards := slices.Clone(p.Checks)
	slices.Reverse(backwards)
	orders := [][]fleet.Check{p.Checks, backwards}
	if len(p.Checks) == 1 {
		orders[0] = slices.Concat(p.Checks, p.Checks)
	}
	shared, log := newStore(), p.logbook()
	limits := s.limitsOf(p, program.engine)
	first, err := ask(ctx, program, settings, limits, shared, log, orders[0])
	if err != nil {
		if p.All {
			err = s.askOthers(ctx, program, settings, limits, log, p.Checks, err)
		}
		return Report{}, err
	}
	first.close(ctx)
	second, err := ask(ctx, program, settings, limits, shared, log, orders[1])
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
		return nil, &Error{Filter: p.Name, Step: StepModule, Reason: err.Error()}
	}
	plugin, err := read(p, s.lookup)
	if err != nil {
		return nil, &Error{Filter: p.Name, Step: StepConfigure, Reason: err.Error()}
	}
	return start(ctx, program, plugin, s.limitsOf(p, program.engine), p.logbook(), newStore())
}

// ask starts a VM and asks it checks. It is returned as it is then.
func ask(ctx context.Context, p *program, plugin settings, limits Limits, shared *store, log *logbook, checks []fleet.Check) (*vm, error) {
	v, err := start(ctx, p, plugin, limits, log, shared)
	if err != nil {
		return nil, err
	}
	for _, c := range checks {
		began := time.Now()
		err := v.ask(ctx, c)
		v.notes.asked(c, time.Since(began), err)
		if err != nil {
			v.close(ctx)
			return nil, err
		}
	}
	return v, nil
}

// askOthers asks the checks behind one that has failed, each failure in a VM of its own, and
// returns what the filter is refused for: the first failure.
func (s *Sandbox) askOthers(ctx context.Context, p *program, plugin settings, limits Limits, log *logbook, checks []fleet.Check, first error) error {
	for failed := first; ; {
		e := (*Error)(nil)
		if !errors.As(failed, &e) || e.Step != StepCheck {
			return first // it does not even start
		}
		if e.slow && p.engine == interpreted {
			return failed // no verdict yet
		}
		checks = checks[1+slices.IndexFunc(checks, func(c fleet.Check) bool { return c.Line == e.Line }):]
		v, err := ask(ctx, p, plugin, limits, newStore(), log, checks)
		if err == nil {
			v.close(ctx)
			return first
		}
		failed = err
	}
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
	text, err := json.Marshal([]any{p.Name, config, p.Module.Digest, checks, p.Callouts, p.Hostile, p.Limits, p.Secret})
	if err != nil {
		return "", fmt.Errorf("filter %q: %w", p.Name, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
