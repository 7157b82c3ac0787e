package preflight

import (
	"context"
	"errors"
	"runtime"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
)

// An engine runs modules. Interpreted, a module is ready sooner; compiled, it runs some ten
// times as fast. It is still slower than in a proxy: it looks at each turn of a loop whether it
// is to end, as compiled code can't be interrupted, and would keep Go's collector waiting.
type engine int

const (
	interpreted engine = iota
	compiled
)

var errNoCompiler = errors.New("there is no compiler for this machine (" + runtime.GOARCH + ")")

// available reports whether modules can be compiled here.
func (e engine) available() error {
	if e == compiled && runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		return errNoCompiler
	}
	return nil
}

func (e engine) runtime(ctx context.Context) wazero.Runtime {
	config := wazero.NewRuntimeConfigInterpreter()
	if e == compiled {
		config = wazero.NewRuntimeConfigCompiler()
	}
	return wazero.NewRuntimeWithConfig(ctx, config.WithCoreFeatures(wasmFeatures).
		WithDebugInfoEnabled(false).WithCloseOnContextDone(true))
}

// workers lets a large module be compiled by as many threads as there are.
func (e engine) workers(ctx context.Context) context.Context {
	return experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0))
}

// grows is how many times the size of its file a module takes that is ready to run.
func (e engine) grows() int {
	if e == compiled {
		return 5
	}
	return 20
}
