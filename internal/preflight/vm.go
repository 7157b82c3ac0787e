package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// Contexts of a VM, as proxy-wasm-cpp-host numbers them: streams follow.
const (
	vmContext   = 0
	rootContext = 1
)

// vm is one instance of a module, from its start to its end. It is used by one
// goroutine.
type vm struct {
	settings
	limits    Limits
	abi       string
	module    api.Module
	functions map[string]api.Function // what of the module may be called
	malloc    api.Function
	memory    memory
	log       *logbook
	step      Step
	started   bool
	began     time.Time     // when it was started, in simulated time
	left      time.Duration // how much longer the present step may work
	worked    time.Duration // in all
	broken    error         // a call into the module from within another failed

	current     uint32 // the context that is called
	effective   uint32 // what the module has put in its place; 0: nothing
	streams     map[uint32]*stream
	next        uint32          // id of the next context
	restricted  map[string]bool // the host functions that may be called now; nil: all
	configuring bool            // the plugin's configuration can be read

	*store
	events
}

type vmKey struct{}

// vmOf finds the VM that a host function was called by.
func vmOf(ctx context.Context) *vm { return ctx.Value(vmKey{}).(*vm) }

// start makes a VM and takes it to where it answers requests, by the sequence of
// WasmBase::initialize, start and configure.
func start(ctx context.Context, p *program, s settings, limits Limits, log *logbook, store *store) (*vm, error) {
	log.reset()
	v := &vm{
		settings: s, limits: limits, abi: p.abi, log: log, step: StepStart, store: store,
		memory:  memory{limit: uint64(limits.Memory), fixed: p.fixed, kept: store.bytes},
		streams: map[uint32]*stream{}, next: rootContext + 1, left: limits.Start,
		events: events{callouts: slices.Concat(s.always, s.tried)},
	}
	v.began = v.now()
	for _, step := range []func() error{
		func() error { return v.instantiate(ctx, p) },
		func() error { return v.initialize(ctx) },
		func() error { return v.begin(ctx) },
		func() error { return v.configure(ctx) },
		func() error { return v.catchUp(ctx) },
	} {
		if err := step(); err != nil {
			v.close(ctx)
			return nil, err
		}
	}
	return v, nil
}

// close lets go of the VM. A proxy does not shut a VM down before it is replaced,
// so the module is not told.
func (v *vm) close(ctx context.Context) {
	if v.module != nil {
		_ = v.module.Close(ctx) // it has no files
	}
}

func (v *vm) instantiate(ctx context.Context, p *program) error {
	if err := v.fits(p); err != nil {
		return err
	}
	v.restricted = beforeStart
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions() // initialize calls them
	var module api.Module
	err := v.work(v.memory.with(ctx), v.left, func(ctx context.Context) (err error) {
		module, err = p.runtime.InstantiateModule(ctx, p.code, config)
		return err
	})
	if err != nil {
		return v.failed(ctx, "", err)
	}
	v.module = module
	v.functions = map[string]api.Function{}
	for name := range p.code.ExportedFunctions() {
		if !isCallback(name) {
			continue // nobody calls it, and a module may have any number of these
		}
		if !strings.HasPrefix(name, "proxy_on_") || v.allows(name) {
			v.functions[name] = module.ExportedFunction(name)
		}
	}
	if v.malloc = module.ExportedFunction("malloc"); v.malloc == nil {
		v.malloc = module.ExportedFunction("proxy_on_memory_allocate")
	}
	return nil
}

// fits reports memory that can't be given.
func (v *vm) fits(p *program) error {
	if len(p.code.ImportedMemories()) > 0 {
		return v.refused("it imports its memory, which preflight can't give it")
	}
	if v.memory.held() > v.memory.limit {
		e := v.tooMuchMemory()
		e.Reason += fmt.Sprintf(": its tables, globals and functions take %d MiB", v.memory.fixed>>20)
		return e
	}
	memories := p.code.ExportedMemories()
	if len(memories) != 1 {
		return v.refused("it exports %d memories, where Envoy needs one", len(memories))
	}
	for _, m := range memories {
		if uint64(m.Min())<<16+v.memory.held() > v.memory.limit { // wazero does not expect to be given none
			return v.tooMuchMemory()
		}
	}
	return nil
}

