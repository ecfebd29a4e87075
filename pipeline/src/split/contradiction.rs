//! Finds whether the record of a split contradicts its rows.

use std::path::Path;

use logodex_schemas::dataset::{BrandRow, Manifest};
use logodex_schemas::split::SplitRow;

use super::describe::{Blake3, describe};
use super::leaks;
use super::options::SplitOptions;

/// What in the record of a split that was read does not describe its rows, if anything.
pub fn contradiction(
    dataset: &Path,
    manifest: &Manifest,
    brands: &[BrandRow],
    split: &logodex_dataset::Split,
) -> Option<String> {
    let record = &split.info;
    let rows: Vec<SplitRow> = brands
        .iter()
        .zip(split.folds())
        .filter_map(|(brand, fold)| {
            Some(SplitRow {
                index: brand.index,
                category: brand.category.clone(),
                brand: brand.brand.clone(),
                fold: (*fold)?,
            })
        })
        .collect();
    let options = SplitOptions {
        name: record.name.clone(),
        seed: record.seed,
        test: record.test,
        val: record.val,
        allow_duplicates: true,
    };
    let blake3 = Blake3 {
        manifest: record.manifest_blake3.clone(),
        csv: record.csv_blake3.clone(),
    };
    let mut again = describe(&rows, brands, &options, blake3);
    again.duplicates_across_folds = match leaks::leaks(dataset, manifest, &rows) {
        Ok(leaks) => leaks.len() as u64,
        // Whoever asks has named the damaged file already.
        Err(_) => record.duplicates_across_folds,
    };
    again.seal.clone_from(&record.seal);
    let name = &record.name;
    (again != *record)
        .then(|| format!("splits/{name}.json: it does not describe splits/{name}.csv"))
}
