//! `[optimizer]` and `[ema]`: how the weights move, and their average.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The optimiser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Algorithm, with PyTorch's arithmetic.
    ///
    /// Source: the paper, Table 2 (`adam`), Tables 3 and 4 (`sgd`); ours (`adamw`).
    pub kind: OptimizerKind,
    /// Learning rate of the head, > 0.
    ///
    /// Unit: none.
    /// Source: the paper, Table 2 (1e-3), Table 3 (1e-1), Table 4 (1e-2); PyTorch's Adam (1e-3).
    pub lr: f64,
    /// The backbone's rate is `lr` times this, ≥ 0.
    ///
    /// Unit: none.
    /// Source: the paper, Table 2 (none: 1), Table 3 (0.03), Table 4 (0.5), section 4.4 (0.25).
    pub backbone_factor: f64,
    /// The rate of a loss's own weights (class weights, proxies) is `lr` times this, > 0.
    ///
    /// Unit: none.
    /// Source: Kim et al., CVPR 2020 (100, for proxies).
    pub loss_factor: f64,
    /// Momentum of SGD, 0 ≤ m < 1.
    ///
    /// Unit: none.
    /// Source: the paper, Table 3 (0.9).
    pub momentum: f64,
    /// Nesterov's momentum, SGD only.
    ///
    /// Source: Sutskever et al., ICML 2013; the paper has none.
    pub nesterov: bool,
    /// Weight decay: L2 for `sgd` and `adam`, decoupled for `adamw`; ≥ 0.
    ///
    /// Unit: none.
    /// Source: the paper, Tables 2 and 4 (0), Table 3 (1e-4); Loshchilov & Hutter, ICLR 2019 (decoupled).
    pub weight_decay: f64,
    /// Whether weight decay also pulls at what has one dimension: weights and biases of BatchNorm, biases of layers, GeM's
    /// exponent. False leaves these out, which are few and scale what the others give.
    ///
    /// Source: PyTorch (true); He et al., CVPR 2019, "Bag of Tricks" (false).
    pub decay_norms_and_biases: bool,
    /// Scale the gradients of a step down to this Euclidean norm over all parameters, > 0
    /// (`torch.nn.utils.clip_grad_norm_`); not set, they are not clipped.
    ///
    /// Unit: Euclidean norm of the gradient.
    /// Source: Pascanu et al., ICML 2013; the paper has none.
    pub clip_norm: Option<f64>,
    /// A step of the optimiser takes the mean gradient of so many batches, ≥ 1; the last of an epoch that of those that
    /// remain.
    ///
    /// Unit: batches.
    /// Source: ours.
    pub accumulate: u32,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adamw,
            lr: 1e-3,
            backbone_factor: 1.0,
            loss_factor: 1.0,
            momentum: 0.9,
            nesterov: false,
            weight_decay: 0.0,
            decay_norms_and_biases: true,
            clip_norm: None,
            accumulate: 1,
        }
    }
}

/// Which optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum, `torch.optim.SGD`.
    Sgd,
    /// Kingma & Ba, ICLR 2015, `torch.optim.Adam`: betas 0.9 and 0.999, eps 1e-8.
    Adam,
    /// Loshchilov & Hutter, ICLR 2019, `torch.optim.AdamW`: betas 0.9 and 0.999, eps 1e-8.
    Adamw,
}

/// Exponential moving average of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmaConfig {
    /// After each step: average = decay · average + (1 − decay) · weight; 0 < decay < 1.
    ///
    /// Unit: none.
    /// Source: Tarvainen & Valpola, NeurIPS 2017 (0.999).
    pub decay: f64,
}
