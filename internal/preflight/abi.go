package preflight

import "strings"

// What Envoy offers to a module. Source: FOR_ALL_HOST_FUNCTIONS,
// FOR_ALL_WASI_FUNCTIONS and WasmBase::registerCallbacks of proxy-wasm-cpp-host
// (include/proxy-wasm/exports.h, src/wasm.cc).

var hostFunctions = append(strings.Fields("pthread_equal emscripten_notify_memory_growth"), prefixed(`
	log get_status set_property get_property send_local_response
	get_shared_data set_shared_data
	register_shared_queue resolve_shared_queue dequeue_shared_queue enqueue_shared_queue
	get_header_map_value add_header_map_value replace_header_map_value remove_header_map_value
	get_header_map_pairs set_header_map_pairs get_header_map_size
	get_buffer_status get_buffer_bytes set_buffer_bytes
	http_call grpc_call grpc_stream grpc_close grpc_cancel grpc_send
	set_tick_period_milliseconds get_current_time_nanoseconds
	define_metric increment_metric record_metric get_metric
	set_effective_context done call_foreign_function`)...)

// hostFunctionsOf are offered to one version of the ABI only.
var hostFunctionsOf = map[string][]string{
	"0_1_0": prefixed("get_configuration continue_request continue_response clear_route_cache"),
	"0_2_0": prefixed("continue_stream close_stream"),
	"0_2_1": prefixed("continue_stream close_stream get_log_level"),
}

var wasiFunctions = strings.Fields(`
	args_get args_sizes_get clock_res_get clock_time_get environ_get environ_sizes_get
	fd_advise fd_allocate fd_close fd_datasync fd_fdstat_get fd_fdstat_set_flags
	fd_fdstat_set_rights fd_filestat_get fd_filestat_set_size fd_filestat_set_times
	fd_pread fd_prestat_dir_name fd_prestat_get fd_pwrite fd_read fd_readdir fd_renumber
	fd_seek fd_sync fd_tell fd_write
	path_create_directory path_filestat_get path_filestat_set_times path_link path_open
	path_readlink path_remove_directory path_rename path_symlink path_unlink_file
	poll_oneoff proc_exit random_get sched_yield sock_accept sock_recv sock_send sock_shutdown`)

func prefixed(names string) []string {
	out := strings.Fields(names)
	for i, name := range out {
		out[i] = "proxy_" + name
	}
	return out
}
