//! Turns a failure that the C++ shim reports into a panic.

use std::ffi::{CStr, c_char, c_int};

unsafe extern "C" {
    fn shim_last_error() -> *const c_char;
}

/// The shim fails only where libtorch itself is broken or a caller of it is wrong, never on input.
#[track_caller]
pub(super) fn must(code: c_int) {
    if code != 0 {
        // SAFETY: shim_last_error returns a NUL-terminated string that lives until this thread's next failing call.
        let message = unsafe { CStr::from_ptr(shim_last_error()) };
        panic!("libtorch: {}", message.to_string_lossy());
    }
}
