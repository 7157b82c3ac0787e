package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/api"
)

// status is what a host function returns: a WasmResult of the ABI (in module env)
// or an errno of WASI.
type status uint32

// https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1#proxy_status_t
const (
	ok                   status = 0
	notFound             status = 1
	badArgument          status = 2
	serializationFailure status = 3
	parseFailure         status = 4
	invalidMemoryAccess  status = 6
	empty                status = 7
	casMismatch          status = 8
	internalFailure      status = 10
)

// hostFunction is a function that Envoy offers.
type hostFunction struct {
	params string // i for i32, I for i64
	void   bool   // most return a status
	do     func(*call) status
}

func (f hostFunction) types() string {
	if f.void {
		return f.params + ":"
	}
	return f.params + ":i"
}

// hostModules are the functions that Envoy offers, by module.
var hostModules map[string]map[string]hostFunction

// hostFunctions are those of module env.
var hostFunctions = map[string]hostFunction{
	"pthread_equal": {params: "ii", do: func(c *call) status {
		if c.u32(0) == c.u32(1) {
			return 1
		}
		return 0
	}},
	"emscripten_notify_memory_growth": {params: "i", void: true, do: func(*call) status { return ok }},

	"proxy_log":                          {params: "iii", do: (*call).log},
	"proxy_get_log_level":                {params: "i", do: func(c *call) status { return c.put32(0, logLevel) }},
	"proxy_get_status":                   {params: "iii", do: (*call).getStatus},
	"proxy_get_current_time_nanoseconds": {params: "i", do: func(c *call) status { return c.put64(0, uint64(c.vm.now().UnixNano())) }},
	"proxy_set_tick_period_milliseconds": {params: "i", do: (*call).setTickPeriod},
	"proxy_get_configuration":            {params: "ii", do: (*call).getConfiguration},
	"proxy_get_property":                 {params: "iiii", do: (*call).getProperty},
	"proxy_set_property":                 {params: "iiii", do: (*call).setProperty},
	"proxy_set_effective_context":        {params: "i", do: (*call).setEffectiveContext},
	"proxy_done":                         {do: func(*call) status { return notFound }}, // no VM is shut down here
	"proxy_call_foreign_function":        {params: "iiiiii", do: (*call).foreign},

	"proxy_get_header_map_value":     {params: "iiiii", do: (*call).getHeader},
	"proxy_add_header_map_value":     {params: "iiiii", do: (*call).addHeader},
	"proxy_replace_header_map_value": {params: "iiiii", do: (*call).replaceHeader},
	"proxy_remove_header_map_value":  {params: "iii", do: (*call).removeHeader},
	"proxy_get_header_map_pairs":     {params: "iii", do: (*call).getHeaders},
	"proxy_set_header_map_pairs":     {params: "iii", do: (*call).setHeaders},
	"proxy_get_header_map_size":      {params: "ii", do: (*call).headersSize},
	"proxy_get_buffer_status":        {params: "iii", do: (*call).bufferStatus},
	"proxy_get_buffer_bytes":         {params: "iiiii", do: (*call).getBuffer},
	"proxy_set_buffer_bytes":         {params: "iiiii", do: (*call).setBuffer},

	"proxy_send_local_response": {params: "iiiiiiii", do: (*call).sendLocalResponse},
	"proxy_continue_stream":     {params: "i", do: func(c *call) status { return c.resume(c.u32(0)) }},
	"proxy_continue_request":    {do: func(c *call) status { return c.resume(requestStream) }},
	"proxy_continue_response":   {do: func(c *call) status { return c.resume(responseStream) }},
	"proxy_close_stream":        {params: "i", do: (*call).closeStream},
	"proxy_clear_route_cache":   {do: func(*call) status { return ok }},

	"proxy_get_shared_data":       {params: "iiiii", do: (*call).getSharedData},
	"proxy_set_shared_data":       {params: "iiiii", do: (*call).setSharedData},
	"proxy_register_shared_queue": {params: "iii", do: (*call).registerQueue},
	"proxy_resolve_shared_queue":  {params: "iiiii", do: (*call).resolveQueue},
	"proxy_enqueue_shared_queue":  {params: "iii", do: (*call).enqueue},
	"proxy_dequeue_shared_queue":  {params: "iii", do: (*call).dequeue},
	"proxy_define_metric":         {params: "iiii", do: (*call).defineMetric},
	"proxy_increment_metric":      {params: "iI", do: (*call).incrementMetric},
	"proxy_record_metric":         {params: "iI", do: (*call).recordMetric},
	"proxy_get_metric":            {params: "ii", do: (*call).getMetric},

	"proxy_http_call":   {params: "iiiiiiiiii", do: (*call).httpCall},
	"proxy_grpc_call":   {params: "iiiiiiiiiiii", do: (*call).grpcCall},
	"proxy_grpc_stream": {params: "iiiiiiiii", do: (*call).grpcStream},
	"proxy_grpc_send":   {params: "iiii", do: (*call).grpcSend},
	"proxy_grpc_close":  {params: "i", do: (*call).grpcClose},
	"proxy_grpc_cancel": {params: "i", do: (*call).grpcCancel},
}

func init() {
	hostModules = map[string]map[string]hostFunction{
		"env": hostFunctions, "wasi_snapshot_preview1": wasiFunctions, "wasi_unstable": wasiFunctions,
	}
}

// offer gives a program's runtime the functions of Envoy's that it needs.
func offer(ctx context.Context, p *program) error {
	for from, functions := range hostModules {
		if !slices.ContainsFunc(p.code.ImportedFunctions(), func(f api.FunctionDefinition) bool {
			module, _, _ := f.Import()
			return module == from
		}) {
			continue
		}
		b := p.runtime.NewHostModuleBuilder(from)
		for name, f := range functions {
			var results []api.ValueType
			if !f.void {
				results = []api.ValueType{api.ValueTypeI32}
			}
			b.NewFunctionBuilder().WithGoModuleFunction(f.bind(from, name), valueTypes(f.params), results).Export(name)
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("host module %s: %w", from, err)
		}
	}
	return nil
}

func valueTypes(letters string) []api.ValueType {
	var out []api.ValueType
	for _, l := range letters {
		if l == 'I' {
			out = append(out, api.ValueTypeI64)
		} else {
			out = append(out, api.ValueTypeI32)
		}
	}
	return out
}

// bind makes of a function what wazero calls: with the VM that the context names,
// and only if that may call it.
func (f hostFunction) bind(from, name string) api.GoModuleFunc {
	denied := internalFailure
	if from != "env" {
		denied = wasiNotCapable
	}
	return func(ctx context.Context, m api.Module, stack []uint64) {
		v := vmOf(ctx)
		if v.restricted != nil && !v.restricted[name] {
			panic(stopped("it calls " + name + " before proxy_on_vm_start, which Envoy does not allow")) // a trap, to wazero
		}
		result := denied
		if v.allows(name) || from == "env" && !strings.HasPrefix(name, "proxy_") {
			result = f.do(&call{ctx: ctx, vm: v, memory: m.Memory(), stack: stack})
		} else {
			v.log.add("attempted call to restricted capability: " + name) // Envoy's words
		}
		if !f.void {
			stack[0] = uint64(result)
		}
	}
}
