//! Losses of triplets and pairs that the sampler has drawn, row by row.

use tch::{Kind, Tensor};

use super::distance::{cosine_similarity, euclidean_distance};

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
