//! Memory that the proxy puts into a module what the module asks for.

use proxy_wasm::types::{MapType, Status};
use std::cell::{Cell, UnsafeCell};

/// Holds the headers of nearly all requests.
const PAGE: usize = 4096;

thread_local! { // a VM has one thread
    static SCRATCH: UnsafeCell<[u8; PAGE]> = const { UnsafeCell::new([0; PAGE]) };
    static READING: Cell<bool> = const { Cell::new(false) }; // the scratch page may be given out
}

#[link(wasm_import_module = "env")]
extern "C" {
    fn proxy_get_header_map_pairs(map: MapType, data: *mut *mut u8, size: *mut usize) -> u32;
}

/// Is called by the proxy in the middle of a call that returns something. Headers
/// go to the same page each time, which is in the processor's caches then; the
/// rest is freed by who asked for it, as a boxed slice of that size.
#[no_mangle]
extern "C" fn prime_on_memory_allocate(size: usize) -> *mut u8 {
    if READING.get() && size <= PAGE {
        return SCRATCH.with(|page| page.get().cast());
    }
    Box::into_raw(vec![0u8; size].into_boxed_slice()).cast()
}

/// Calls a function with all headers of the request, as the proxy serializes them.
/// All, because asked for one it answers with the first of that name and keeps
/// quiet about a second. Not by the SDK: its get_map copies each name and value
/// and panics at one that isn't UTF-8. None: they could not be read.
pub fn with_request_headers<R>(read: impl FnOnce(&[u8]) -> R) -> Option<R> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    READING.set(true);
    // SAFETY: the host writes both before it returns.
    let status =
        unsafe { proxy_get_header_map_pairs(MapType::HttpRequestHeaders, &mut data, &mut size) };
    READING.set(false);
    if status != Status::Ok as u32 || data.is_null() {
        return None;
    }
    if size <= PAGE {
        // SAFETY: this much of the scratch page the host has written to. Nobody
        // else has it before the next such call.
        return Some(read(unsafe { std::slice::from_raw_parts(data, size) }));
    }
    // SAFETY: the host got these bytes from the function above, as a boxed slice.
    Some(read(&unsafe { Vec::from_raw_parts(data, size, size) }))
}
