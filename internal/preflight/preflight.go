// Package preflight looks at a module before any proxy sees it. Envoy's own
// verdict on a bad module is one line for eighteen kinds of fault; here the
// author is told which it is.
package preflight

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	if err := header(m.Bytes); err != nil {
		return err
	}
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().
		WithCoreFeatures(wasmFeatures).WithDebugInfoEnabled(false))
	defer runtime.Close(ctx) //nolint:errcheck // frees memory; nothing can fail in the interpreter
	compiled, err := runtime.CompileModule(ctx, m.Bytes)
	if err != nil {
		return fmt.Errorf("not a valid WebAssembly module, or one that is cut short: %w", err)
	}
	abi, err := abiOf(compiled)
	if err != nil {
		return err
	}
	return imports(compiled, abi)
}

func header(b []byte) error {
	switch {
	case len(b) == 0:
		return errors.New("the file is empty")
	case !bytes.HasPrefix(b, magic[:min(len(b), len(magic))]):
		return errors.New("not a WebAssembly module")
	case len(b) < 8:
		return errors.New("not a valid WebAssembly module, or one that is cut short: it ends in its header")
	case !bytes.Equal(b[4:8], coreModule):
		return errors.New("WebAssembly, but not a core module of version 1 (a component?)")
	}
	return nil
}

// abiOf finds which version of the Proxy-Wasm ABI a module speaks, and whether
// it exports what Envoy calls before anything else.
func abiOf(m wazero.CompiledModule) (string, error) {
	exported := m.ExportedFunctions()
	for _, abi := range []string{"0_2_1", "0_2_0", "0_1_0"} {
		if exported["proxy_abi_version_"+abi] == nil {
			continue
		}
		if exported["malloc"] == nil && exported["proxy_on_memory_allocate"] == nil {
			return "", errors.New("it exports neither malloc nor proxy_on_memory_allocate, which Envoy needs one of")
		}
		return abi, nil
	}
	return "", errors.New("no Proxy-Wasm filter: it exports none of proxy_abi_version_0_1_0, _0_2_0 and _0_2_1")
}

// imports reports a function that Envoy does not offer to modules of this ABI.
func imports(m wazero.CompiledModule, abi string) error {
	for _, f := range m.ImportedFunctions() {
		from, name, _ := f.Import()
		if !offered(from, name, abi) {
			return fmt.Errorf("it imports %s.%s, which Envoy does not offer (Proxy-Wasm ABI %s)",
				from, name, strings.ReplaceAll(abi, "_", "."))
		}
	}
	return nil
}

func offered(from, name, abi string) bool {
	switch from {
	case "wasi_snapshot_preview1", "wasi_unstable":
		return slices.Contains(wasiFunctions, name)
	case "env":
		return slices.Contains(hostFunctions, name) || slices.Contains(hostFunctionsOf[abi], name)
	}
	return false
}
