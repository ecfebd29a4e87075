//! Losses over all pairs of a batch's embeddings with their references: the batch itself, or the cross-batch memory.
//!
//! Which pairs take part is a [`Selection`]. Everything is a dense `[B, R]` matrix and two masks, so memory is O(B·R)
//! whatever was selected. Arithmetic is pytorch-metric-learning 2.9.0's where it has the loss. A batch in which nothing
//! is selected costs 0 and moves nothing.

use tch::{Kind, Tensor};

use super::log_sum_exp::{log_one_plus_sum_exp, log_sum_exp};
use super::selection::Selection;

/// Mean of max(0, d(a, p) − d(a, n) + margin) over the selected triplets (Schroff et al. 2015); `distance` `[B, R]`. That
/// is pytorch-metric-learning's `MeanReducer`; its default divides by the triplets above 0 alone.
///
/// The hinge is piecewise linear, so its sum is Σ c·d + margin · open, where c counts how often an open triplet uses a
/// distance as its positive less how often as its negative. c is found without autograd, a piece at a time: no triplet
/// is ever stored, and what autograd keeps is one `[B, R]` matrix.
pub fn triplet(distance: &Tensor, selection: &Selection, margin: f64) -> Tensor {
    let coefficients = tch::no_grad(|| distance.zeros_like());
    let (mut open, mut selected) = (number(distance), number(distance));
    tch::no_grad(|| {
        let fixed = distance.detach();
        let flat = coefficients.view([-1]);
        let n_references = distance.size()[1];
        selection.for_each(|anchor, positive, negatives| {
            let at = anchor * n_references + positive; // [C]
            let near = fixed.take(&at).unsqueeze(1); // [C, 1]
            let far = fixed.index_select(0, anchor); // [C, R]
            let is_open = (near - far + margin).gt(0.0).logical_and(negatives);
            let counted = is_open.to_kind(Kind::Float);
            let per_pair = counted.sum_dim_intlist(1, false, Kind::Float); // [C]
            let _ = flat.shallow_clone().index_add_(0, &at, &per_pair);
            let _ = coefficients
                .shallow_clone()
                .index_add_(0, anchor, &(-counted));
            open += is_open.sum(Kind::Double);
            selected += negatives.sum(Kind::Double);
        });
    });
    // A difference of large sums: in double, for a value as exact as the mean of the hinges.
    let sum = (distance.to_kind(Kind::Double) * coefficients.to_kind(Kind::Double))
        .sum(Kind::Double)
        + open * margin;
    (sum / selected.clamp_min(1.0)).to_kind(Kind::Float)
}

fn number(like: &Tensor) -> Tensor {
    Tensor::zeros([], (Kind::Double, like.device()))
}

/// Mean of d² over the selected positive pairs plus mean of max(0, margin − d)² over the selected negative pairs;
/// `distance` `[B, R]`.
pub fn contrastive_euclidean(distance: &Tensor, selection: &Selection, margin: f64) -> Tensor {
    let (positive, negative) = selection.pairs();
    mean_of(&distance.square(), &positive)
        + mean_of(&(-distance + margin).clamp_min(0.0).square(), &negative)
}

/// Mean of 1 − cos over the selected positive pairs plus mean of max(0, cos − margin) over the selected negative pairs, each
/// pair once; `cosine` `[B, R]`. pytorch-metric-learning's default divides by the pairs above 0 alone, and counts a pair
/// once for each triplet of a miner that has it.
pub fn contrastive_cosine(cosine: &Tensor, selection: &Selection, margin: f64) -> Tensor {
    let (positive, negative) = selection.pairs();
    mean_of(&(-cosine + 1.0), &positive) + mean_of(&(cosine - margin).clamp_min(0.0), &negative)
}

/// The mean of the values under the mask; 0 where there are none.
fn mean_of(values: &Tensor, mask: &Tensor) -> Tensor {
    let count = mask.sum(Kind::Float).clamp_min(1.0);
    (values * mask.to_kind(Kind::Float)).sum(Kind::Float) / count
}

/// Multi-similarity (Wang et al. 2019, eq. 10): per anchor
/// ln(1 + Σ exp(−α(s − λ))) / α over positives + ln(1 + Σ exp(β(s − λ))) / β over negatives, mean over anchors.
/// `cosine` `[B, R]`, λ = `base`.
pub fn multi_similarity(
    cosine: &Tensor,
    selection: &Selection,
    (alpha, beta, base): (f64, f64, f64),
) -> Tensor {
    let (positive, negative) = selection.pairs();
    let pull = log_one_plus_sum_exp(&((-cosine + base) * alpha), &positive, 1) / alpha; // [B]
    let push = log_one_plus_sum_exp(&((cosine - base) * beta), &negative, 1) / beta;
    (pull + push).mean(Kind::Float)
}

/// Supervised contrastive loss (Khosla et al. 2020, L_out): per anchor −mean over positives of
/// ln(exp(s_p / τ) / Σ exp(s / τ)), the sum over all selected pairs of the anchor; mean over the anchors that have a
/// positive. `cosine` `[B, R]`, τ = `temperature`.
pub fn sup_con(cosine: &Tensor, selection: &Selection, temperature: f64) -> Tensor {
    let (positive, negative) = selection.pairs();
    let logits = cosine / temperature;
    let denominator = log_sum_exp(&logits, &positive.logical_or(&negative), 1).unsqueeze(1); // [B, 1]
    let weights = positive.to_kind(Kind::Float);
    let count = weights.sum_dim_intlist(1, false, Kind::Float); // [B]
    let per_anchor = ((denominator - logits) * &weights).sum_dim_intlist(1, false, Kind::Float)
        / count.clamp_min(1.0);
    mean_of(&per_anchor, &count.gt(0.0))
}

/// Circle loss (Sun et al. 2020, eq. 6): per anchor softplus(LSE(−γ·[1 + m − s_p]₊·(s_p − 1 + m)) + LSE(γ·[s_n +
/// m]₊·(s_n − m))), the weights in brackets without gradient; mean over the anchors that have a positive and a negative
/// (pytorch-metric-learning leaves out of the mean also those whose loss has underflowed to 0). `cosine` `[B, R]`.
pub fn circle(cosine: &Tensor, selection: &Selection, margin: f64, gamma: f64) -> Tensor {
    let (positive, negative) = selection.pairs();
    let fixed = cosine.detach();
    let pull = (-&fixed + (1.0 + margin)).clamp_min(0.0) * (cosine - (1.0 - margin)) * -gamma;
    let push = (&fixed + margin).clamp_min(0.0) * (cosine - margin) * gamma;
    let sum = log_sum_exp(&pull, &positive, 1) + log_sum_exp(&push, &negative, 1);
    let has_both = positive
        .any_dim(1, false)
        .logical_and(&negative.any_dim(1, false));
    mean_of(&sum.softplus(), &has_both)
}
