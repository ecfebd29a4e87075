//! Compares embeddings: distances and cosines, row by row or of every row with every reference.

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

/// What a loss or a miner compares embeddings by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// [`distances`].
    Distance,
    /// [`distances`] of rows divided by their norms.
    UnitDistance,
    /// [`cosines`].
    Cosine,
}

impl Measure {
    /// `[B, R]`, of `[B, D]` and `[R, D]`.
    pub fn between(self, x: &Tensor, references: &Tensor) -> Tensor {
        match self {
            Self::Distance => distances(x, references),
            Self::UnitDistance => distances(&l2_normalize(x), &l2_normalize(references)),
            Self::Cosine => cosines(x, references),
        }
    }
}

/// Euclidean distances `[B, R]` of `[B, D]` and `[R, D]`, without the cancellation of the matrix-product formula; the
/// gradient is 0 where two points coincide.
pub fn distances(x: &Tensor, references: &Tensor) -> Tensor {
    /// `torch.cdist(compute_mode = "donot_use_mm_for_euclid_dist")`.
    const EXACT: i64 = 2;
    let (x, references) = (x.to_kind(Kind::Float), references.to_kind(Kind::Float));
    Tensor::cdist(&x, &references, 2.0, EXACT)
}

/// Cosines `[B, R]` of `[B, D]` and `[R, D]`.
pub fn cosines(x: &Tensor, references: &Tensor) -> Tensor {
    l2_normalize(x).matmul(&l2_normalize(references).tr())
}

/// Rows `[B, D]` divided by their Euclidean norm, in fp32: `torch.nn.functional.normalize` (eps 1e-12).
pub fn l2_normalize(x: &Tensor) -> Tensor {
    let x = x.to_kind(Kind::Float);
    let norm = x.norm_scalaropt_dim(2, [-1], true).clamp_min(1e-12);
    x / norm
}
