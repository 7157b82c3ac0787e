package fleet

import (
	"maps"
	"slices"
	"strings"

	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
	"go.yaml.in/yaml/v3"
)

// Capabilities are the names that allowed_capabilities of a Wasm filter may have: the functions of
// the Proxy-Wasm ABI that a module calls (proxy_…, and those of WASI), and those of its own that
// Envoy calls (proxy_on_…).
// Source: FOR_ALL_HOST_FUNCTIONS, FOR_ALL_WASI_FUNCTIONS and FOR_ALL_MODULE_FUNCTIONS of
// https://github.com/proxy-wasm/proxy-wasm-cpp-host, include/proxy-wasm/exports.h and wasm_vm.h.
var Capabilities = strings.Fields(`
	proxy_log proxy_get_log_level proxy_get_status proxy_get_current_time_nanoseconds
	proxy_set_tick_period_milliseconds proxy_get_configuration proxy_get_property proxy_set_property
	proxy_set_effective_context proxy_done proxy_call_foreign_function
	proxy_get_header_map_value proxy_add_header_map_value proxy_replace_header_map_value
	proxy_remove_header_map_value proxy_get_header_map_pairs proxy_set_header_map_pairs
	proxy_get_header_map_size proxy_get_buffer_status proxy_get_buffer_bytes proxy_set_buffer_bytes
	proxy_send_local_response proxy_continue_stream proxy_continue_request proxy_continue_response
	proxy_close_stream proxy_clear_route_cache
	proxy_get_shared_data proxy_set_shared_data proxy_register_shared_queue proxy_resolve_shared_queue
	proxy_enqueue_shared_queue proxy_dequeue_shared_queue
	proxy_define_metric proxy_increment_metric proxy_record_metric proxy_get_metric
	proxy_http_call proxy_grpc_call proxy_grpc_stream proxy_grpc_send proxy_grpc_close proxy_grpc_cancel

	args_get args_sizes_get environ_get environ_sizes_get clock_res_get clock_time_get random_get
	sched_yield poll_oneoff proc_exit
	fd_write fd_pwrite fd_read fd_pread fd_seek fd_tell fd_close fd_fdstat_get fd_fdstat_set_flags
	fd_fdstat_set_rights fd_filestat_get fd_filestat_set_size fd_filestat_set_times fd_prestat_get
	fd_prestat_dir_name fd_advise fd_allocate fd_datasync fd_sync fd_readdir fd_renumber
	path_open path_filestat_get path_create_directory path_filestat_set_times path_link path_readlink
	path_remove_directory path_rename path_symlink path_unlink_file
	sock_accept sock_recv sock_send sock_shutdown

	proxy_validate_configuration proxy_on_context_create proxy_on_vm_start proxy_on_configure
	proxy_on_tick proxy_on_queue_ready proxy_on_foreign_function
	proxy_on_request_headers proxy_on_request_body proxy_on_request_trailers proxy_on_request_metadata
	proxy_on_response_headers proxy_on_response_body proxy_on_response_trailers proxy_on_response_metadata
	proxy_on_http_call_response proxy_on_grpc_receive proxy_on_grpc_close
	proxy_on_grpc_receive_initial_metadata proxy_on_grpc_receive_trailing_metadata
	proxy_on_new_connection proxy_on_downstream_data proxy_on_upstream_data
	proxy_on_downstream_connection_close proxy_on_upstream_connection_close
	proxy_on_done proxy_on_log proxy_on_delete`)

// capabilities refuses a name that is none. An Envoy takes it, never calls a function of the module
// that is not allowed by its right name, and so lets through what the filter was to stop.
func (p *parser) capabilities(c *wasmv3.CapabilityRestrictionConfig, n *yaml.Node) {
	const field = "allowed_capabilities"
	for _, name := range slices.Sorted(maps.Keys(c.GetAllowedCapabilities())) {
		if !slices.Contains(Capabilities, name) {
			p.add(lineOf(n, field, name), "%s: %q is no function of the Proxy-Wasm ABI%s: Envoy would let through what the filter is to stop", field, name, nearest(name))
		}
	}
}

// nearest is the capability that is meant by a misspelt one, in words, or "".
func nearest(name string) string {
	best, least := "", 4 // letters that may differ at most
	for _, known := range Capabilities {
		if d := distance(name, known); d < least {
			best, least = " (is it "+known+"?)", d
		}
	}
	return best
}

// distance is how many letters are to be put in, left out or changed to make b of a: Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1) // of the letters of a so far, to those of b up to each
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, before+1, row[j]+1)
		}
	}
	return row[len(b)]
}
