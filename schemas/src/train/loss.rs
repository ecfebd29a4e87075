//! `[loss]`: what is minimised.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

impl LossConfig {
    /// Whether the loss has trained weights of its own: class weights or proxies.
    pub fn has_weights(&self) -> bool {
        matches!(
            self,
            Self::NormSoftmax { .. } | Self::ArcFace { .. } | Self::ProxyAnchor { .. }
        )
    }
}
