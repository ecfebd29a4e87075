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
    /// Which pairs or triplets of a `pk` batch the loss sees. Default `none`: all.
    #[serde(default)]
    pub miner: MinerConfig,
    /// Cross-batch memory (Wang et al. 2020): embeddings of past batches as further references of a pair loss; without
    /// this table there is none.
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

/// The network: a ResNet with torchvision's parameter names whose `fc` is an embedding head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Backbone. Required.
    pub arch: Arch,
    /// A `.safetensors` or `.pth` file with torchvision's names, relative to the working directory: a torchvision ResNet
    /// or a run's `model.safetensors`. Only its backbone is read. Without it the backbone starts from torchvision's random
    /// initialisation.
    #[serde(default)]
    pub weights: Option<String>,
    /// How the last feature map `[B, F, h, w]` becomes a feature `[B, F]`. Default `average`.
    #[serde(default)]
    pub pooling: Pooling,
    /// Stride of `layer4`: 2 as in torchvision, or 1 for a feature map of twice the side (Luo et al. 2019). Default 2.
    #[serde(default = "two")]
    pub last_stride: u8,
    /// Head. Required.
    pub head: Head,
    /// BatchNorm1d with its bias fixed at 0 behind the head, before L2 normalisation (the BN-neck of Luo et al. 2019); with
    /// any head, also `none`. Default false.
    #[serde(default)]
    pub bn_neck: bool,
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

fn two() -> u8 {
    2
}

/// Pooling of the last feature map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The mean, as torchvision does.
    #[default]
    Average,
    /// Generalised mean (Radenović et al. 2018): (mean of max(x, 1e-6)^p)^(1/p) with one trained p, 3 at first, that learns
    /// at the head's rate.
    Gem,
}

/// Backbone architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// BasicBlock × [2, 2, 2, 2], 512 features.
    Resnet18,
    /// BasicBlock × [3, 4, 6, 3], 512 features.
    Resnet34,
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

/// The loss. What a batch is made of is `data.sampler`; each loss has a default for it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LossConfig {
    /// Mean of max(0, ‖a−p‖ − ‖a−n‖ + margin): over the drawn triplets (sampler `triplets`, the default), or over those of
    /// a `pk` batch that the miner selects.
    Triplet {
        /// Margin, > 0 (the paper: 1.0).
        margin: f64,
    },
    /// y·d² + (1−y)·max(0, margin−d)²: mean over the drawn pairs (sampler `pairs`, the default); of a `pk` batch the mean
    /// over its positive pairs plus the mean over its negative pairs.
    ContrastiveEuclidean {
        /// Margin, > 0.
        margin: f64,
    },
    /// 1 − cos for a positive, max(0, cos − margin) for a negative: averaged as `contrastive_euclidean`.
    ContrastiveCosine {
        /// Margin, −1 ≤ margin < 1 (the paper: 0.2).
        margin: f64,
    },
    /// Cross-entropy over the training brands of cosine / temperature (Zhai & Wu 2019), with trained class weights.
    NormSoftmax {
        /// Temperature, > 0 (the authors: 0.05).
        temperature: f64,
    },
    /// Multi-similarity (Wang et al. 2019) over a `pk` batch.
    MultiSimilarity {
        /// Weight of positives, > 0 (the authors: 2).
        alpha: f64,
        /// Weight of negatives, > 0 (the authors: 50).
        beta: f64,
        /// Similarity offset (the authors: 1; pytorch-metric-learning: 0.5).
        base: f64,
    },
    /// Proxy-Anchor (Kim et al. 2020): one trained proxy per training brand.
    ProxyAnchor {
        /// Margin (the authors: 0.1).
        margin: f64,
        /// Scale, > 0 (the authors: 32).
        alpha: f64,
    },
    /// ArcFace (Deng et al. 2019) with trained class weights; with `sub_centers` > 1 sub-center ArcFace (Deng et al. 2020).
    ArcFace {
        /// Angular margin, degrees, 0 ≤ m < 90 (the authors: 28.6).
        margin_deg: f64,
        /// Scale, > 0 (the authors: 64).
        scale: f64,
        /// Centres per brand, ≥ 1. Default 1.
        #[serde(default = "one_center")]
        sub_centers: u32,
    },
    /// Supervised contrastive (Khosla et al. 2020, the mean outside the logarithm) over a `pk` batch.
    SupCon {
        /// Temperature, > 0 (the authors: 0.1).
        temperature: f64,
    },
    /// Circle loss (Sun et al. 2020) over a `pk` batch.
    Circle {
        /// Relaxation, 0 < m < 1 (the authors: 0.25 for retrieval).
        margin: f64,
        /// Scale, > 0 (the authors: 256 for retrieval, 80 for pairs).
        gamma: f64,
    },
}

