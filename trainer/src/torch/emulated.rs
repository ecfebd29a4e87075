//! CUDA kernels on the CPU, for tests: the source is compiled by a C++ compiler, and the blocks run one after the other
//! with one thread each. The kernels are written so that any number of threads will do.

use std::ffi::{CStr, c_int, c_void};
use std::process::Command;

use super::kernels::Argument;

const BEFORE: &str = r#"
#include <cmath>
#include <cstring>
#include <algorithm>
#define __global__ __attribute__((visibility("default")))
#define __device__ static inline
#define __shared__ static
#define __align__(n) __attribute__((aligned(n)))
struct Dim { unsigned x, y; };
static Dim blockIdx, threadIdx, blockDim = {1, 1}, gridDim;
static inline void __syncthreads() {}
using std::min;
using std::memcpy;
"#;
const AFTER: &str = r#"
extern "C" __attribute__((visibility("default"))) void place(unsigned x, unsigned y, unsigned across, unsigned down) {
  blockIdx = {x, y};
  gridDim = {across, down};
}
"#;

/// A compiled source file; its library stays open.
pub(crate) struct Emulated {
    library: *mut c_void,
}

impl Emulated {
    /// Compiles a source file without fused multiply-adds.
    pub(crate) fn compile(source: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (cpp, so) = (
            dir.path().join("kernels.cpp"),
            dir.path().join("kernels.so"),
        );
        std::fs::write(&cpp, [BEFORE, source, AFTER].concat()).expect("written");
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
        let status = Command::new(compiler)
            .args([
                "-std=c++17",
                "-O1",
                "-ffp-contract=off",
                "-shared",
                "-fPIC",
                "-o",
            ])
            .args([&so, &cpp])
            .status()
            .expect("a C++ compiler, which torch-sys needs, too");
        assert!(status.success(), "the kernels do not compile as C++");
        let name = std::ffi::CString::new(so.to_str().expect("UTF-8")).expect("no NUL");
        // SAFETY: the library was just made and initialises nothing.
        let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
        assert!(!library.is_null());
        Self { library }
    }

    /// Runs `grid` blocks of a kernel.
    ///
    /// # Safety
    /// `arguments` are what the kernel takes, and its memory is large enough.
    pub(crate) unsafe fn launch(&self, name: &CStr, grid: [u32; 2], arguments: &[Argument]) {
        // On x86-64 integers and pointers are passed alike, so that one signature of eight words serves all kernels.
        let mut words = [0usize; 8];
        for (word, argument) in words.iter_mut().zip(arguments) {
            *word = match *argument {
                Argument::Pointer(value) => value as usize,
                Argument::Int(value) => value as usize,
                Argument::Long(value) => value as usize,
            };
        }
        type Kernel = unsafe extern "C" fn(usize, usize, usize, usize, usize, usize, usize, usize);
        type Place = unsafe extern "C" fn(c_int, c_int, c_int, c_int);
        // SAFETY: both are functions of the library with these signatures; the caller answers for the arguments.
        unsafe {
            let find = |name: &CStr| {
                let found = libc::dlsym(self.library, name.as_ptr());
                assert!(!found.is_null(), "there is no {name:?}");
                found
            };
            let kernel = std::mem::transmute::<*mut c_void, Kernel>(find(name));
            let place = std::mem::transmute::<*mut c_void, Place>(find(c"place"));
            let [a, b, c, d, e, f, g, h] = words;
            for y in 0..grid[1] {
                for x in 0..grid[0] {
                    place(x as c_int, y as c_int, grid[0] as c_int, grid[1] as c_int);
                    kernel(a, b, c, d, e, f, g, h);
                }
            }
        }
    }
}
