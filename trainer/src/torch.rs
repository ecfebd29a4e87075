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

use std::ffi::c_int;

use anyhow::{Result, bail};
use logodex_schemas::train::DeviceChoice;
use tch::{Device, Tensor};
use torch_sys::C_tensor;

use shim::must;
pub use tensors::{load_tensors, save_tensors};

unsafe extern "C" {
    fn shim_set_autocast(cuda: c_int, enabled: c_int, scalar_type: c_int) -> c_int;
    fn shim_get_autocast(cuda: c_int, enabled: *mut c_int, scalar_type: *mut c_int) -> c_int;
    fn shim_autocast_enter();
    fn shim_autocast_exit();
    fn shim_channels_last(tensor: *const C_tensor) -> *mut C_tensor;
    fn shim_set_tf32(enabled: c_int) -> c_int;
    fn shim_set_deterministic(enabled: c_int) -> c_int;
}

/// `c10::ScalarType::BFloat16`.
const BFLOAT16: c_int = 15;

/// Loads libtorch's CUDA half when a complete torch is on the loader's path; false on a CPU-only machine.
///
/// CUDA hooks are looked up once, so this must be the first act of `main`, before any tensor.
pub fn load_cuda_backend() -> bool {
    let flags = libc::RTLD_NOW | libc::RTLD_GLOBAL;
    // SAFETY: the name is NUL-terminated; the library's initialisers are torch's own and it is never closed.
    unsafe { !libc::dlopen(c"libtorch_cuda.so".as_ptr(), flags).is_null() }
}

/// The device that a configuration names: `auto` is the first CUDA device where there is one, else the CPU.
///
/// # Errors
/// `cuda` on a machine where libtorch sees no CUDA device: a configuration error.
pub fn select_device(choice: DeviceChoice) -> Result<Device> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Auto => Ok(Device::cuda_if_available()),
        DeviceChoice::Cuda if tch::Cuda::is_available() => Ok(Device::Cuda(0)),
        DeviceChoice::Cuda => bail!(
            "runtime.device = \"cuda\", but libtorch finds no CUDA device; use \"auto\" or \"cpu\", or put the lib \
             folder of a complete torch {} on LD_LIBRARY_PATH",
            "2.11.0"
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
        shim_autocast_enter();
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
/// for the same number.
pub fn set_threads(n: u32) {
    let per_core = || std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let threads = if n == 0 { per_core() } else { n as usize };
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
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
    fn a_cuda_device_is_refused_where_there_is_none() {
        if !tch::Cuda::is_available() {
            assert!(select_device(DeviceChoice::Cuda).is_err());
            assert_eq!(select_device(DeviceChoice::Auto).unwrap(), Device::Cpu);
        }
    }
}