// initialize runs the constructors: WasmBase::startVm.
func (v *vm) initialize(ctx context.Context) error {
	if !v.has("_initialize") {
		_, err := v.call(ctx, vmContext, "_start")
		v.restricted = nil
		return err
	}
	_, err := v.call(ctx, vmContext, "_initialize")
	switch {
	case err != nil:
	case v.has("main"):
		_, err = v.call(ctx, vmContext, "main", 0, 0)
	default:
		_, err = v.call(ctx, vmContext, "__main_void")
	}
	v.restricted = nil
	return err
}

// begin is ContextBase::onStart.
func (v *vm) begin(ctx context.Context) error {
	v.configuring = true // while the context is created, not in proxy_on_vm_start
	_, err := v.call(ctx, rootContext, "proxy_on_context_create", rootContext, 0)
	v.configuring = false
	if err != nil || !v.has("proxy_on_vm_start") {
		return err
	}
	return v.takes(ctx, "proxy_on_vm_start", v.vmConfiguration, "it does not start")
}

// takes hands a configuration to a function that may return false, which means something.
func (v *vm) takes(ctx context.Context, function string, configuration []byte, otherwise string) error {
	ok, err := v.call(ctx, rootContext, function, rootContext, uint64(len(configuration)))
	if err == nil && uint32(ok) == 0 {
		return v.refused("%s: %s returns false", otherwise, function)
	}
	return err
}

// configure is ContextBase::onConfigure.
func (v *vm) configure(ctx context.Context) error {
	v.step = StepConfigure
	if !v.has("proxy_on_configure") {
		return nil
	}
	v.configuring = true
	defer func() { v.configuring = false }()
	return v.takes(ctx, "proxy_on_configure", v.configuration, "it refuses its configuration")
}

// catchUp lets happen what the module has asked for by then: its first tick, and
// the answers to calls that it made.
func (v *vm) catchUp(ctx context.Context) error {
	v.started = true
	v.left = checkCalls * v.limits.Call
	return v.advance(ctx, v.period+callout)
}

func (v *vm) has(function string) bool { return v.functions[function] != nil }

// allows reports whether the plugin's capabilities include one.
func (v *vm) allows(capability string) bool {
	return v.capabilities == nil || v.capabilities[capability]
}

// call calls a function of the module, if it is there, in the context of an id,
// within the limits.
func (v *vm) call(ctx context.Context, id uint32, name string, args ...uint64) (uint64, error) {
	f := v.functions[name]
	if f == nil {
		return 0, nil
	}
	v.notes.called(v.step, name)
	v.current, v.effective = id, 0
	defer func() { v.current, v.effective = vmContext, 0 }()
	limit := v.left
	if v.started {
		limit = min(limit, v.limits.Call)
	}
	var out []uint64
	err := v.work(ctx, limit, func(ctx context.Context) (err error) {
		out, err = f.Call(ctx, args...)
		return err
	})
	if err == nil {
		err = v.broken
	}
	if err != nil || v.memory.over {
		return 0, v.failed(ctx, name, err)
	}
	if len(out) == 0 {
		return 0, nil
	}
	return out[0], nil
}

// work has the module work, within a limit of CPU time.
func (v *vm) work(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	took, err := measured(context.WithValue(ctx, vmKey{}, v), limit, do)
	v.left -= took
	v.worked += took
	return err
}

// failed says why a call failed.
func (v *vm) failed(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err() // the caller's, not the limit's
	}
	if v.memory.over {
		return v.tooMuchMemory()
	}
	if exit := (*sys.ExitError)(nil); errors.As(err, &exit) {
		limit := v.limits.Start
		if v.started {
			limit = v.limits.Call
		}
		e := v.refused("%s does not return within %v: a loop, or too much work%s", name, limit, v.advice())
		e.slow = true
		return e
	}
	return v.refused("%s", trapped(name, err))
}

// advice says what allows more.
func (v *vm) advice() string {
	name := "start"
	if v.started {
		name = "call"
	}
	return " (`preflight: {" + name + ": …}` of the fleet file allows more)"
}

func (v *vm) tooMuchMemory() *Error {
	e := v.refused("it wants more than %d MiB of memory", v.memory.limit>>20)
	if v.memory.what != "" {
		e.Reason += ", with what it has the proxy keep: the last of it is " + v.memory.what
	}
	return e
}

// refused is an Error at the present step, with what the module logged.
func (v *vm) refused(format string, args ...any) *Error {
	return &Error{Step: v.step, Reason: fmt.Sprintf(format, args...), Log: v.log.all()}
}
