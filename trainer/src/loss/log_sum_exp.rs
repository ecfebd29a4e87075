//! Logarithms of sums of exponentials over the masked values of a tensor, without overflow.

use tch::Tensor;

/// ln Σ exp(x) over the masked values along `dim`; 0 where there are none.
pub(super) fn log_sum_exp(x: &Tensor, mask: &Tensor, dim: i64) -> Tensor {
    let masked = x.masked_fill(&mask.logical_not(), f64::from(f32::MIN));
    masked
        .logsumexp([dim].as_slice(), false)
        .masked_fill(&mask.any_dim(dim, false).logical_not(), 0.0)
}

/// ln(1 + Σ exp(x)) over the masked values along `dim`; 0 where there are none.
pub(super) fn log_one_plus_sum_exp(x: &Tensor, mask: &Tensor, dim: i64) -> Tensor {
    let masked = x.masked_fill(&mask.logical_not(), f64::from(f32::MIN));
    let one = masked.narrow(dim, 0, 1).zeros_like().detach(); // exp(0) = 1
    Tensor::cat(&[masked, one], dim).logsumexp([dim].as_slice(), false)
}
