//! Describes a split in numbers, as `splits/<name>.json` has it.

use std::collections::BTreeMap;

use logodex_schemas::dataset::BrandRow;
use logodex_schemas::split::{Fold, Split, SplitRow, split_header};

use super::options::SplitOptions;

/// What ties a split to its dataset, and its record to its file.
pub struct Blake3 {
    /// Of `manifest.json`.
    pub manifest: String,
    /// Of `splits/<name>.csv`.
    pub csv: String,
}

/// The record of a split whose rows are these.
pub fn describe(
    rows: &[SplitRow],
    brands: &[BrandRow],
    options: &SplitOptions,
    blake3: Blake3,
) -> Split {
    let folds = || BTreeMap::from([(Fold::Train, 0), (Fold::Val, 0), (Fold::Test, 0)]);
    let (mut n_brands, mut images, mut categories) = (folds(), folds(), BTreeMap::new());
    for row in rows {
        *n_brands.entry(row.fold).or_default() += 1;
        *images.entry(row.fold).or_default() += brands[row.index as usize].n_images;
        let category = categories.entry(row.category.clone()).or_insert_with(folds);
        *category.entry(row.fold).or_default() += 1;
    }
    Split {
        header: split_header(),
        name: options.name.clone(),
        seed: options.seed,
        test: options.test,
        val: options.val,
        manifest_blake3: blake3.manifest,
        csv_blake3: blake3.csv,
        brands: n_brands,
        images,
        categories,
        duplicates_across_folds: 0,
        seal: String::new(),
    }
}
