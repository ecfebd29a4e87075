//! One experiment: the TOML file that `logodex-train fit` takes.
//!
//! Every table and key may be left out unless its description says otherwise; unknown keys are refused. What the
//! combination must fulfil is checked in the trainer before any data is read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dataset::Region;

/// An experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Seed of everything random: initialisation, sampling, augmentation, dropout. Default 42.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// The network. Required.
    pub model: ModelConfig,
    /// What is minimised. Required.
    pub loss: LossConfig,
    /// How the weights move.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Epochs, rates over them, frozen stages. Required.
    pub schedule: ScheduleConfig,
    /// Batches and the part of the folds that is used.
    #[serde(default)]
    pub data: DataConfig,
    /// Augmentation of training images; without this table there is none.
    #[serde(default)]
    pub augment: Option<AugmentConfig>,
    /// Where and in what arithmetic it runs.
    #[serde(default)]
    pub runtime: RuntimeConfig,
}

fn default_seed() -> u64 {
    42
}

/// The network: a ResNet with torchvision's parameter names whose `fc` is an embedding head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Backbone. Required.
    pub arch: Arch,
    /// A `.safetensors` file with torchvision's names, relative to the working directory: a torchvision ResNet or a
    /// run's `model.safetensors`. Its `fc.*` are not read. Without it the backbone starts from torchvision's random
    /// initialisation.
    #[serde(default)]
    pub weights: Option<String>,
    /// Head. Required.
    pub head: Head,
    /// Embedding size; default 128 for `linear` and `triplet`, 256 for `contrastive`; not allowed with `none`.
    #[serde(default)]
    pub embedding_dim: Option<u32>,
    /// Divide each embedding by its Euclidean norm. Default true.
    #[serde(default = "yes")]
    pub l2_normalize: bool,
}

fn yes() -> bool {
    true
}

/// Backbone architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// BasicBlock × [2, 2, 2, 2], 512 features.
    Resnet18,
    /// Bottleneck × [3, 4, 6, 3], 2,048 features.
    Resnet50,
}

/// What follows the pooled features `[B, F]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Head {
    /// Nothing: the embedding is the pooled feature.
    None,
    /// Linear F→D (the paper's early runs and its baseline).
    Linear,
    /// Linear F→256, BatchNorm1d, ReLU, Dropout 0.3, Linear 256→D (the paper's triplet runs).
    Triplet,
    /// Linear F→1024, ReLU, Linear 1024→D (the paper's contrastive runs).
    Contrastive,
}

/// The loss and, with it, what a batch is made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LossConfig {
    /// Triplets; mean of max(0, ‖a−p‖ − ‖a−n‖ + margin).
    Triplet {
        /// Margin, > 0 (the paper: 1.0).
        margin: f64,
    },
    /// Pairs; mean of y·d² + (1−y)·max(0, margin−d)².
    ContrastiveEuclidean {
        /// Margin, > 0.
        margin: f64,
    },
    /// Pairs; 1 − cos for a positive, max(0, cos − margin) for a negative.
    ContrastiveCosine {
        /// Margin, −1 ≤ margin < 1 (the paper: 0.2).
        margin: f64,
    },
    /// Images; cross-entropy over the training brands of cosine / temperature (Zhai & Wu 2019). Its class weights are
    /// trained with the head's rate.
    NormSoftmax {
        /// Temperature, > 0 (the authors: 0.05).
        temperature: f64,
    },
}

/// The optimiser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Algorithm, with PyTorch's arithmetic. Default `adamw`.
    pub kind: OptimizerKind,
    /// Learning rate of the head (and of a loss's own weights), > 0. Default 1e-3.
    pub lr: f64,
    /// The backbone's rate is `lr` times this, ≥ 0. Default 1.
    pub backbone_factor: f64,
    /// Momentum of SGD, 0 ≤ m < 1. Default 0.9.
    pub momentum: f64,
    /// Weight decay: L2 for `sgd` and `adam`, decoupled for `adamw`; ≥ 0. Default 0.
    pub weight_decay: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adamw,
            lr: 1e-3,
            backbone_factor: 1.0,
            momentum: 0.9,
            weight_decay: 0.0,
        }
    }
}

