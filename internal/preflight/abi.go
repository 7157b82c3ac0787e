package preflight

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// What Envoy and a module offer each other, with the types: a module that names
// one of these with other types is not linked, or not started. Source: exports.h,
// wasm.h and WasmBase::registerCallbacks and getFunctions (src/wasm.cc) of
// https://github.com/proxy-wasm/proxy-wasm-cpp-host.
//
// Types are written i for i32 and I for i64; results after a colon.

// moduleFunctions are the exports that Envoy calls, if they are there.
var moduleFunctions = signatures(`
	_initialize: _start: main:ii:i __main_void::i malloc:i:i proxy_on_memory_allocate:i:i
	proxy_on_context_create:ii proxy_on_vm_start:ii:i proxy_on_configure:ii:i
	proxy_validate_configuration:ii:i proxy_on_tick:i proxy_on_queue_ready:ii
	proxy_on_request_body:iii:i proxy_on_request_trailers:ii:i proxy_on_request_metadata:ii:i
	proxy_on_response_body:iii:i proxy_on_response_trailers:ii:i proxy_on_response_metadata:ii:i
	proxy_on_http_call_response:iiiii proxy_on_done:i:i proxy_on_log:i proxy_on_delete:i
	proxy_on_grpc_receive:iii proxy_on_grpc_close:iii
	proxy_on_grpc_receive_initial_metadata:iii proxy_on_grpc_receive_trailing_metadata:iii
	proxy_on_new_connection:i:i proxy_on_downstream_data:iii:i proxy_on_upstream_data:iii:i
	proxy_on_downstream_connection_close:ii proxy_on_upstream_connection_close:ii`)

// moduleFunctionsOf are those that differ between the versions of the ABI.
var moduleFunctionsOf = map[string]map[string]string{
	"0_1_0": signatures("proxy_on_request_headers:ii:i proxy_on_response_headers:ii:i"),
	"0_2_0": signatures("proxy_on_request_headers:iii:i proxy_on_response_headers:iii:i proxy_on_foreign_function:iii"),
	"0_2_1": signatures("proxy_on_request_headers:iii:i proxy_on_response_headers:iii:i proxy_on_foreign_function:iii"),
}

// isCallback reports whether Envoy calls an export of a name, in any version of the ABI.
func isCallback(name string) bool {
	return moduleFunctions[name] != "" || moduleFunctionsOf["0_2_1"][name] != ""
}

// onlyOf are host functions that Envoy offers to some versions of the ABI only.
var onlyOf = map[string][]string{
	"proxy_get_configuration": {"0_1_0"},
	"proxy_continue_request":  {"0_1_0"},
	"proxy_continue_response": {"0_1_0"},
	"proxy_clear_route_cache": {"0_1_0"},
	"proxy_continue_stream":   {"0_2_0", "0_2_1"},
	"proxy_close_stream":      {"0_2_0", "0_2_1"},
	"proxy_get_log_level":     {"0_2_1"},
}

// signatures reads words of the form name:params:results.
func signatures(words string) map[string]string {
	out := map[string]string{}
	for _, word := range strings.Fields(words) {
		name, types, _ := strings.Cut(word, ":")
		if !strings.Contains(types, ":") {
			types += ":"
		}
		out[name] = types
	}
	return out
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

// callbacks reports a function that Envoy would call with other types than it has.
func callbacks(m wazero.CompiledModule, abi string) error {
	for name, f := range m.ExportedFunctions() {
		want, called := moduleFunctions[name]
		if other, ok := moduleFunctionsOf[abi][name]; ok {
			want, called = other, true
		}
		if got := signature(f); called && got != want {
			return fmt.Errorf("it exports %s as %s, which Envoy calls as %s (Proxy-Wasm ABI %s)", name, spell(got), spell(want), dots(abi))
		}
	}
	return nil
}

// imports reports what Envoy does not offer to modules of this ABI.
func imports(m wazero.CompiledModule, abi string) error {
	for _, f := range m.ImportedFunctions() {
		from, name, _ := f.Import()
		want, ok := offered(from, name, abi)
		if !ok {
			return fmt.Errorf("it imports %s.%s, which Envoy does not offer (Proxy-Wasm ABI %s)", from, name, dots(abi))
		}
		if got := signature(f); got != want {
			return fmt.Errorf("it imports %s.%s as %s, which Envoy offers as %s", from, name, spell(got), spell(want))
		}
	}
	return nil
}

// offered returns the types of a host function.
func offered(from, name, abi string) (types string, ok bool) {
	f, ok := hostModules[from][name]
	if only := onlyOf[name]; !ok || from == "env" && only != nil && !slices.Contains(only, abi) {
		return "", false
	}
	return f.types(), true
}

func signature(f api.FunctionDefinition) string {
	return letters(f.ParamTypes()) + ":" + letters(f.ResultTypes())
}

func letters(types []api.ValueType) string {
	var out strings.Builder
	for _, t := range types {
		switch t {
		case api.ValueTypeI32:
			out.WriteByte('i')
		case api.ValueTypeI64:
			out.WriteByte('I')
		default:
			out.WriteByte('?') // nothing of Envoy's has another
		}
	}
	return out.String()
}

// spell writes a signature for people: "(i32, i64) -> i32".
func spell(types string) string {
	params, results, _ := strings.Cut(types, ":")
	names := strings.NewReplacer("i", "i32, ", "I", "i64, ", "?", "other, ")
	list := func(letters string) string { return strings.TrimSuffix(names.Replace(letters), ", ") }
	if results == "" {
		return "(" + list(params) + ")"
	}
	return "(" + list(params) + ") -> " + list(results)
}

func dots(abi string) string { return strings.ReplaceAll(abi, "_", ".") }