fn one_center() -> u32 {
    1
}

/// Which pairs or triplets of a `pk` batch the loss sees.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum MinerConfig {
    /// All of them.
    #[default]
    None,
    /// For each anchor its farthest positive and its nearest negative (Hermans et al. 2017).
    BatchHard,
    /// For each pair of anchor and positive all negatives that lie beyond the positive by less than the margin (Schroff et
    /// al. 2015).
    SemiHard {
        /// Margin in Euclidean distance, > 0.
        margin: f64,
    },
    /// For each pair of anchor and positive one negative, drawn by the inverse density of distances on the sphere (Wu et al.
    /// 2017).
    DistanceWeighted {
        /// Distances below this count as this, > 0. Default 0.5.
        #[serde(default = "half")]
        cutoff: f64,
        /// Negatives beyond this distance are not drawn. Default 1.4.
        #[serde(default = "nonzero_loss_cutoff")]
        nonzero_loss_cutoff: f64,
    },
    /// Negatives more similar than the hardest positive less epsilon, positives less similar than the hardest negative plus
    /// epsilon (Wang et al. 2019).
    MultiSimilarity {
        /// Epsilon in cosine, ≥ 0 (the authors: 0.1).
        epsilon: f64,
    },
}

fn half() -> f64 {
    0.5
}

fn nonzero_loss_cutoff() -> f64 {
    1.4
}

/// The cross-batch memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryConfig {
    /// Embeddings remembered, at least one batch. Required.
    pub size: u32,
    /// Steps before the memory is used (features drift fast at first). Default 1000.
    #[serde(default = "thousand")]
    pub start_step: u64,
}

fn thousand() -> u64 {
    1000
}

/// Exponential moving average of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmaConfig {
    /// After each step: average = decay · average + (1 − decay) · weight; 0 < decay < 1. Required (0.999 is common).
    pub decay: f64,
}

/// Which checkpoints are kept, and when a run may end early. `last` and `best` are always kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Keep also the checkpoint after every so many epochs; 0 keeps none of them. Default 0.
    pub every_epochs: u32,
    /// Write a checkpoint also after every so many steps within an epoch, so that a kill costs less; 0 writes at the end of
    /// epochs only. Default 0.
    pub every_steps: u64,
    /// Stop when the validation F1 has not risen by `min_delta` for so many epochs; 0 never does. Default 0.
    pub patience_epochs: u32,
    /// What counts as a rise, ≥ 0. Default 0.
    pub min_delta: f64,
}

