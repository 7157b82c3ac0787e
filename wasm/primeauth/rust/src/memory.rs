//! Memory that the proxy puts into a module what the module asks for.

use std::cell::{Cell, UnsafeCell};

/// Holds the headers of nearly all requests.
const PAGE: usize = 4096;

thread_local! { // a VM has one thread
    static SCRATCH: UnsafeCell<[u8; PAGE]> = const { UnsafeCell::new([0; PAGE]) };
    static READING: Cell<bool> = const { Cell::new(false) }; // the scratch page may be given out
}

/// Is called by the proxy in the middle of a call that returns something. Headers
/// go to the same page each time, which is in the processor's caches then; the
/// rest is freed by who asked for it, as a boxed slice of that size.
#[no_mangle]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    if READING.get() && size <= PAGE {
        return SCRATCH.with(|page| page.get().cast());
    }
    Box::into_raw(vec![0u8; size].into_boxed_slice()).cast()
}

/// What the proxy has put into memory that it had allocated; nothing at address 0.
///
/// # Safety
///
/// It is of this size, not in the scratch page, and nobody else has it.
pub unsafe fn taken(data: *mut u8, size: usize) -> Vec<u8> {
    if data.is_null() {
        return Vec::new();
    }
    Vec::from_raw_parts(data, size, size)
}

/// Calls a function with what a call returns, whose answer goes to the scratch page if it
/// is small enough. None: the call failed, or returned nothing.
pub fn with_scratch<R>(
    call: impl FnOnce(&mut *mut u8, &mut usize) -> bool,
    read: impl FnOnce(&[u8]) -> R,
) -> Option<R> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    READING.set(true);
    let done = call(&mut data, &mut size);
    READING.set(false);
    if !done || data.is_null() {
        return None;
    }
    if size <= PAGE {
        // SAFETY: this much of the scratch page the host has written to. Nobody
        // else has it before the next such call.
        return Some(read(unsafe { std::slice::from_raw_parts(data, size) }));
    }
    // SAFETY: the host had these bytes allocated above.
    Some(read(&unsafe { taken(data, size) }))
}
