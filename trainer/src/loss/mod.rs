//! The losses, as free functions of embeddings: fp32 in, one fp32 number out, gradients by autograd. Here those of drawn
//! triplets and pairs, row by row; [`labelled`]: over all pairs of a batch; [`classes`]: over the training brands.

pub mod classes;
pub mod labelled;

use tch::{Kind, Tensor};

/// Added to each coordinate's difference, as `torch.nn.TripletMarginLoss` and `torch.nn.PairwiseDistance` do. The
/// paper's ‖x − y‖ differs from it by less than 2e-6·√D, and its gradient is finite where two points coincide.
const DISTANCE_EPS: f64 = 1e-6;

/// Row-wise ‖x − y + 1e-6‖ of `[B, D]` and `[B, D]` → `[B]`: `torch.nn.functional.pairwise_distance`.
pub fn euclidean_distance(x: &Tensor, y: &Tensor) -> Tensor {
    let difference = x.to_kind(Kind::Float) - y.to_kind(Kind::Float) + DISTANCE_EPS;
    difference.norm_scalaropt_dim(2, [-1], false)
}

/// Row-wise cosine of `[B, D]` and `[B, D]` → `[B]`: `torch.nn.functional.cosine_similarity` (0 for a zero vector).
pub fn cosine_similarity(x: &Tensor, y: &Tensor) -> Tensor {
    Tensor::cosine_similarity(&x.to_kind(Kind::Float), &y.to_kind(Kind::Float), -1, 1e-8)
}

/// Mean of max(0, ‖a−p‖ − ‖a−n‖ + margin) over triplets `[B, D]` (Schroff et al. 2015); the arithmetic is
/// `torch.nn.TripletMarginLoss`'s with p = 2.
pub fn triplet(a: &Tensor, p: &Tensor, n: &Tensor, margin: f64) -> Tensor {
    (euclidean_distance(a, p) - euclidean_distance(a, n) + margin)
        .clamp_min(0.0)
        .mean(Kind::Float)
}

/// Mean of y·d² + (1−y)·max(0, margin−d)² over pairs `[B, D]` (Hadsell et al. 2006, without their ½).
///
/// `same` `[B]` is 1 (or true) for a pair of one brand, else 0.
pub fn contrastive_euclidean(x: &Tensor, y: &Tensor, same: &Tensor, margin: f64) -> Tensor {
    let distance = euclidean_distance(x, y);
    let same = same.to_kind(Kind::Float);
    let pull = distance.square();
    let push = (-distance + margin).clamp_min(0.0).square();
    (&same * pull + (-&same + 1.0) * push).mean(Kind::Float)
}

/// Mean over pairs `[B, D]` of 1 − cos for a pair of one brand, of max(0, cos − margin) for another; with targets ±1
/// this is `torch.nn.CosineEmbeddingLoss`.
///
/// `same` `[B]` is 1 (or true) for a pair of one brand, else 0.
pub fn contrastive_cosine(x: &Tensor, y: &Tensor, same: &Tensor, margin: f64) -> Tensor {
    let cosine = cosine_similarity(x, y);
    let same = same.to_kind(Kind::Float);
    let pull = -&cosine + 1.0;
    let push = (cosine - margin).clamp_min(0.0);
    (&same * pull + (-&same + 1.0) * push).mean(Kind::Float)
}

/// Rows `[B, D]` divided by their Euclidean norm, in fp32: `torch.nn.functional.normalize` (eps 1e-12).
pub fn l2_normalize(x: &Tensor) -> Tensor {
    let x = x.to_kind(Kind::Float);
    let norm = x.norm_scalaropt_dim(2, [-1], true).clamp_min(1e-12);
    x / norm
}
