//! `[data]`: batches and the part of the folds that is used.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dataset::Region;

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
    /// Whether two crops of one photograph are positives of each other in a loss over the pairs of a `pk` batch and its
    /// memory. False leaves such pairs out: they would teach the photograph. Drawn pairs and triplets take another photograph
    /// wherever a brand has one, whatever this says.
    ///
    /// Source: ours; the paper trains on whole images.
    pub same_photo_positives: bool,
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

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            batch: 64,
            sampler: None,
            images_per_brand: 4,
            same_photo_positives: true,
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
    /// drawn equally often, give or take one, and never twice in a batch; so are the photographs of a brand, of which a
    /// batch shows one crop each. A brand with fewer than K photographs shows several crops of one, with fewer crops, too,
    /// it repeats them.
    Pk,
}