/// The optimiser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Algorithm, with PyTorch's arithmetic. Default `adamw`.
    pub kind: OptimizerKind,
    /// Learning rate of the head, > 0. Default 1e-3.
    pub lr: f64,
    /// The backbone's rate is `lr` times this, ≥ 0. Default 1.
    pub backbone_factor: f64,
    /// The rate of a loss's own weights (class weights, proxies) is `lr` times this, > 0. Default 1.
    pub loss_factor: f64,
    /// Momentum of SGD, 0 ≤ m < 1. Default 0.9.
    pub momentum: f64,
    /// Nesterov's momentum, SGD only. Default false.
    pub nesterov: bool,
    /// Weight decay: L2 for `sgd` and `adam`, decoupled for `adamw`; ≥ 0. Default 0.
    pub weight_decay: f64,
    /// Scale the gradients of a step down to this Euclidean norm over all parameters, > 0
    /// (`torch.nn.utils.clip_grad_norm_`). Default: not clipped.
    pub clip_norm: Option<f64>,
    /// A step of the optimiser takes the mean gradient of so many batches, ≥ 1; the last of an epoch that of those that
    /// remain. Default 1.
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
            clip_norm: None,
            accumulate: 1,
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
    /// With `lr = "step"` only: epochs from one reduction to the next, ≥ 1. Default 10.
    #[serde(default)]
    pub step_epochs: Option<u32>,
    /// With `lr = "step"` only: the factor, > 0. Default 0.1.
    #[serde(default)]
    pub step_factor: Option<f64>,
    /// Steps over which the rate first rises linearly from 0. Default 0.
    #[serde(default)]
    pub warmup_steps: u32,
    /// Freeze the first k of {conv1 + bn1, layer1, layer2, layer3, layer4}, 0 to 5. Frozen BatchNorm runs in
    /// evaluation mode. Default 0.
    #[serde(default)]
    pub freeze: u8,
    /// From later epochs on, freeze less: in the order of their epochs.
    #[serde(default)]
    pub unfreeze: Vec<Unfreeze>,
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
    /// Times `step_factor` after every `step_epochs` epochs (`torch.optim.lr_scheduler.StepLR`).
    Step,
}

/// A change of the freeze level; the optimiser's momentum is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unfreeze {
    /// 0-based epoch at whose start it happens.
    pub epoch: u32,
    /// The freeze level from then on, below the one before.
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
    /// What a batch is made of. Default: `triplets` for `triplet`, `pairs` for `contrastive_*`, `images` for `norm_softmax`,
    /// `arc_face` and `proxy_anchor`, `pk` for the other losses, with a miner and with a memory.
    pub sampler: Option<SamplerKind>,
    /// K of a `pk` batch: images of each of its `batch` / K brands, ≥ 2 and a divisor of `batch`. Default 4.
    pub images_per_brand: u32,
    /// Use about this many images of train and validation together (the paper's `getTrainValPaths`). Default: all.
    pub total_images: Option<u64>,
    /// With `total_images`: use fewer brands rather than fewer images per brand than this. Default 5.
    pub min_images_per_brand: u64,
    /// Which rows are used, in training and in evaluation: of whole images, of objects, or `both`, which is all that the
    /// dataset has. Default `both`.
    pub region: Region,
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

impl LossConfig {
    /// Whether the loss has trained weights of its own: class weights or proxies.
    pub fn has_weights(&self) -> bool {
        matches!(
            self,
            Self::NormSoftmax { .. } | Self::ArcFace { .. } | Self::ProxyAnchor { .. }
        )
    }
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            batch: 64,
            sampler: None,
            images_per_brand: 4,
            total_images: None,
            min_images_per_brand: 5,
            region: Region::Both,
        }
    }
}

/// What a batch is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SamplerKind {
    /// Each image once as anchor, with a uniform positive and a uniform negative (the paper).
    Triplets,
    /// Each image once, with an image of the same or of another brand by a fair coin (the paper).
    Pairs,
    /// Each image once.
    Images,
    /// P brands with K images each. Over an epoch every brand is drawn equally often, give or take one, and never twice in a
    /// batch.
    Pk,
}

/// Augmentation as torchvision defines each transform, in this order; the defaults are the paper's final list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// `RandomResizedCrop`: smallest part of the area that is cut out, 0 < s ≤ 1; the aspect is drawn from 3/4 to 4/3. The
    /// paper's early list has 0.5. Default: no crop.
    pub crop_scale: Option<f64>,
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
            crop_scale: None,
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
    /// Where the training pictures lie. Default `host`.
    pub residency: Residency,
    /// Channels-last memory layout of activations and weights. Default true.
    pub channels_last: bool,
    /// CPU threads of libtorch; 0 is one per core. Results are bit for bit the same only for the same number.
    /// Default 0.
    pub threads: u32,
    /// On CUDA: deterministic kernels where there are any, so that a run repeats, at some cost in speed; otherwise cuDNN
    /// times its algorithms and takes the fastest. A CPU always repeats. Default false.
    pub deterministic: bool,
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
