//! `[runtime]`: where and in what arithmetic a run computes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where and in what arithmetic a run computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RuntimeConfig {
    /// What computes.
    ///
    /// Source: ours; the paper ran on one A100 (section 4.8).
    pub device: DeviceChoice,
    /// Arithmetic of the backbone; losses are always computed in fp32.
    ///
    /// Source: PyTorch (`fp32`).
    pub precision: Precision,
    /// Where the training pictures lie.
    ///
    /// Source: ours.
    pub residency: Residency,
    /// Channels-last memory layout of activations and weights: faster, with the same numbers but for rounding.
    ///
    /// Source: ours; PyTorch's own is false.
    pub channels_last: bool,
    /// CPU threads of libtorch; 0 is one per core, and where a run continues as many as it began with. Results are bit for
    /// bit the same only for the same number.
    ///
    /// Unit: threads.
    /// Source: PyTorch (one per core).
    pub threads: u32,
    /// On CUDA: deterministic kernels where there are any, so that a run repeats, at some cost in speed; otherwise cuDNN
    /// times its algorithms and takes the fastest. A CPU always repeats.
    ///
    /// Source: PyTorch (`torch.backends.cudnn.deterministic`, false).
    pub deterministic: bool,
    /// Compute what frozen stages give of each view of each picture once, keep it in the run's folder while it trains, and
    /// read it in every step, in files of at most so many GiB, > 0; not set, every step computes it. A freeze level whose
    /// output is larger is computed as without. Needs `schedule.freeze` and, with `[augment]`, `augment.views`.
    ///
    /// Unit: GiB.
    /// Source: Quaterion (caching of frozen encoders); ours.
    pub feature_cache_gib: Option<f64>,
    /// Folder that keeps them beyond the run, for others that would compute the same: the same dataset, pictures, frozen
    /// weights, views and seed. Nothing in it is ever deleted; it may be at any time. Not set, they lie in the run's folder
    /// until it is done.
    ///
    /// Source: ours.
    pub feature_cache_dir: Option<String>,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            device: DeviceChoice::Auto,
            precision: Precision::Fp32,
            residency: Residency::Host,
            channels_last: true,
            threads: 0,
            deterministic: false,
            feature_cache_gib: None,
            feature_cache_dir: None,
        }
    }
}

/// Where the training pictures lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Residency {
    /// In the shards, mapped: each batch is gathered into pinned memory and copied while the one before is computed.
    Host,
    /// On the device, read once at the start: a batch is an index. Raw shards only; an error where they do not fit.
    Device,
}

/// Device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// CUDA where there is one, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The first CUDA device; an error where there is none.
    Cuda,
}

/// Arithmetic of the backbone. Losses are always computed in fp32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floating point.
    Fp32,
    /// TensorFloat-32 on CUDA; the same as `fp32` on a CPU.
    Tf32,
    /// bfloat16 autocast, weights in fp32.
    Bf16,
}
