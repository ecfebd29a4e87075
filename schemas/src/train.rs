//! One experiment: the TOML file that `logodex-train fit` takes.
//!
//! Every table and key that has a default may be left out; unknown keys are refused. What the combination must fulfil
//! is checked in the trainer before any data is read.
//!
//! Here is the whole; each table lies in a file of its name.
//!
//! `logodex-train config --explain` is printed from the JSON Schema of these types, so the comments are its text: the
//! meaning, then a line `Unit:` for a number and a line `Source:` for where the key, or its usual value, comes from. A
//! default is never told in words: it is in the type. `the paper` is Few-Shot Logo Recognition; tables and sections are
//! its own.

mod augment;
mod checkpoint;
mod data;
mod loss;
mod miner;
mod model;
mod optimizer;
mod runtime;
mod schedule;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use augment::AugmentConfig;
pub use checkpoint::{BestBy, CheckpointConfig};
pub use data::{DataConfig, SamplerKind};
pub use loss::LossConfig;
pub use miner::{MemoryConfig, MinerConfig};
pub use model::{Arch, Head, ModelConfig, Pooling};
pub use optimizer::{EmaConfig, OptimizerConfig, OptimizerKind};
pub use runtime::{DeviceChoice, Precision, Residency, RuntimeConfig};
pub use schedule::{LrSchedule, ScheduleConfig, Unfreeze};

/// An experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Seed of everything random: initialisation, sampling, augmentation, dropout.
    ///
    /// Unit: none.
    /// Source: the paper's authors (42).
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// The network.
    pub model: ModelConfig,
    /// What is minimised.
    pub loss: LossConfig,
    /// How the weights move.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Epochs, rates over them, frozen stages.
    pub schedule: ScheduleConfig,
    /// Batches and the part of the folds that is used.
    #[serde(default)]
    pub data: DataConfig,
    /// Which pairs or triplets of a `pk` batch the loss sees.
    #[serde(default)]
    pub miner: MinerConfig,
    /// Cross-batch memory (Wang et al., CVPR 2020): embeddings of past batches as further references of a pair loss;
    /// without this table there is none.
    #[serde(default)]
    pub memory: Option<MemoryConfig>,
    /// Augmentation of training images; without this table there is none.
    #[serde(default)]
    pub augment: Option<AugmentConfig>,
    /// Exponential moving average of the weights, which is then what is validated and embedded; without this table
    /// there is none.
    #[serde(default)]
    pub ema: Option<EmaConfig>,
    /// Which checkpoints are kept, and when a run may end early.
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// Where and in what arithmetic it runs.
    #[serde(default)]
    pub runtime: RuntimeConfig,
}

fn default_seed() -> u64 {
    42
}

/// The combinations of a grid, as `logodex-train sweep --grid` takes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepGrid {
    /// A configuration, relative to the grid's own folder.
    pub base: String,
    /// Dotted key of the configuration → the list of its values; every combination is a run.
    pub grid: serde_json::Map<String, serde_json::Value>,
}

impl TrainConfig {
    /// What a batch is made of: `data.sampler`, else the loss's default.
    pub fn sampler(&self) -> SamplerKind {
        let pk = self.miner != MinerConfig::None || self.memory.is_some();
        self.data.sampler.unwrap_or(match self.loss {
            _ if pk => SamplerKind::Pk,
            LossConfig::Triplet { .. } => SamplerKind::Triplets,
            LossConfig::ContrastiveEuclidean { .. } | LossConfig::ContrastiveCosine { .. } => {
                SamplerKind::Pairs
            }
            LossConfig::NormSoftmax { .. }
            | LossConfig::ArcFace { .. }
            | LossConfig::ProxyAnchor { .. } => SamplerKind::Images,
            LossConfig::MultiSimilarity { .. }
            | LossConfig::SupCon { .. }
            | LossConfig::Circle { .. } => SamplerKind::Pk,
        })
    }
}
