//! One experiment: the TOML file that `logodex-train fit` takes.
//!
//! Every table and key that has a default may be left out; unknown keys are refused. What the combination must fulfil
//! is checked in the trainer before any data is read.
//!
//! `logodex-train config --explain` is printed from the JSON Schema of these types, so the comments here are its text: the
//! meaning, then a line `Unit:` for a number and a line `Source:` for where the key, or its usual value, comes from. A
//! default is never told in words: it is in the type. `the paper` is Few-Shot Logo Recognition; tables and sections are
//! its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dataset::Region;

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

/// The network: a ResNet with torchvision's parameter names whose `fc` is an embedding head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Backbone.
    ///
    /// Source: He et al., CVPR 2016; the paper, section 3.1 (`resnet50`).
    pub arch: Arch,
    /// A `.safetensors` or `.pth` file with torchvision's names, relative to the working directory: a torchvision ResNet
    /// or a run's `model.safetensors`. Only its backbone is read. Without it the backbone starts from torchvision's random
    /// initialisation.
    ///
    /// Source: the paper, section 4.1 (torchvision's ImageNet weights V2).
    #[serde(default)]
    pub weights: Option<String>,
    /// How the last feature map `[B, F, h, w]` becomes a feature `[B, F]`.
    ///
    /// Source: torchvision (`average`).
    #[serde(default)]
    pub pooling: Pooling,
    /// Stride of `layer4`: 2 as in torchvision, or 1 for a feature map of twice the side.
    ///
    /// Unit: positions of the feature map.
    /// Source: torchvision (2); Luo et al., CVPR workshops 2019 (1).
    #[serde(default = "two")]
    pub last_stride: u8,
    /// What follows the pooled features.
    ///
    /// Source: the paper, Table 2 (`linear`), Table 3 (`triplet`), Table 4 (`contrastive`).
    pub head: Head,
    /// The BN-neck: BatchNorm1d with its bias fixed at 0 behind the head, before L2 normalisation; with any head, also
    /// `none`.
    ///
    /// Source: Luo et al., CVPR workshops 2019; the paper has none.
    #[serde(default)]
    pub bn_neck: bool,
    /// Embedding size. Not set, it is 128 for `linear` and `triplet`, 256 for `contrastive`; with `none`, whose embedding
    /// is the pooled feature, it must not be set.
    ///
    /// Unit: numbers per embedding.
    /// Source: the paper, Tables 2 and 3 (128), Table 4 (256).
    #[serde(default)]
    pub embedding_dim: Option<u32>,
    /// Divide each embedding by its Euclidean norm.
    ///
    /// Source: the paper, Table 2 (false), Table 4 and section 4.3 (true).
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
    /// Generalised mean (Radenović et al., TPAMI 2019): (mean of max(x, 1e-6)^p)^(1/p) with one trained p, 3 at first, that
    /// learns at the head's rate.
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
///
/// Source: the paper, section 3.2 (`triplet`, `contrastive_euclidean`, `contrastive_cosine`); the others are cited with each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LossConfig {
    /// Mean of max(0, ‖a−p‖ − ‖a−n‖ + margin): over the drawn triplets (sampler `triplets`, the default), or over those of
    /// a `pk` batch that the miner selects.
    Triplet {
        /// Margin, > 0.
        ///
        /// Unit: Euclidean distance.
        /// Source: the paper, Tables 2 and 3 (1.0).
        margin: f64,
    },
    /// y·d² + (1−y)·max(0, margin−d)²: mean over the drawn pairs (sampler `pairs`, the default); of a `pk` batch the mean
    /// over its positive pairs plus the mean over its negative pairs.
    ContrastiveEuclidean {
        /// Margin, > 0.
        ///
        /// Unit: Euclidean distance.
        /// Source: Hadsell et al., CVPR 2006; the paper gives a range, Table 1 (0.2 to 1.0).
        margin: f64,
    },
    /// 1 − cos for a positive, max(0, cos − margin) for a negative: averaged as `contrastive_euclidean`.
    ContrastiveCosine {
        /// Margin, −1 ≤ margin < 1.
        ///
        /// Unit: cosine.
        /// Source: the paper, Table 4 (0.2).
        margin: f64,
    },
    /// Cross-entropy over the training brands of cosine / temperature (Zhai & Wu, BMVC 2019), with trained class
    /// weights.
    NormSoftmax {
        /// Temperature, > 0: the cosines are divided by it.
        ///
        /// Unit: cosine.
        /// Source: Zhai & Wu, BMVC 2019 (0.05).
        temperature: f64,
    },
    /// Multi-similarity (Wang et al., CVPR 2019) over a `pk` batch.
    MultiSimilarity {
        /// Weight of positives, > 0.
        ///
        /// Unit: 1 / cosine.
        /// Source: Wang et al., CVPR 2019 (2).
        alpha: f64,
        /// Weight of negatives, > 0.
        ///
        /// Unit: 1 / cosine.
        /// Source: Wang et al., CVPR 2019 (50).
        beta: f64,
        /// Similarity from which a pair counts as similar.
        ///
        /// Unit: cosine.
        /// Source: Wang et al., CVPR 2019 (1); their code and pytorch-metric-learning (0.5).
        base: f64,
    },
    /// Proxy-Anchor (Kim et al., CVPR 2020): one trained proxy per training brand.
    ProxyAnchor {
        /// Margin.
        ///
        /// Unit: cosine.
        /// Source: Kim et al., CVPR 2020 (0.1).
        margin: f64,
        /// Scale, > 0.
        ///
        /// Unit: 1 / cosine.
        /// Source: Kim et al., CVPR 2020 (32).
        alpha: f64,
    },
    /// ArcFace (Deng et al., CVPR 2019) with trained class weights; with `sub_centers` > 1 sub-center ArcFace (Deng et al.,
    /// ECCV 2020).
    ArcFace {
        /// Angular margin, 0 ≤ m < 90.
        ///
        /// Unit: degrees.
        /// Source: Deng et al., CVPR 2019 (28.6, that is 0.5 rad).
        margin_deg: f64,
        /// Scale, > 0: the cosines are multiplied by it.
        ///
        /// Unit: 1 / cosine.
        /// Source: Deng et al., CVPR 2019 (64).
        scale: f64,
        /// Centres per brand, ≥ 1.
        ///
        /// Unit: centres.
        /// Source: Deng et al., ECCV 2020 (3).
        #[serde(default = "one_center")]
        sub_centers: u32,
    },
    /// Supervised contrastive (Khosla et al., NeurIPS 2020, the mean outside the logarithm) over a `pk` batch.
    SupCon {
        /// Temperature, > 0: the cosines are divided by it.
        ///
        /// Unit: cosine.
        /// Source: Khosla et al., NeurIPS 2020 (0.1).
        temperature: f64,
    },
    /// Circle loss (Sun et al., CVPR 2020) over a `pk` batch.
    Circle {
        /// Relaxation, 0 < m < 1.
        ///
        /// Unit: cosine.
        /// Source: Sun et al., CVPR 2020 (0.4 for image retrieval, 0.25 for faces and persons).
        margin: f64,
        /// Scale, > 0.
        ///
        /// Unit: 1 / cosine.
        /// Source: Sun et al., CVPR 2020 (80 for image retrieval, 256 for faces, 128 for persons).
        gamma: f64,
    },
}

