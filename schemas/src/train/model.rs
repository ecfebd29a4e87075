//! `[model]`: the network.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The network: a backbone with the parameter names of its published weights, whose `fc` is an embedding head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Backbone.
    ///
    /// Source: He et al., CVPR 2016 (`resnet*`); Tan & Le, ICML 2019, and its "lite" variants (`efficientnet_lite*`); the
    /// paper, section 3.1 (`resnet50`).
    pub arch: Arch,
    /// A `.safetensors` or `.pth` file, relative to the working directory: a torchvision ResNet, an EfficientNet-Lite of
    /// `efficientnet_lite_pytorch` (`scripts/fetch_weights.sh`), or a run's `model.safetensors`. Only its backbone is read.
    /// Without it the backbone starts from random numbers, as its publishers initialise it.
    ///
    /// Source: the paper, section 4.1 (torchvision's ImageNet weights V2).
    #[serde(default)]
    pub weights: Option<String>,
    /// Begin with `weights` although they were trained on brands of the split's validation or test fold, which is refused
    /// otherwise: what the run is judged on would not be unseen. Evaluations and reports name those brands.
    ///
    /// Source: Logodex.
    #[serde(default)]
    pub allow_seen_brands: bool,
    /// How the last feature map `[B, F, h, w]` becomes a feature `[B, F]`.
    ///
    /// Source: torchvision (`average`).
    #[serde(default)]
    pub pooling: Pooling,
    /// Stride of the last stage, `layer4` or `_blocks.11` (lite1, lite2: `_blocks.15`): 2 as published, or 1 for a feature
    /// map of twice the side.
    ///
    /// Unit: positions of the feature map.
    /// Source: torchvision (2); Luo et al., CVPR workshops 2019 (1).
    #[serde(default = "two")]
    pub last_stride: u8,
    /// Keep the backbone's BatchNorm in evaluation mode while its stages train: it normalises by the running statistics of
    /// the weights that it began with, and these stay; its weights and biases learn. Needs `weights`, for at first the
    /// statistics of random weights say nothing.
    ///
    /// Source: Kim et al., CVPR 2020, their code (`bn_freeze`, true); the paper (false).
    #[serde(default)]
    pub freeze_batch_norm: bool,
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
    /// The mean plus the maximum (Kim et al., CVPR 2020, in their code).
    #[serde(rename = "average_max")]
    AverageMax,
}

/// Backbone architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arch {
    /// BasicBlock × [2, 2, 2, 2], 512 features.
    Resnet18,
    /// BasicBlock × [3, 4, 6, 3], 512 features.
    Resnet34,
    /// Bottleneck × [3, 4, 6, 3], 2,048 features.
    Resnet50,
    /// Inverted bottlenecks × [1, 2, 2, 3, 3, 4, 1], ReLU6, no squeeze and excitation, 1,280 features; 4.7 million numbers
    /// with its classifier, 0.4 billion multiplications at 224 px.
    #[serde(rename = "efficientnet_lite0")]
    EfficientnetLite0,
    /// The same × [1, 3, 3, 4, 4, 5, 1], 1,280 features.
    #[serde(rename = "efficientnet_lite1")]
    EfficientnetLite1,
    /// The depths of lite1, a tenth wider, 1,280 features.
    #[serde(rename = "efficientnet_lite2")]
    EfficientnetLite2,
}

impl Arch {
    /// As a configuration names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resnet18 => "resnet18",
            Self::Resnet34 => "resnet34",
            Self::Resnet50 => "resnet50",
            Self::EfficientnetLite0 => "efficientnet_lite0",
            Self::EfficientnetLite1 => "efficientnet_lite1",
            Self::EfficientnetLite2 => "efficientnet_lite2",
        }
    }
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
