//! A brand-wise split: an index file that touches no pixel.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::header::Header;

/// The header of `splits/<name>.json`.
pub fn split_header() -> Header {
    Header::new("logodex-split", 2)
}

/// Where a brand belongs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Fold {
    /// Weights are fitted on it.
    Train,
    /// Thresholds and epochs are chosen on it.
    Val,
    /// Seen once, at the end.
    Test,
}

impl Fold {
    /// `train`, `val` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

/// A line of `splits/<name>.csv`, one per brand, sorted by index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SplitRow {
    /// Brand index.
    pub index: u32,
    /// Category.
    pub category: String,
    /// Canonical brand.
    pub brand: String,
    /// Its fold.
    pub fold: Fold,
}

/// `splits/<name>.json`: how the split beside it was drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Split {
    /// Kind and version.
    #[serde(flatten)]
    pub header: Header,
    /// Its name.
    pub name: String,
    /// The seed.
    pub seed: u64,
    /// Fraction of all brands asked for as test.
    pub test: f64,
    /// Fraction of the remaining brands asked for as validation.
    pub val: f64,
    /// BLAKE3 of the manifest it was drawn for, hexadecimal.
    pub manifest_blake3: String,
    /// BLAKE3 of the CSV file beside it, hexadecimal.
    pub csv_blake3: String,
    /// Brands per fold.
    pub brands: BTreeMap<Fold, u64>,
    /// Images per fold.
    pub images: BTreeMap<Fold, u64>,
    /// Brands per category and fold.
    pub categories: BTreeMap<String, BTreeMap<Fold, u64>>,
    /// Groups of images that are the same or look the same and lie in several folds, and images that were not compared
    /// with all that they resemble: 0 unless they were allowed.
    pub duplicates_across_folds: u64,
    /// BLAKE3 of this file with this value replaced by zeros: see [`crate::header::seal`].
    pub seal: String,
}
