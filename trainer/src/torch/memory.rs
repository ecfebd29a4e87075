//! Memory between host and device: pinned buffers, small copies that nothing waits for, and how much is free.

use std::ffi::{c_int, c_void};

use anyhow::{Result, bail};
use tch::{Device, Kind, Tensor};
use torch_sys::C_tensor;

unsafe extern "C" {
    fn shim_pinned(sizes: *const i64, n_sizes: c_int) -> *mut C_tensor;
}

/// Uninitialised u8 in main memory of which a copy to `device` can overlap with computing: pinned where that is CUDA.
/// libtorch keeps pinned memory for the next such tensor, once this one and the copies from it are done.
///
/// # Errors
/// There is too little memory, or too little that may be pinned.
pub fn host_bytes(shape: &[i64], device: Device) -> Result<Tensor> {
    if !device.is_cuda() {
        return Ok(Tensor::f_empty(shape, (Kind::Uint8, Device::Cpu))?);
    }
    // SAFETY: the pointer is to as many numbers as are said; the result, unless null, is a new tensor that from_ptr takes
    // over.
    unsafe {
        let pinned = shim_pinned(shape.as_ptr(), shape.len() as c_int);
        if pinned.is_null() {
            bail!("cannot pin memory for pictures of shape {shape:?}");
        }
        Ok(Tensor::from_ptr(pinned))
    }
}

/// A few numbers for the device; the calling thread does not wait for what the device still has to do before.
pub fn upload(values: Tensor, device: Device) -> Tensor {
    if !device.is_cuda() {
        return values;
    }
    let (kind, n_bytes) = (
        values.kind(),
        values.numel() * values.kind().elt_size_in_bytes(),
    );
    // `Tensor::pin_memory` would do, but tch gives it a device, of which libtorch 2.11 complains at every call.
    match host_bytes(&[n_bytes as i64], device) {
        Ok(bytes) => {
            let mut pinned = bytes.view_dtype(kind).view(values.size().as_slice());
            pinned.copy_(&values);
            pinned.to_device_(device, kind, true, false)
        }
        Err(_) => values.to_device(device),
    }
}

/// Bytes that are free on a CUDA device, as its driver says; `None` on the CPU.
pub fn free_bytes(device: Device) -> Option<u64> {
    type MemGetInfo = unsafe extern "C" fn(*mut usize, *mut usize) -> c_int;
    if !device.is_cuda() {
        return None;
    }
    // SAFETY: libtorch_cuda.so, which made the device, has brought CUDA's runtime along, of which this is a function with
    // this signature; both pointers are to live numbers.
    unsafe {
        let found: *mut c_void = libc::dlsym(libc::RTLD_DEFAULT, c"cudaMemGetInfo".as_ptr());
        if found.is_null() {
            return None;
        }
        let mem_get_info = std::mem::transmute::<*mut c_void, MemGetInfo>(found);
        let (mut free, mut total) = (0, 0);
        (mem_get_info(&mut free, &mut total) == 0).then_some(free as u64)
    }
}
