// Package preflight tries a filter before any proxy has it. Envoy's own verdict
// on a module that does not load is one line for eighteen kinds of fault, and on
// one that crashes, hangs or lets everyone in it is an ACK. Here the author is
// told what is wrong: a Sandbox starts the module as a proxy would, within limits
// of time and memory, and asks it the checks of the fleet file.
package preflight

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/waxwing-xds/waxwing/internal/module"
)

var (
	magic        = []byte("\x00asm")
	coreModule   = []byte{1, 0, 0, 0}
	wasmFeatures = api.CoreFeaturesV2 | experimental.CoreFeaturesThreads
)

// Inspect reports why a proxy would not load a module: it is not WebAssembly,
// is cut short, does not speak Proxy-Wasm, or imports what Envoy does not offer.
// It compiles the module, for wazero's interpreter, and runs nothing of it.
func Inspect(ctx context.Context, m *module.Module) error {
	_, err := compile(ctx, m.Bytes, interpreted)
	return err
}

const invalid = "not a valid WebAssembly module, or one that is cut short"

// program is a module that is ready to run, and what runs it. Both engines let go of what
// they hold when it is collected.
type program struct {
	abi     string
	engine  engine
	runtime wazero.Runtime
	code    wazero.CompiledModule
	fixed   uint64 // bytes that each instance takes besides its memory
}

// compile inspects a module and makes it ready to run.
func compile(ctx context.Context, code []byte, e engine) (*program, error) {
	if err := header(code); err != nil {
		return nil, err
	}
	if err := e.available(); err != nil {
		return nil, err
	}
	safe, w, err := bounded(code)
	if err != nil {
		return nil, err
	}
	p := &program{engine: e, runtime: e.runtime(ctx), fixed: w.fixed}
	if p.code, err = p.runtime.CompileModule(e.workers(ctx), safe); err != nil {
		return nil, fmt.Errorf("%s: %w", invalid, err)
	}
	if err := misbuilt(code, p.code); err != nil {
		return nil, err
	}
	if p.abi, err = abiOf(p.code); err != nil {
		return nil, err
	}
	if err := imports(p.code, p.abi); err != nil {
		return nil, err
	}
	return p, callbacks(p.code, p.abi)
}

func header(b []byte) error {
	switch {
	case len(b) == 0:
		return errors.New("the file is empty")
	case !bytes.HasPrefix(b, magic[:min(len(b), len(magic))]):
		return errors.New("not a WebAssembly module")
	case len(b) < 8:
		return errors.New(invalid + ": it ends in its header")
	case !bytes.Equal(b[4:8], coreModule):
		return errors.New("WebAssembly, but not a core module of version 1 (a component?)")
	}
	return nil
}
