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

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn sources(dir: &Path, check: &mut impl FnMut(&Path, &str)) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, check);
            } else if path.extension().is_some_and(|e| e == "rs") {
                check(&path, &std::fs::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn no_function_lets_a_cpp_exception_cross() {
        let shim = include_str!("../../cpp/shim.cpp");
        let (_, exported) = shim.split_once("extern \"C\" {\n").unwrap();
        // A definition begins at a line's start, and its body ends where the next begins.
        let mut functions: Vec<String> = Vec::new();
        for line in exported.lines() {
            match line.chars().next() {
                Some(c) if c.is_alphabetic() => functions.push(line.to_owned()),
                Some(' ') => functions.last_mut().unwrap().push_str(line),
                _ => {}
            }
        }
        assert!(functions.len() > 20, "{functions:#?}");
        for function in functions {
            let cannot_fail = function.contains("shim_last_error()");
            assert!(cannot_fail || function.contains("guarded(["), "{function}");
        }
        // The one function of tch's that calls libtorch outside of a `try`, beside destructors.
        let unguarded = ["tch", "manual_seed("].join("::");
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        sources(&src, &mut |path, text| {
            assert!(!text.contains(&unguarded), "{}", path.display());
        });
    }
}
