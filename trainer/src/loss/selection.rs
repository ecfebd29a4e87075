//! Which pairs or triplets of a batch a loss sees, and how to walk them without all triplets in memory at once.

use tch::{Kind, Tensor};

/// Elements of the pieces in which triplets are walked: 16 Mi, which is 16 MiB of flags and 64 MiB of distances.
const PIECE: i64 = 1 << 24;

/// What a loss sees. Masks are bool `[B, R]`, indices i64.
#[derive(Debug)]
pub enum Selection {
    /// These pairs; as triplets, each positive of an anchor with each of its negatives.
    Pairs {
        /// Pairs of one label.
        positive: Tensor,
        /// Pairs of two labels.
        negative: Tensor,
    },
    /// For each positive pair the negatives farther than the positive by at most the margin.
    SemiHard {
        /// Pairs of one label.
        positive: Tensor,
        /// Pairs of two labels.
        negative: Tensor,
        /// Distances `[B, R]`.
        distance: Tensor,
        /// Margin.
        margin: f64,
    },
    /// One triplet each.
    Triplets {
        /// Rows of the batch, `[T]`.
        anchor: Tensor,
        /// References, `[T]`.
        positive: Tensor,
        /// References, `[T]`.
        negative: Tensor,
        /// Number of anchors and of references.
        size: (i64, i64),
    },
}

impl Selection {
    /// The pairs that take part, `(positive, negative)`, bool `[B, R]`: of triplets, every pair that any of them has.
    pub fn pairs(&self) -> (Tensor, Tensor) {
        match self {
            Self::Pairs { positive, negative } => {
                (positive.shallow_clone(), negative.shallow_clone())
            }
            Self::SemiHard { positive, .. } => {
                let _no_grad = tch::no_grad_guard();
                let (near, far) = (positive.zeros_like(), positive.zeros_like());
                let width = positive.size()[1];
                self.for_each(|anchor, positive, negatives| {
                    let any = negatives.any_dim(1, false);
                    let at = (anchor * width + positive).masked_select(&any);
                    let _ = near.view([-1]).index_fill_(0, &at, 1);
                    let hits = negatives.to_kind(Kind::Float);
                    let sums = Tensor::zeros(far.size(), (Kind::Float, far.device()))
                        .index_add(0, anchor, &hits);
                    far.shallow_clone().copy_(&far.logical_or(&sums.gt(0.0)));
                });
                (near, far)
            }
            Self::Triplets {
                anchor,
                positive,
                negative,
                size: (anchors, references),
            } => {
                let mask = |place: &Tensor| {
                    let at = anchor * *references + place;
                    Tensor::zeros([anchors * references], (Kind::Bool, anchor.device()))
                        .index_fill(0, &at, 1)
                        .view([*anchors, *references])
                };
                (mask(positive), mask(negative))
            }
        }
    }

    /// Hands over all triplets in pieces: anchors `[C]` and positives `[C]`, and for each such pair its negatives, bool
    /// `[C, R]`.
    pub fn for_each(&self, mut look: impl FnMut(&Tensor, &Tensor, &Tensor)) {
        match self {
            Self::Pairs { positive, negative } => {
                for pairs in pieces(&positive.nonzero(), negative.size()[1]) {
                    let (anchor, positive) = (pairs.select(1, 0), pairs.select(1, 1));
                    look(&anchor, &positive, &negative.index_select(0, &anchor));
                }
            }
            Self::SemiHard {
                positive,
                negative,
                distance,
                margin,
            } => {
                let width = negative.size()[1];
                for pairs in pieces(&positive.nonzero(), width) {
                    let (anchor, positive) = (pairs.select(1, 0), pairs.select(1, 1));
                    let near = distance.take(&(&anchor * width + &positive)).unsqueeze(1);
                    let beyond = distance.index_select(0, &anchor) - near; // [C, R]
                    let semi_hard = beyond
                        .gt(0.0)
                        .logical_and(&beyond.le(*margin))
                        .logical_and(&negative.index_select(0, &anchor));
                    look(&anchor, &positive, &semi_hard);
                }
            }
            Self::Triplets {
                anchor,
                positive,
                negative,
                size: (_, references),
            } => {
                let all = Tensor::stack(&[anchor, positive, negative], 1); // [T, 3]
                for some in pieces(&all, *references) {
                    let negatives =
                        Tensor::zeros([some.size()[0], *references], (Kind::Bool, some.device()))
                            .scatter_value(1, &some.narrow(1, 2, 1), 1);
                    look(&some.select(1, 0), &some.select(1, 1), &negatives);
                }
            }
        }
    }
}

/// Slices along the first dimension of [`PIECE`] elements where each is `width` wide.
pub(super) fn pieces(of: &Tensor, width: i64) -> impl Iterator<Item = Tensor> {
    let (n, rows) = (of.size()[0], (PIECE / width.max(1)).max(1));
    (0..n)
        .step_by(rows as usize)
        .map(move |from| of.narrow(0, from, rows.min(n - from)))
}