fn one_center() -> u32 {
    1
}

/// Which pairs or triplets of a `pk` batch the loss sees.
///
/// Source: the paper, section 4.8, wishes for hard negatives and has none; the miners are cited with each.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum MinerConfig {
    /// All of them.
    #[default]
    None,
    /// For each anchor its farthest positive and its nearest negative (Hermans et al., arXiv:1703.07737).
    BatchHard,
    /// For each pair of anchor and positive all negatives that lie beyond the positive by less than the margin (Schroff et
    /// al., CVPR 2015).
    SemiHard {
        /// Margin, > 0; usually that of the loss.
        ///
        /// Unit: Euclidean distance.
        /// Source: Schroff et al., CVPR 2015 (0.2, of squared distances).
        margin: f64,
    },
    /// For each pair of anchor and positive one negative, drawn by the inverse density of distances on the sphere (Wu et
    /// al., ICCV 2017).
    DistanceWeighted {
        /// Distances below this count as this, > 0.
        ///
        /// Unit: Euclidean distance.
        /// Source: Wu et al., ICCV 2017 (0.5).
        #[serde(default = "half")]
        cutoff: f64,
        /// Negatives beyond this distance are not drawn.
        ///
        /// Unit: Euclidean distance.
        /// Source: Wu et al., ICCV 2017 (1.4).
        #[serde(default = "nonzero_loss_cutoff")]
        nonzero_loss_cutoff: f64,
    },
    /// Negatives more similar than the hardest positive less epsilon, positives less similar than the hardest negative plus
    /// epsilon (Wang et al., CVPR 2019).
    MultiSimilarity {
        /// Epsilon, ≥ 0.
        ///
        /// Unit: cosine.
        /// Source: Wang et al., CVPR 2019 (0.1).
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
    /// Embeddings remembered, at least one batch.
    ///
    /// Unit: embeddings.
    /// Source: Wang et al., CVPR 2020 (up to the whole training set).
    pub size: u32,
    /// Steps before the memory is used: features drift fast at first.
    ///
    /// Unit: steps.
    /// Source: Wang et al., CVPR 2020 (1000).
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
    /// After each step: average = decay · average + (1 − decay) · weight; 0 < decay < 1.
    ///
    /// Unit: none.
    /// Source: Tarvainen & Valpola, NeurIPS 2017 (0.999).
    pub decay: f64,
}

