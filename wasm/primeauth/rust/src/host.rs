//! The calls that the filter makes to the proxy, and no others.
//! <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>

use crate::memory::{taken, with_scratch};

/// What a headers callback returns.
#[repr(u32)]
pub enum Action {
    Continue = 0,
    Pause = 1,
}

// Numbers of the specification.
pub const ERROR: u32 = 4;
pub const CRITICAL: u32 = 5;
const COUNTER: u32 = 0;
const PLUGIN_CONFIGURATION: u32 = 7;
const REQUEST_HEADERS: u32 = 0;
const RESPONSE_HEADERS: u32 = 2;

#[rustfmt::skip] // a line each
#[link(wasm_import_module = "env")]
extern "C" {
    fn proxy_log(level: u32, text: *const u8, size: usize) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_get_buffer_bytes(buffer: u32, from: usize, most: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_replace_header_map_value(map: u32, name: *const u8, size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, size: usize) -> u32;
    fn proxy_send_local_response(status: u32, details: *const u8, details_size: usize, body: *const u8, body_size: usize, headers: *const u8, headers_size: usize, grpc_status: i32) -> u32;
}

// SAFETY of all calls: the host reads what it is given, and writes what it returns to
// where it is told, before it returns; nothing is read where a size is 0.

pub fn log(level: u32, text: &str) {
    unsafe { proxy_log(level, text.as_ptr(), text.len()) };
}

pub fn set_tick_period(milliseconds: u32) {
    must(unsafe { proxy_set_tick_period_milliseconds(milliseconds) });
}

/// The id of a counter; 0, which is none, if there can't be one.
pub fn define_counter(name: &str) -> u32 {
    let mut id = 0;
    unsafe { proxy_define_metric(COUNTER, name.as_ptr(), name.len(), &mut id) };
    id
}

pub fn increment(counter: u32, by: i64) {
    unsafe { proxy_increment_metric(counter, by) };
}

/// The plugin configuration, of this size.
pub fn configuration(size: usize) -> Vec<u8> {
    if size == 0 {
        return Vec::new(); // there may be none
    }
    let (mut data, mut got) = (std::ptr::null_mut(), 0);
    must(unsafe { proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, size, &mut data, &mut got) });
    // SAFETY: the host had this allocated.
    unsafe { taken(data, got) }
}

/// Calls a function with all headers of the request, as the proxy serializes them.
/// All, because asked for one it answers with the first of that name and keeps
/// quiet about a second. None: they could not be read.
pub fn with_request_headers<R>(read: impl FnOnce(&[u8]) -> R) -> Option<R> {
    with_scratch(
        |data, size| unsafe { proxy_get_header_map_pairs(REQUEST_HEADERS, data, size) } == 0,
        read,
    )
}

pub fn remove_request_header(name: &str) {
    must(unsafe { proxy_remove_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len()) });
}

pub fn set_response_header(name: &str, value: &str) {
    let (name, size) = (name.as_ptr(), name.len());
    let (value, value_size) = (value.as_ptr(), value.len());
    must(unsafe {
        proxy_replace_header_map_value(RESPONSE_HEADERS, name, size, value, value_size)
    });
}

/// Answers the request in the service's place.
pub fn answer(status: u32, body: &[u8]) {
    const NONE: *const u8 = std::ptr::null();
    must(unsafe {
        proxy_send_local_response(status, NONE, 0, body.as_ptr(), body.len(), NONE, 0, -1)
    });
}

/// Panics, as a trap in the proxy, which then lets no request pass, if a call that
/// must not fail did.
fn must(status: u32) {
    assert!(status == 0, "the proxy refuses a call");
}
