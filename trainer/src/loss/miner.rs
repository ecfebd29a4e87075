//! Selects the pairs or triplets of a labelled batch that a loss sees: nothing here is recorded by autograd.
//!
//! Embeddings are anchors `[B, D]`; references `[R, D]` are the batch itself or the cross-batch memory. A reference is
//! a positive of an anchor when it has its label and is not the anchor itself, a negative when it has another. Two
//! pictures cut from one photograph are positives like any two of a brand, unless photographs are given: the P×K sampler
//! keeps them out of one batch where the brand has photographs enough, the cross-batch memory does not. Memory is O(B·R) for every miner: triplets
//! are not all in memory at once but walked a piece at a time.

use logodex_schemas::random::stream;
use logodex_schemas::train::MinerConfig;
use rand::Rng;
use tch::{Kind, Tensor};

use super::distance::Measure;
use super::selection::{Selection, pieces};

/// The batch's labels against its references' labels.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    /// Of the anchors, `[B]`.
    pub anchors: &'a Tensor,
    /// Of the references, `[R]`.
    pub references: &'a Tensor,
    /// For each anchor its own place among the references, `[B]`.
    pub own: &'a Tensor,
    /// The photographs of the anchors, `[B]`, and of the references, `[R]`, where two pictures of one are to be no positives.
    pub photographs: Option<(&'a Tensor, &'a Tensor)>,
}

impl Labels<'_> {
    /// All positive and all negative pairs, bool `[B, R]`.
    fn masks(self) -> (Tensor, Tensor) {
        let same = self
            .anchors
            .unsqueeze(1)
            .eq_tensor(&self.references.unsqueeze(0));
        let mut positive = same.scatter_value(1, &self.own.unsqueeze(1), 0);
        if let Some((anchors, references)) = self.photographs {
            let apart = anchors.unsqueeze(1).ne_tensor(&references.unsqueeze(0));
            positive = positive.logical_and(&apart);
        }
        (positive, same.logical_not())
    }
}

/// Selects by `config`, for embeddings of `dim` numbers; `measured` gives the measure that the miner asks for, `[B,
/// R]`. `seed` and `number` (of the batch in the run) decide what is drawn. Ties go to the first reference.
///
/// Equal to pytorch-metric-learning 2.9.0's miners of these names (`semi_hard` is its
/// `TripletMarginMiner(type_of_triplets="semihard")`) with embeddings as they are, not normalised anew, for the two
/// that measure Euclidean distances. `distance_weighted` has the probabilities of its miner, and draws one negative for
/// each positive pair, where that draws positives, too.
pub fn mine(
    config: &MinerConfig,
    measured: impl FnOnce(Measure) -> Tensor,
    dim: i64,
    labels: Labels<'_>,
    (seed, number): (u64, u64),
) -> Selection {
    let _no_grad = tch::no_grad_guard();
    let (positive, negative) = labels.masks();
    match *config {
        MinerConfig::None => Selection::Pairs { positive, negative },
        MinerConfig::BatchHard => batch_hard(&measured(Measure::Distance), positive, negative),
        MinerConfig::SemiHard { margin } => Selection::SemiHard {
            positive,
            negative,
            distance: measured(Measure::Distance),
            margin,
        },
        MinerConfig::MultiSimilarity { epsilon } => {
            multi_similarity(&measured(Measure::Cosine), positive, negative, epsilon)
        }
        MinerConfig::DistanceWeighted {
            cutoff,
            nonzero_loss_cutoff,
        } => {
            let distance = measured(Measure::UnitDistance);
            let weights = distance_weights(&distance, &negative, dim, cutoff, nonzero_loss_cutoff);
            draw(&weights, &positive, seed, number)
        }
    }
}

/// For each anchor that has both, its farthest positive and its nearest negative (Hermans et al. 2017).
fn batch_hard(distance: &Tensor, positive: Tensor, negative: Tensor) -> Selection {
    let hardest = |mask: &Tensor, fill: f64, largest: bool| {
        let masked = distance.masked_fill(&mask.logical_not(), fill);
        let place = match largest {
            true => masked.argmax(1, true),
            false => masked.argmin(1, true),
        };
        mask.zeros_like().scatter_value(1, &place, 1)
    };
    let has_both = positive
        .any_dim(1, true)
        .logical_and(&negative.any_dim(1, true)); // [B, 1]
    let far = hardest(&positive, f64::NEG_INFINITY, true).logical_and(&has_both);
    let near = hardest(&negative, f64::INFINITY, false).logical_and(&has_both);
    Selection::Pairs {
        positive: far,
        negative: near,
    }
}

