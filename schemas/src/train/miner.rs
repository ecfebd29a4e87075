//! `[miner]` and `[memory]`: which pairs a loss over pairs sees.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
