//! What `logodex-data stats` says of a dataset, for the report that the trainer writes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dataset::{Counts, Region};
use crate::header::Header;

/// The header of `stats.json`.
pub fn stats_header() -> Header {
    Header::new("logodex-stats", 1)
}

/// `stats.json`, beside `samples.svg` (the paper's Figure 1) and `long_tail.svg` (its Figure 2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DatasetStats {
    /// Kind and version.
    #[serde(flatten)]
    pub header: Header,
    /// BLAKE3 of the dataset's manifest, hexadecimal.
    pub manifest_blake3: String,
    /// Side of the stored square images, pixels.
    pub side: u32,
    /// What one row shows.
    pub region: Region,
    /// Sizes, as the manifest has them.
    pub counts: Counts,
    /// The categories in byte order.
    pub categories: Vec<CategoryStats>,
    /// The rows shown on the sample sheet, column by column.
    pub samples: Vec<SampleRow>,
}

/// One category of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryStats {
    /// Its name, as spelled on disk.
    pub category: String,
    /// Brands.
    pub brands: u64,
    /// Source images.
    pub images: u64,
    /// Images of its smallest brand.
    pub min_images: u64,
    /// Median of images per brand; the mean of the middle two for an even number of brands.
    pub median_images: f64,
    /// Images of its largest brand.
    pub max_images: u64,
    /// Its largest brand; the first by index where several are.
    pub largest_brand: String,
}

/// A picture of the sample sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SampleRow {
    /// Row of the dataset.
    pub row: u64,
    /// Its category.
    pub category: String,
    /// Its brand.
    pub brand: String,
}