/// Positives less similar than the most similar negative plus epsilon, negatives more similar than the least similar
/// positive less epsilon (Wang et al. 2019, eq. 4 and 5).
fn multi_similarity(
    cosine: &Tensor,
    positive: Tensor,
    negative: Tensor,
    epsilon: f64,
) -> Selection {
    let nearest_negative = cosine
        .masked_fill(&negative.logical_not(), f64::NEG_INFINITY)
        .amax([1], true); // [B, 1]
    let farthest_positive = cosine
        .masked_fill(&positive.logical_not(), f64::INFINITY)
        .amin([1], true);
    Selection::Pairs {
        positive: (cosine - epsilon)
            .lt_tensor(&nearest_negative)
            .logical_and(&positive),
        negative: (cosine + epsilon)
            .gt_tensor(&farthest_positive)
            .logical_and(&negative),
    }
}

/// Probabilities `[B, R]` of each reference to be drawn as an anchor's negative: the inverse density of distances on
/// the unit sphere in `dim` dimensions, q(d)⁻¹ = d^(2 − D) · (1 − d²/4)^((3 − D)/2) (Wu et al. 2017), with d at least
/// `cutoff` and 0 from `nonzero_loss_cutoff` on. A row without any such negative is 0.
pub fn distance_weights(
    distance: &Tensor,
    negative: &Tensor,
    dim: i64,
    cutoff: f64,
    nonzero_loss_cutoff: f64,
) -> Tensor {
    let d = dim as f64;
    let distance = distance.clamp_min(cutoff);
    let log_weights =
        distance.log() * (2.0 - d) - (-distance.square() * 0.25 + 1.0).log() * ((d - 3.0) / 2.0);
    let possible = negative
        .logical_and(&distance.lt(nonzero_loss_cutoff))
        .logical_and(&log_weights.isfinite());
    let masked = log_weights.masked_fill(&possible.logical_not(), f64::NEG_INFINITY);
    // The row's largest weight is 1 before it is normalised, so that none overflows and not all vanish.
    let largest = masked.amax([1], true);
    let weights = (masked - largest)
        .exp()
        .masked_fill(&possible.logical_not(), 0.0);
    let sum = weights.sum_dim_intlist(1, true, Kind::Float);
    weights / sum.clamp_min(f64::from(f32::MIN_POSITIVE))
}

/// One negative for each positive pair whose anchor has any, by `weights` `[B, R]`.
fn draw(weights: &Tensor, positive: &Tensor, seed: u64, number: u64) -> Selection {
    let (anchors, references) = (weights.size()[0], weights.size()[1]);
    let drawable = weights.sum_dim_intlist(1, true, Kind::Float).gt(0.0); // [B, 1]
    let pairs = positive.logical_and(&drawable).nonzero(); // [T, 2]
    let (anchor, positive) = (pairs.select(1, 0), pairs.select(1, 1));
    let mut rng = stream(seed, "miner", &[number]);
    let drawn: Vec<f32> = (0..pairs.size()[0]).map(|_| rng.random()).collect();
    let drawn = Tensor::from_slice(&drawn).to_device(weights.device());
    let sums = weights.cumsum(1, Kind::Float); // [B, R]
    let total = sums.select(1, references - 1).index_select(0, &anchor);
    let wanted = (drawn * total).unsqueeze(1); // [T, 1]
    let mut negative = Vec::new();
    for (some, wanted) in pieces(&anchor, references).zip(pieces(&wanted, references)) {
        let row = sums.index_select(0, &some); // [C, R]
        // The first reference whose sum is beyond what was drawn; a weight of 0 is never first.
        let place = wanted.searchsorted(&row, false, true, "right", None::<&Tensor>);
        negative.push(place.squeeze_dim(1));
    }
    let negative = match negative.is_empty() {
        true => anchor.zeros_like(),
        false => Tensor::cat(&negative, 0),
    };
    // Rounding may leave a draw at the very end: the last reference with a weight is meant.
    let last = weights
        .gt(0.0)
        .to_kind(Kind::Int64)
        .cumsum(1, Kind::Int64)
        .argmax(1, false)
        .index_select(0, &anchor);
    Selection::Triplets {
        negative: negative.minimum(&last),
        anchor,
        positive,
        size: (anchors, references),
    }
}
