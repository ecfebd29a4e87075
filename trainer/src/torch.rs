//! What libtorch offers beyond tch: loading CUDA, devices and threads, bf16 autocast, memory formats, determinism; here
//! below, what works on gradients ([`fused`]), copies that overlap with computing ([`cuda`]), memory they start from
//! ([`memory`]) and files ([`tensors`]).
//!
//! All of it compiles and links without CUDA: `cpp/shim.cpp` calls libtorch's device-independent half only, which hands
//! on to `libtorch_cuda.so` where that was loaded.

pub(crate) mod bias_relu;
pub mod cuda;
#[cfg(test)]
pub(crate) mod emulated;
pub(crate) mod fused;
pub(crate) mod kernels;
pub mod memory;
mod shim;
mod tensors;

use std::ffi::{CStr, c_char, c_int};
use std::sync::OnceLock;

use anyhow::{Result, bail};
use logodex_schemas::train::DeviceChoice;
use tch::{Device, Tensor};
use torch_sys::C_tensor;

use shim::must;
pub(crate) use tensors::dtype_of;
pub use tensors::{is_finite, load_tensors, save_tensors, save_with_history};

unsafe extern "C" {
    fn shim_manual_seed(seed: i64) -> c_int;
    fn shim_set_autocast(cuda: c_int, enabled: c_int, scalar_type: c_int) -> c_int;
    fn shim_get_autocast(cuda: c_int, enabled: *mut c_int, scalar_type: *mut c_int) -> c_int;
    fn shim_autocast_enter() -> c_int;
    fn shim_autocast_exit() -> c_int;
    fn shim_build_settings(text: *mut c_char, room: usize) -> c_int;
    fn shim_channels_last(tensor: *const C_tensor) -> *mut C_tensor;
    fn shim_set_tf32(enabled: c_int) -> c_int;
    fn shim_set_deterministic(enabled: c_int) -> c_int;
}

/// `c10::ScalarType::BFloat16`.
const BFLOAT16: c_int = 15;

/// The torch that the program is built for.
const VERSION: &str = "2.11.0";
const CUDA_LIBRARY: &CStr = c"libtorch_cuda.so";
/// Why CUDA's library is there and does not load. [`select_device`] tells it, once logs can be written.
static CUDA_FAILURE: OnceLock<String> = OnceLock::new();

/// Loads libtorch's CUDA half when a complete torch is on the loader's path; false on a CPU-only machine.
///
/// CUDA hooks are looked up once, so this must be the first act of `main`, before any tensor.
pub fn load_cuda_backend() -> bool {
    match load(CUDA_LIBRARY) {
        Ok(()) => true,
        Err(why) => {
            if !is_absent(CUDA_LIBRARY, &why) {
                CUDA_FAILURE.get_or_init(|| why);
            }
            false
        }
    }
}

/// The loader's own words where it cannot.
fn load(library: &CStr) -> Result<(), String> {
    let flags = libc::RTLD_NOW | libc::RTLD_GLOBAL;
    // SAFETY: the name is NUL-terminated; the library's initialisers are torch's own and it is never closed. dlerror gives
    // null or a string that lives until this thread's next call of the loader.
    unsafe {
        if !libc::dlopen(library.as_ptr(), flags).is_null() {
            return Ok(());
        }
        match libc::dlerror() {
            why if why.is_null() => Err("no reason is given".to_owned()),
            why => Err(CStr::from_ptr(why).to_string_lossy().into_owned()),
        }
    }
}

/// Is the library itself not there, rather than one that it needs or a symbol in it?
fn is_absent(library: &CStr, why: &str) -> bool {
    let start = format!(
        "{}: cannot open shared object file",
        library.to_string_lossy()
    );
    why.starts_with(&start) && why.contains("No such file")
}

/// Another torch on the loader's path takes the place of the one that the program is built for: what it computes, and
/// whether it does, cannot be known.
fn check_version(build_settings: &str) -> Result<()> {
    let found = build_settings
        .split([',', ' ', '\n'])
        .find_map(|word| word.strip_prefix("TORCH_VERSION="))
        .unwrap_or("unknown");
    match found.split('+').next() == Some(VERSION) {
        true => Ok(()),
        false => bail!(
            "the libtorch that was loaded is of version {found}, but the program is built for {VERSION}: take the other one's lib folder off LD_LIBRARY_PATH, or put that of torch {VERSION} there"
        ),
    }
}

/// What libtorch says it was built with, as `torch.__config__.show()` does.
fn build_settings() -> String {
    let mut text = vec![0_u8; 8192];
    // SAFETY: the pointer is to as many writable bytes as are told, of which the last written is 0.
    must(unsafe { shim_build_settings(text.as_mut_ptr().cast(), text.len()) });
    let text = CStr::from_bytes_until_nul(&text).unwrap_or_default();
    text.to_string_lossy().into_owned()
}

/// The device that a configuration names: `auto` is the first CUDA device where there is one, else the CPU.
///
/// # Errors
/// `cuda` on a machine where libtorch sees no CUDA device: a configuration error. Another version of libtorch.
pub fn select_device(choice: DeviceChoice) -> Result<Device> {
    check_version(&build_settings())?;
    let failure = CUDA_FAILURE.get().filter(|_| choice != DeviceChoice::Cpu);
    if let Some(why) = failure {
        tracing::warn!("CUDA's half of libtorch cannot be loaded: {why}");
    }
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Auto => Ok(Device::cuda_if_available()),
        DeviceChoice::Cuda if tch::Cuda::is_available() => Ok(Device::Cuda(0)),
        DeviceChoice::Cuda => bail!(
            "runtime.device = \"cuda\", but libtorch finds no CUDA device{}; use \"auto\" or \"cpu\", or put the lib \
             folder of a complete torch {VERSION} on LD_LIBRARY_PATH",
            failure.map_or_else(String::new, |why| format!(" ({why})"))
        ),
    }
}

