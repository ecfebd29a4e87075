//! Draws the samples of an epoch, as pure functions of (seed, epoch); a step is a place in what they return.
//!
//! `choose` decides which rows of a split are drawn from at all, `paper` has the paper's triplets and pairs, `pk` P×K
//! batches.

mod choose;
mod fold_rows;
mod paper;
mod pk;
mod samples;

pub use choose::{check_brands, folds, subset};
pub use fold_rows::{BrandRows, FoldRows};
pub use paper::{labelled, pairs, triplets};
pub use pk::{check_pk, pk};
pub use samples::{Labelled, Pair, Triplet};
