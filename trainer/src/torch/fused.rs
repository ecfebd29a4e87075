//! What works on gradients, for all parameters in one call: on a GPU a call for each costs more than its arithmetic.

use std::ffi::c_int;

use tch::{Kind, Tensor};
use torch_sys::C_tensor;

use super::shim::must;

unsafe extern "C" {
    fn shim_clear_grad(tensor: *const C_tensor) -> c_int;
    fn shim_grad_norm(tensors: *const *mut C_tensor, n: c_int) -> *mut C_tensor;
    fn shim_clip_grads_(
        tensors: *const *mut C_tensor,
        n: c_int,
        norm: *const C_tensor,
        max_norm: f64,
    ) -> c_int;
    fn shim_fused_sgd_(
        weights: *const *mut C_tensor,
        grads: *const *mut C_tensor,
        buffers: *const *mut C_tensor,
        n: c_int,
        lr: f64,
        momentum: f64,
        weight_decay: f64,
        nesterov: c_int,
        first_step: c_int,
    ) -> c_int;
    fn shim_fused_adam_(
        weights: *const *mut C_tensor,
        grads: *const *mut C_tensor,
        exp_avgs: *const *mut C_tensor,
        exp_avg_sqs: *const *mut C_tensor,
        steps: *const *mut C_tensor,
        n: c_int,
        lr: f64,
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
        eps: f64,
        decoupled: c_int,
    ) -> c_int;
}

/// The pointers of live tensors, as the shim takes them.
fn pointers<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Vec<*mut C_tensor> {
    tensors.into_iter().map(|t| t.as_ptr().cast_mut()).collect()
}

/// `tensor.grad = None`: the next backward pass writes a fresh gradient instead of adding to an old one.
pub(crate) fn clear_grad(tensor: &Tensor) {
    // SAFETY: the pointer is a live tensor's.
    must(unsafe { shim_clear_grad(tensor.as_ptr()) });
}

/// The Euclidean norm over all gradients of `tensors`, on their device; at least one has a gradient.
pub(crate) fn grad_norm<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Tensor {
    let tensors = pointers(tensors);
    // SAFETY: the pointers are live tensors'; the result, unless null, is a new tensor that from_ptr takes over.
    unsafe {
        let norm = shim_grad_norm(tensors.as_ptr(), tensors.len() as c_int);
        must(c_int::from(norm.is_null()));
        Tensor::from_ptr(norm)
    }
}

/// Multiplies all gradients of `tensors` by min(1, max_norm / (norm + 1e-6)).
pub(crate) fn clip_grads_<'a>(
    tensors: impl IntoIterator<Item = &'a Tensor>,
    norm: &Tensor,
    max_norm: f64,
) {
    let tensors = pointers(tensors);
    // SAFETY: the pointers are live tensors'.
    must(unsafe {
        shim_clip_grads_(
            tensors.as_ptr(),
            tensors.len() as c_int,
            norm.as_ptr(),
            max_norm,
        )
    });
}

/// The constants of SGD.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SgdConstants {
    pub(crate) momentum: f64,
    pub(crate) nesterov: bool,
    pub(crate) weight_decay: f64,
}

/// One step of `torch.optim.SGD(fused=True)`. `buffers` is empty without momentum; on their first step they are written.
pub(crate) fn sgd_(
    weights: &[Tensor],
    grads: &[Tensor],
    buffers: &[Tensor],
    first_step: bool,
    lr: f64,
    constants: SgdConstants,
) {
    assert!(grads.len() == weights.len());
    assert!(buffers.is_empty() || buffers.len() == weights.len());
    let (weights, grads, buffers) = (pointers(weights), pointers(grads), pointers(buffers));
    let buffers = match buffers.is_empty() {
        true => std::ptr::null(),
        false => buffers.as_ptr(),
    };
    // SAFETY: lists of equally many live tensors, or null.
    must(unsafe {
        shim_fused_sgd_(
            weights.as_ptr(),
            grads.as_ptr(),
            buffers,
            weights.len() as c_int,
            lr,
            constants.momentum,
            constants.weight_decay,
            c_int::from(constants.nesterov),
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

/// One step of `torch.optim.Adam(fused=True)` or `AdamW`; `steps`, fp32 on the weights' device, count this one too.
pub(crate) fn adam_(
    weights: &[Tensor],
    grads: &[Tensor],
    (exp_avgs, exp_avg_sqs): (&[Tensor], &[Tensor]),
    steps: &[Tensor],
    lr: f64,
    constants: AdamConstants,
) {
    let n = weights.len();
    assert!([grads.len(), exp_avgs.len(), exp_avg_sqs.len(), steps.len()] == [n; 4]);
    let (weights, grads, steps) = (pointers(weights), pointers(grads), pointers(steps));
    let (exp_avgs, exp_avg_sqs) = (pointers(exp_avgs), pointers(exp_avg_sqs));
    // SAFETY: lists of equally many live tensors.
    must(unsafe {
        shim_fused_adam_(
            weights.as_ptr(),
            grads.as_ptr(),
            exp_avgs.as_ptr(),
            exp_avg_sqs.as_ptr(),
            steps.as_ptr(),
            n as c_int,
            lr,
            constants.betas.0,
            constants.betas.1,
            constants.weight_decay,
            constants.eps,
            c_int::from(constants.decoupled),
        )
    });
}

/// A count of steps as the fused kernels read it, filled on the device of `like` so that nothing is copied there.
pub(crate) fn step_count(step: i64, like: &Tensor) -> Tensor {
    Tensor::full([0_i64; 0], step as f64, (Kind::Float, like.device()))
}
