//! What libtorch offers beyond tch: loading CUDA, devices and threads, bf16 autocast, memory formats, determinism,
//! the fused updates of `torch.optim`, and named tensors in safetensors files with deterministic bytes.

pub mod cuda;
pub mod memory;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int};
use std::path::Path;

use anyhow::{Context, Result, bail};
use logodex_schemas::train::DeviceChoice;
use safetensors::tensor::{Dtype, SafeTensors, View};
use tch::{Device, Kind, Tensor};
use torch_sys::C_tensor;

unsafe extern "C" {
    fn shim_last_error() -> *const c_char;
    fn shim_set_autocast(cuda: c_int, enabled: c_int, scalar_type: c_int) -> c_int;
    fn shim_get_autocast(cuda: c_int, enabled: *mut c_int, scalar_type: *mut c_int) -> c_int;
    fn shim_autocast_enter();
    fn shim_autocast_exit();
    fn shim_channels_last(tensor: *const C_tensor) -> *mut C_tensor;
    fn shim_clear_grad(tensor: *const C_tensor) -> c_int;
    fn shim_fused_sgd_(
        weight: *mut C_tensor,
        grad: *const C_tensor,
        momentum_buffer: *mut C_tensor,
        lr: f64,
        momentum: f64,
        weight_decay: f64,
        first_step: c_int,
    ) -> c_int;
    fn shim_fused_adam_(
        weight: *mut C_tensor,
        grad: *const C_tensor,
        exp_avg: *mut C_tensor,
        exp_avg_sq: *mut C_tensor,
        step: *const C_tensor,
        lr: f64,
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
        eps: f64,
        decoupled: c_int,
    ) -> c_int;
    fn shim_set_tf32(enabled: c_int) -> c_int;
    fn shim_set_deterministic(enabled: c_int) -> c_int;
}

/// `c10::ScalarType::BFloat16`.
const BFLOAT16: c_int = 15;

/// The shim fails only where libtorch itself is broken or a caller of this module is wrong, never on input.
#[track_caller]
fn must(code: c_int) {
    if code != 0 {
        // SAFETY: shim_last_error returns a NUL-terminated string that lives until this thread's next failing call.
        let message = unsafe { CStr::from_ptr(shim_last_error()) };
        panic!("libtorch: {}", message.to_string_lossy());
    }
}

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

/// Allows TensorFloat-32 in CUDA's matrix products and convolutions.
pub fn set_tf32(enabled: bool) {
    // SAFETY: a plain call.
    must(unsafe { shim_set_tf32(c_int::from(enabled)) });
}

/// Prefers deterministic kernels (torch warns where CUDA has none) and stops cuDNN from timing its algorithms.
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

/// `tensor.grad = None`: the next backward pass writes a fresh gradient instead of adding to an old one.
pub(crate) fn clear_grad(tensor: &Tensor) {
    // SAFETY: the pointer is a live tensor's.
    must(unsafe { shim_clear_grad(tensor.as_ptr()) });
}

/// One step of `torch.optim.SGD(fused=True)`; `momentum_buffer` comes with the momentum, and on
/// the first step it is written.
pub(crate) fn fused_sgd_(
    weight: &mut Tensor,
    grad: &Tensor,
    momentum_buffer: Option<(&mut Tensor, f64)>,
    lr: f64,
    weight_decay: f64,
    first_step: bool,
) {
    let (buffer, momentum) = match momentum_buffer {
        Some((buffer, momentum)) => (buffer.as_mut_ptr(), momentum),
        None => (std::ptr::null_mut(), 0.0),
    };
    // SAFETY: the pointers are live tensors', the buffer's may be null.
    must(unsafe {
        shim_fused_sgd_(
            weight.as_mut_ptr(),
            grad.as_ptr(),
            buffer,
            lr,
            momentum,
            weight_decay,
            c_int::from(first_step),
        )
    });
}

/// The constants of Adam.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdamConstants {
    pub(crate) betas: (f64, f64),
    pub(crate) eps: f64,
    pub(crate) weight_decay: f64,
    /// AdamW's weight decay instead of Adam's L2.
    pub(crate) decoupled: bool,
}

/// One step of `torch.optim.Adam(fused=True)` or `AdamW`; `step`, fp32 on the weight's device, counts this one too.
pub(crate) fn fused_adam_(
    weight: &mut Tensor,
    grad: &Tensor,
    (exp_avg, exp_avg_sq): (&mut Tensor, &mut Tensor),
    step: &Tensor,
    lr: f64,
    constants: AdamConstants,
) {
    // SAFETY: the pointers are live tensors'.
    must(unsafe {
        shim_fused_adam_(
            weight.as_mut_ptr(),
            grad.as_ptr(),
            exp_avg.as_mut_ptr(),
            exp_avg_sq.as_mut_ptr(),
            step.as_ptr(),
            lr,
            constants.betas.0,
            constants.betas.1,
            constants.weight_decay,
            constants.eps,
            c_int::from(constants.decoupled),
        )
    });
}