/// Which optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// `torch.optim.SGD`.
    Sgd,
    /// `torch.optim.Adam`, betas 0.9 and 0.999, eps 1e-8.
    Adam,
    /// `torch.optim.AdamW`, betas 0.9 and 0.999, eps 1e-8.
    Adamw,
}

/// Epochs and what changes over them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Number of epochs; an epoch visits every training image once. 0 writes the initial network as a run: a
    /// baseline. Required.
    pub epochs: u32,
    /// The rate over the run. Default `constant`.
    #[serde(default)]
    pub lr: LrSchedule,
    /// Steps over which the rate first rises linearly from 0. Default 0.
    #[serde(default)]
    pub warmup_steps: u32,
    /// Freeze the first k of {conv1 + bn1, layer1, layer2, layer3, layer4}, 0 to 5. Frozen BatchNorm runs in
    /// evaluation mode. Default 0.
    #[serde(default)]
    pub freeze: u8,
    /// From a later epoch on, freeze less.
    #[serde(default)]
    pub unfreeze: Option<Unfreeze>,
}

/// The learning rate over a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LrSchedule {
    /// The same throughout.
    #[default]
    Constant,
    /// Half a cosine from the full rate to 0 at the last step.
    Cosine,
}

/// A change of the freeze level; the optimiser's momentum is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unfreeze {
    /// 0-based epoch at whose start it happens.
    pub epoch: u32,
    /// The freeze level from then on, below `freeze`.
    pub freeze: u8,
    /// Every rate is multiplied by this from then on, > 0. Default 1.
    #[serde(default = "one")]
    pub lr_factor: f64,
}

fn one() -> f64 {
    1.0
}

/// Batches and the part of the folds that is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Triplets, pairs or images per step, ≥ 2. Default 64.
    pub batch: u32,
    /// Use about this many images of train and validation together (the paper's `getTrainValPaths`). Default: all.
    pub total_images: Option<u64>,
    /// With `total_images`: use fewer brands rather than fewer images per brand than this. Default 5.
    pub min_images_per_brand: u64,
    /// Which rows are used, in training and in evaluation: of whole images, of objects, or `both`, which is all that the
    /// dataset has. Default `both`.
    pub region: Region,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            batch: 64,
            total_images: None,
            min_images_per_brand: 5,
            region: Region::Both,
        }
    }
}

/// Augmentation as torchvision defines each transform, in this order; the defaults are the paper's final list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// `RandomPerspective` distortion scale, 0 to 1. Default 0.5.
    pub perspective: f64,
    /// Its probability. Default 0.3.
    pub perspective_p: f64,
    /// `RandomHorizontalFlip` probability. Default 0.3.
    pub flip_p: f64,
    /// `RandomRotation` range, ± degrees. Default 15.
    pub rotation_deg: f64,
    /// `RandomGrayscale` probability. Default 0.1.
    pub grayscale_p: f64,
    /// `ColorJitter` brightness. Default 0.2.
    pub brightness: f64,
    /// `ColorJitter` contrast. Default 0.2.
    pub contrast: f64,
    /// `ColorJitter` saturation. Default 0.2.
    pub saturation: f64,
    /// `ColorJitter` hue, 0 to 0.5. Default 0.1.
    pub hue: f64,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            perspective: 0.5,
            perspective_p: 0.3,
            flip_p: 0.3,
            rotation_deg: 15.0,
            grayscale_p: 0.1,
            brightness: 0.2,
            contrast: 0.2,
            saturation: 0.2,
            hue: 0.1,
        }
    }
}

/// Where and in what arithmetic a run computes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RuntimeConfig {
    /// Default `auto`: CUDA where there is one, else the CPU.
    pub device: DeviceChoice,
    /// Default `fp32`.
    pub precision: Precision,
    /// Channels-last memory layout of activations and weights. Default true.
    pub channels_last: bool,
    /// CPU threads of libtorch; 0 is one per core. Results are bit for bit the same only for the same number.
    /// Default 0.
    pub threads: u32,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            device: DeviceChoice::Auto,
            precision: Precision::Fp32,
            channels_last: true,
            threads: 0,
        }
    }
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