/// Which checkpoints are kept, and when a run may end early. `last`, the one before it and `best` are always kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Keep also the checkpoint after every so many epochs; 0 keeps none of them.
    ///
    /// Unit: epochs.
    /// Source: ours.
    pub every_epochs: u32,
    /// Write a checkpoint also after every so many steps of the run within an epoch, so that a kill costs less; 0 writes at
    /// the end of epochs only.
    ///
    /// Unit: steps.
    /// Source: ours.
    pub every_steps: u64,
    /// Stop when the validation F1 has not risen by more than `min_delta` for so many epochs; 0 never does.
    ///
    /// Unit: epochs.
    /// Source: Prechelt, Neural Networks 1998; the paper runs all its epochs (0).
    pub patience_epochs: u32,
    /// What a rise must exceed, 0 to 1.
    ///
    /// Unit: F1.
    /// Source: ours.
    pub min_delta: f64,
}

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

/// Epochs and what changes over them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Number of epochs; an epoch visits every training image once. 0 writes the initial network as a run: a
    /// baseline.
    ///
    /// Unit: epochs.
    /// Source: the paper's authors (30 for the triplets of Table 3, 50 for the final cosine run).
    pub epochs: u32,
    /// The rate over the run.
    ///
    /// Source: the paper, Table 4 (`constant`).
    #[serde(default)]
    pub lr: LrSchedule,
    /// With `lr = "step"` only: epochs from one reduction to the next, ≥ 1; not set, 10.
    ///
    /// Unit: epochs.
    /// Source: `torch.optim.lr_scheduler.StepLR`, which has no default; ours.
    #[serde(default)]
    pub step_epochs: Option<u32>,
    /// With `lr = "step"` only: the factor, > 0; not set, 0.1.
    ///
    /// Unit: none.
    /// Source: `torch.optim.lr_scheduler.StepLR` (0.1).
    #[serde(default)]
    pub step_factor: Option<f64>,
    /// Steps over which the rate first rises linearly from 0.
    ///
    /// Unit: steps.
    /// Source: Goyal et al., arXiv:1706.02677; the paper has none (0).
    #[serde(default)]
    pub warmup_steps: u32,
    /// Freeze the first k of {conv1 + bn1, layer1, layer2, layer3, layer4}, 0 to 5. Frozen BatchNorm runs in
    /// evaluation mode.
    ///
    /// Unit: stages.
    /// Source: the paper, Table 2 (0), Tables 3 and 4 (4).
    #[serde(default)]
    pub freeze: u8,
    /// From later epochs on, freeze less: a list of tables in the order of their epochs.
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
    /// Half a cosine from the full rate to 0 at the last step (Loshchilov & Hutter, ICLR 2017).
    Cosine,
    /// Times `step_factor` after every `step_epochs` epochs (`torch.optim.lr_scheduler.StepLR`).
    Step,
}

