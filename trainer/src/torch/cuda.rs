//! Copies that overlap with computing, and the GPU's memory. On the CPU a copy is none and there is nothing to measure.

use std::ffi::{c_int, c_void};

use tch::{Device, Tensor};
use torch_sys::C_tensor;

use super::shim::must;

unsafe extern "C" {
    fn shim_new_stream(device: c_int, stream: *mut i64) -> c_int;
    fn shim_upload(
        device: c_int,
        stream: i64,
        host: *const C_tensor,
        event: *mut *mut c_void,
    ) -> *mut C_tensor;
    fn shim_await_upload(uploaded: *const C_tensor, event: *const c_void) -> c_int;
    fn shim_free_event(event: *mut c_void) -> c_int;
    fn shim_peak_memory(device: c_int, bytes: *mut i64) -> c_int;
    fn shim_reset_peak_memory(device: c_int) -> c_int;
}

/// A stream of the device that copies while its default stream computes.
#[derive(Debug)]
pub struct CopyStream {
    device: Device,
    /// None on the CPU.
    stream: Option<i64>,
}

/// A tensor on its way to the device.
#[derive(Debug)]
#[must_use = "wait for it"]
pub struct Upload {
    tensor: Tensor,
    done: Option<Event>,
}

/// Reached by the copy's stream once the copy is done.
#[derive(Debug)]
struct Event(*mut c_void);

// SAFETY: a CUDA event belongs to its device and not to a thread, and only its owner uses it.
unsafe impl Send for Event {}

impl CopyStream {
    /// A stream of `device`; on the CPU, none.
    pub fn new(device: Device) -> Self {
        let stream = index(device).map(|index| {
            let mut stream = 0;
            // SAFETY: the pointer is to a live number.
            must(unsafe { shim_new_stream(index, &mut stream) });
            stream
        });
        Self { device, stream }
    }

    /// Starts copying `host` to the device and returns at once if it lies in pinned memory, which may then be dropped
    /// (libtorch keeps it until the copy is done) but not written. On the CPU the upload is `host` itself.
    pub fn upload(&self, host: &Tensor) -> Upload {
        let (Some(device), Some(stream)) = (index(self.device), self.stream) else {
            return Upload {
                tensor: host.shallow_clone(),
                done: None,
            };
        };
        let mut event = std::ptr::null_mut();
        // SAFETY: the pointers are a live tensor's and a live pointer's; the result, unless null, is a new tensor that
        // from_ptr takes over, and `event` is then a new event that is freed once.
        unsafe {
            let tensor = shim_upload(device, stream, host.as_ptr(), &mut event);
            must(c_int::from(tensor.is_null()));
            Upload {
                tensor: Tensor::from_ptr(tensor),
                done: Some(Event(event)),
            }
        }
    }
}

impl Upload {
    /// The tensor on the device. What the calling thread launches on it from now on runs after the copy; the thread
    /// itself does not wait.
    pub fn wait(self) -> Tensor {
        if let Some(event) = &self.done {
            // SAFETY: both pointers are to live objects.
            must(unsafe { shim_await_upload(self.tensor.as_ptr(), event.0) });
        }
        self.tensor
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: made by shim_upload, freed here only.
        // A failure could only leave it unfreed.
        unsafe { shim_free_event(self.0) };
    }
}

/// The most bytes that tensors have held on the device since [`reset_peak_memory`]; `None` on the CPU.
pub fn peak_memory(device: Device) -> Option<u64> {
    let device = index(device)?;
    let mut bytes = 0;
    // SAFETY: the pointer is to a live number.
    must(unsafe { shim_peak_memory(device, &mut bytes) });
    u64::try_from(bytes).ok()
}

/// Counts the peak from here on.
pub fn reset_peak_memory(device: Device) {
    if let Some(device) = index(device) {
        // SAFETY: a plain call.
        must(unsafe { shim_reset_peak_memory(device) });
    }
}

/// Waits until the device has done everything that was launched; on the CPU, nothing.
pub fn synchronize(device: Device) {
    if let Some(device) = index(device) {
        tch::Cuda::synchronize(i64::from(device));
    }
}

fn index(device: Device) -> Option<c_int> {
    match device {
        Device::Cuda(index) => c_int::try_from(index).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_the_cpu_an_upload_is_the_tensor_itself_and_nothing_is_measured() {
        let host = Tensor::from_slice(&[1_u8, 2, 3]);
        let uploaded = CopyStream::new(Device::Cpu).upload(&host).wait();
        assert_eq!(uploaded.data_ptr(), host.data_ptr());
        synchronize(Device::Cpu);
        reset_peak_memory(Device::Cpu);
        assert_eq!(peak_memory(Device::Cpu), None);
    }

    #[test]
    fn on_a_gpu_an_upload_holds_the_same_numbers_and_counts_as_memory() {
        // Without CUDA there is nothing to run: the test above holds there.
        if let device @ Device::Cuda(_) = Device::cuda_if_available() {
            let host = Tensor::from_slice(&[7_u8; 4096]).pin_memory(device);
            let uploaded = CopyStream::new(device).upload(&host).wait();
            assert_eq!(uploaded.to_device(Device::Cpu), host);
            assert!(peak_memory(device).is_some_and(|bytes| bytes >= 4096));
        }
    }
}