/// Runs `f` with bfloat16 autocast switched on or off for the device, and restores what was before, also on a panic.
///
/// With `enabled` false it is an island of fp32 inside a surrounding autocast region.
pub fn autocast_bf16<R>(device: Device, enabled: bool, f: impl FnOnce() -> R) -> R {
    struct Restore {
        cuda: c_int,
        enabled: c_int,
        scalar_type: c_int,
    }
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: plain calls; each undoes one made below. A failure here could only repeat one seen there.
            unsafe {
                shim_autocast_exit();
                shim_set_autocast(self.cuda, self.enabled, self.scalar_type);
            }
        }
    }
    let mut restore = Restore {
        cuda: c_int::from(device.is_cuda()),
        enabled: 0,
        scalar_type: BFLOAT16,
    };
    // SAFETY: both pointers are to live fields.
    must(unsafe {
        shim_get_autocast(restore.cuda, &mut restore.enabled, &mut restore.scalar_type)
    });
    // SAFETY: plain calls; the guard undoes both.
    unsafe {
        must(shim_set_autocast(
            restore.cuda,
            c_int::from(enabled),
            BFLOAT16,
        ));
        must(shim_autocast_enter());
    }
    let _restore = restore;
    f()
}

/// A 4-D tensor in channels-last memory format (the shape stays [N, C, H, W]); any other is returned as it is.
pub fn channels_last(t: &Tensor) -> Tensor {
    if t.dim() != 4 {
        return t.shallow_clone();
    }
    // SAFETY: the pointer is a live tensor's; the result, unless null, is a new tensor that from_ptr takes over.
    unsafe {
        let out = shim_channels_last(t.as_ptr());
        must(c_int::from(out.is_null()));
        Tensor::from_ptr(out)
    }
}

/// Seeds libtorch's global generators, of every device.
pub fn manual_seed(seed: i64) {
    // SAFETY: a plain call.
    must(unsafe { shim_manual_seed(seed) });
}

/// Allows TensorFloat-32 in CUDA's convolutions. Matrix products (heads, losses) stay fp32.
pub fn set_tf32(enabled: bool) {
    // SAFETY: a plain call.
    must(unsafe { shim_set_tf32(c_int::from(enabled)) });
}

/// Prefers deterministic kernels (torch warns where CUDA has none) and takes cuDNN's first choice of algorithm, or lets
/// cuDNN time its algorithms at the first batch of each shape and take the fastest (`torch.backends.cudnn.benchmark`).
pub fn set_deterministic(enabled: bool) {
    // SAFETY: a plain call.
    must(unsafe { shim_set_deterministic(c_int::from(enabled)) });
}

/// CPU threads that libtorch uses for what the calling thread computes; 0 is one per core. OpenMP keeps the number for
/// each calling thread, so call it on the thread that trains. Sums are split over them: results are the same bits only
/// for the same number, which is returned.
pub fn set_threads(n: u32) -> u32 {
    let per_core = || std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let threads = if n == 0 { per_core() } else { n as usize };
    let threads = i32::try_from(threads).unwrap_or(i32::MAX);
    tch::set_num_threads(threads);
    threads.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn autocast_reaches_as_far_as_its_closure_also_when_it_panics() {
        let x = Tensor::ones([4, 4], (Kind::Float, Device::Cpu));
        let product = || x.matmul(&x).kind();
        let cpu = Device::Cpu;
        let (outer, island) = autocast_bf16(cpu, true, || {
            (product(), autocast_bf16(cpu, false, product))
        });
        assert_eq!((outer, island), (Kind::BFloat16, Kind::Float));
        assert_eq!(product(), Kind::Float);
        let panicked = std::panic::catch_unwind(|| autocast_bf16(cpu, true, || panic!("inside")));
        assert!(panicked.is_err());
        assert_eq!(product(), Kind::Float);
    }

    #[test]
    fn another_torch_is_refused_by_its_version() {
        check_version(&build_settings()).expect("the one that was fetched");
        for other in ["2.10.0", "2.11.1+cu128", "2.12.0"] {
            let settings =
                format!("Build settings: USE_MKL=1, TORCH_VERSION={other}, USE_NCCL=0, ");
            let told = check_version(&settings).unwrap_err().to_string();
            assert!(
                told.contains(other) && told.contains("LD_LIBRARY_PATH"),
                "{told}"
            );
        }
        assert!(check_version("nothing").is_err());
    }

    #[test]
    fn a_library_that_is_there_and_does_not_load_is_no_missing_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("libtorch_cuda.so");
        std::fs::write(&path, "no library").unwrap();
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let why = load(&name).unwrap_err();
        assert!(!is_absent(&name, &why), "{why}");
        std::fs::remove_file(&path).unwrap();
        let why = load(&name).unwrap_err();
        assert!(is_absent(&name, &why), "{why}");
        let needed = "libcudart.so.12: cannot open shared object file: No such file or directory";
        assert!(!is_absent(CUDA_LIBRARY, needed));
    }

    #[test]
    fn a_cuda_device_is_refused_where_there_is_none() {
        if !tch::Cuda::is_available() {
            assert!(select_device(DeviceChoice::Cuda).is_err());
            assert_eq!(select_device(DeviceChoice::Auto).unwrap(), Device::Cpu);
        }
    }
}
