//! Batch normalisation, of maps and of vectors.

use tch::Tensor;

use crate::onnx::graph::{Graph, Value};

/// What batch normalisation computes with besides tensors.
#[derive(Debug, Clone, Copy)]
pub(super) struct NormConstants {
    /// Added to a variance.
    pub(super) eps: f64,
    /// How far the running statistics go towards those of a batch.
    pub(super) momentum: f64,
}

/// PyTorch's defaults.
pub(super) const TORCH: NormConstants = NormConstants {
    eps: 1e-5,
    momentum: 0.1,
};

/// Batch normalisation over all dimensions but the second.
#[derive(Debug)]
pub(super) struct BatchNorm {
    pub(super) constants: NormConstants,
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
    pub(super) running_mean: Tensor,
    pub(super) running_var: Tensor,
}

impl BatchNorm {
    pub(super) fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let [weight, bias, mean, var] = self.tensors().map(Some);
        let NormConstants { eps, momentum } = self.constants;
        x.batch_norm(weight, bias, mean, var, train, momentum, eps, true)
    }

    /// Adds it to a graph, as it is in evaluation: x·s + (β − μ·s), s = γ/√(σ² + ε).
    pub(super) fn add_to(&self, graph: &mut Graph, x: &Value) -> Value {
        let _no_grad = tch::no_grad_guard();
        let [weight, bias, mean, var] = self.tensors();
        let scale = weight / (var + self.eps()).sqrt(); // [C]
        graph.scale_and_shift(x, &scale, &(bias - mean * &scale))
    }

    /// What is added to a variance.
    pub(super) fn eps(&self) -> f64 {
        self.constants.eps
    }

    /// Weight, bias, running mean and running variance.
    pub(super) fn tensors(&self) -> [&Tensor; 4] {
        [
            &self.weight,
            &self.bias,
            &self.running_mean,
            &self.running_var,
        ]
    }
}