/// A change of the freeze level; the optimiser's momentum is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unfreeze {
    /// 0-based epoch at whose start it happens.
    ///
    /// Unit: epochs.
    /// Source: the paper, Table 3 (15), Table 4 (5).
    pub epoch: u32,
    /// The freeze level from then on, below the one before.
    ///
    /// Unit: stages.
    /// Source: the paper, Tables 3 and 4 (3).
    pub freeze: u8,
    /// Every rate is multiplied by this from then on, > 0.
    ///
    /// Unit: none.
    /// Source: the paper, Table 3 (0.2), Table 4 (1).
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
    /// Triplets, pairs or images per step, ≥ 2.
    ///
    /// Unit: samples; a triplet is three pictures, a pair two.
    /// Source: the paper, Table 2 (32), Table 3 (256), Table 4 (64).
    pub batch: u32,
    /// What a batch is made of. Not set, it is `triplets` for `triplet`, `pairs` for `contrastive_*`, `images` for
    /// `norm_softmax`, `arc_face` and `proxy_anchor`, `pk` for the other losses, with a miner and with a memory.
    ///
    /// Source: the paper, section 2.3 (`triplets`, `pairs`); Hermans et al., arXiv:1703.07737 (`pk`).
    pub sampler: Option<SamplerKind>,
    /// K of a `pk` batch: images of each of its `batch` / K brands, ≥ 2 and a divisor of `batch`.
    ///
    /// Unit: images.
    /// Source: Hermans et al., arXiv:1703.07737 (4).
    pub images_per_brand: u32,
    /// Use about this many images of train and validation together (the paper's `getTrainValPaths`); not set, all.
    ///
    /// Unit: images.
    /// Source: the paper, Tables 2 and 4 (10000).
    pub total_images: Option<u64>,
    /// With `total_images`: use fewer brands rather than fewer images per brand than this.
    ///
    /// Unit: images.
    /// Source: the paper's authors (5).
    pub min_images_per_brand: u64,
    /// Which rows are used, in training and in evaluation: of whole images, of objects, or `both`, which is all that the
    /// dataset has.
    ///
    /// Source: the paper, section 4.8 (whole images; it wishes for objects).
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

impl Head {
    /// The embedding size where none is set; none where the embedding is the pooled feature.
    pub fn embedding_dim(self) -> Option<u32> {
        match self {
            Self::None => None,
            Self::Linear | Self::Triplet => Some(128),
            Self::Contrastive => Some(256),
        }
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
    /// P brands with K images each, P·K = `batch`. Over an epoch, which has about as many images as the fold, every brand is
    /// drawn equally often, give or take one, and never twice in a batch; so are the images of a brand. A brand with fewer
    /// than K images repeats them within a batch.
    Pk,
}

/// Augmentation as torchvision defines each transform, in this order; the defaults are the paper's final list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// `RandomResizedCrop`: smallest part of the area that is cut out, 0 < s ≤ 1; the aspect is drawn from 3/4 to 4/3; not
    /// set, nothing is cut.
    ///
    /// Unit: part of the picture's area.
    /// Source: the paper, section 2.4 (its authors: 0.5, in early runs).
    pub crop_scale: Option<f64>,
    /// `RandomPerspective` distortion scale, 0 to 1.
    ///
    /// Unit: half the picture's side.
    /// Source: the paper, Tables 3 and 4 (torchvision's 0.5).
    pub perspective: f64,
    /// `RandomPerspective` probability, 0 to 1.
    ///
    /// Unit: probability.
    /// Source: the paper, Tables 3 and 4 (0.3).
    pub perspective_p: f64,
    /// `RandomHorizontalFlip` probability, 0 to 1.
    ///
    /// Unit: probability.
    /// Source: the paper, Tables 3 and 4 (0.3).
    pub flip_p: f64,
    /// `RandomRotation` range to either side, 0 to 180.
    ///
    /// Unit: degrees.
    /// Source: the paper, Tables 3 and 4 (15).
    pub rotation_deg: f64,
    /// `RandomGrayscale` probability, 0 to 1.
    ///
    /// Unit: probability.
    /// Source: the paper, Tables 3 and 4 (0.1).
    pub grayscale_p: f64,
    /// `ColorJitter` brightness, ≥ 0: the factor is drawn from 1 − this to 1 + this.
    ///
    /// Unit: none.
    /// Source: the paper, Tables 3 and 4; its authors (0.2).
    pub brightness: f64,
    /// `ColorJitter` contrast, ≥ 0: the factor is drawn from 1 − this to 1 + this.
    ///
    /// Unit: none.
    /// Source: the paper, Tables 3 and 4; its authors (0.2).
    pub contrast: f64,
    /// `ColorJitter` saturation, ≥ 0: the factor is drawn from 1 − this to 1 + this.
    ///
    /// Unit: none.
    /// Source: the paper, Tables 3 and 4; its authors (0.2).
    pub saturation: f64,
    /// `ColorJitter` hue to either side, 0 to 0.5.
    ///
    /// Unit: turns of the colour circle.
    /// Source: the paper, Tables 3 and 4; its authors (0.1).
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
    /// CPU threads of libtorch; 0 is one per core. Results are bit for bit the same only for the same number.
    ///
    /// Unit: threads.
    /// Source: PyTorch (one per core).
    pub threads: u32,
    /// On CUDA: deterministic kernels where there are any, so that a run repeats, at some cost in speed; otherwise cuDNN
    /// times its algorithms and takes the fastest. A CPU always repeats.
    ///
    /// Source: PyTorch (`torch.backends.cudnn.deterministic`, false).
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