/// Writes named tensors as one safetensors file: contiguous whatever their memory format, and the same bytes for the
/// same tensors (ordered by element size, then name; no metadata).
///
/// # Errors
/// The file cannot be written, or a tensor's kind has no safetensors counterpart.
pub fn save_tensors(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
    let views = tensors
        .iter()
        .map(|(name, tensor)| {
            let view = TensorBytes::new(tensor).with_context(|| format!("tensor {name}"))?;
            Ok((name, view))
        })
        .collect::<Result<Vec<_>>>()
        .with_context(|| format!("{}: cannot be written", path.display()))?;
    safetensors::serialize_to_file(views, None, path)
        .with_context(|| format!("{}: cannot be written", path.display()))
}

/// Reads every tensor of a safetensors file onto the CPU.
///
/// # Errors
/// The file cannot be read, is no valid safetensors file, or has a kind that libtorch does not know.
pub fn load_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let bytes =
        std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let file = SafeTensors::deserialize(&bytes)
        .with_context(|| format!("{}: is not a valid safetensors file", path.display()))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        let tensor = kind_of(view.dtype())
            .and_then(|kind| {
                let size: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
                Ok(Tensor::f_from_data_size(view.data(), &size, kind)?)
            })
            .with_context(|| format!("{}: tensor {name}", path.display()))?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

/// A tensor as safetensors wants to see it; its bytes are copied out only when its turn comes.
struct TensorBytes {
    tensor: Tensor,
    shape: Vec<usize>,
    dtype: Dtype,
}

impl TensorBytes {
    fn new(tensor: &Tensor) -> Result<Self> {
        Ok(Self {
            tensor: tensor.detach(),
            shape: tensor.size().iter().map(|&n| n as usize).collect(),
            dtype: dtype_of(tensor.kind())?,
        })
    }
}

impl View for TensorBytes {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        let contiguous = self.tensor.to_device(Device::Cpu).contiguous();
        let mut bytes = vec![0; self.data_len()];
        contiguous.copy_data_u8(&mut bytes, contiguous.numel());
        Cow::Owned(bytes)
    }
    fn data_len(&self) -> usize {
        self.tensor.numel() * self.tensor.kind().elt_size_in_bytes()
    }
}

/// The kinds that a safetensors file and libtorch share.
const KINDS: [(Kind, Dtype); 10] = [
    (Kind::Bool, Dtype::BOOL),
    (Kind::Uint8, Dtype::U8),
    (Kind::Int8, Dtype::I8),
    (Kind::Int16, Dtype::I16),
    (Kind::Int, Dtype::I32),
    (Kind::Int64, Dtype::I64),
    (Kind::BFloat16, Dtype::BF16),
    (Kind::Half, Dtype::F16),
    (Kind::Float, Dtype::F32),
    (Kind::Double, Dtype::F64),
];

fn dtype_of(kind: Kind) -> Result<Dtype> {
    let found = KINDS.iter().find(|(known, _)| *known == kind);
    found
        .map(|(_, dtype)| *dtype)
        .with_context(|| format!("safetensors has no kind {kind:?}"))
}

fn kind_of(dtype: Dtype) -> Result<Kind> {
    let found = KINDS.iter().find(|(_, known)| *known == dtype);
    found
        .map(|(kind, _)| *kind)
        .with_context(|| format!("libtorch has no dtype {dtype:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_keep_their_bits_kinds_and_shapes_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let images = Tensor::arange(2 * 3 * 4 * 5, (Kind::Float, Device::Cpu)).view([2, 3, 4, 5]);
        let tensors = BTreeMap::from([
            ("b.images".to_owned(), channels_last(&images)),
            ("a.count".to_owned(), Tensor::from(7_i64)),
            (
                "c.half".to_owned(),
                Tensor::from_slice(&[1.5_f32, -2.0]).to_kind(Kind::BFloat16),
            ),
            (
                "d.empty".to_owned(),
                Tensor::zeros([0, 4], (Kind::Float, Device::Cpu)),
            ),
        ]);
        let (one, two) = (dir.path().join("1"), dir.path().join("2"));
        save_tensors(&one, &tensors).unwrap();
        let read = load_tensors(&one).unwrap();
        assert_eq!(
            read.keys().collect::<Vec<_>>(),
            tensors.keys().collect::<Vec<_>>()
        );
        for (name, tensor) in &tensors {
            assert_eq!(read[name].kind(), tensor.kind(), "{name}");
            assert_eq!(read[name], *tensor, "{name}");
        }
        save_tensors(&two, &read).unwrap();
        assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
    }

    #[test]
    fn a_broken_file_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("broken.safetensors");
        assert!(
            format!("{:#}", load_tensors(&path).unwrap_err()).contains("broken.safetensors"),
            "missing"
        );
        std::fs::write(&path, b"\xff\xff\xff\xff\xff\xff\xff\x7f{}").unwrap();
        let message = format!("{:#}", load_tensors(&path).unwrap_err());
        assert!(message.contains("broken.safetensors"), "{message}");
    }

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
