//! Reads `brands.csv`: every brand with its range of rows.

use std::path::Path;

use logodex_schemas::dataset::{BrandRow, Manifest};

use crate::error::DatasetError;
use crate::files::{parse_csv, read_listed};

/// The brands of the dataset in `dir`; brand `i` is at position `i`, and their ranges of rows follow one another.
///
/// # Errors
/// [`DatasetError::Corrupt`] when the file is not the one that the manifest lists, leaves a number out, has a key that is not
/// the brand's, or disagrees with the manifest's counts.
pub fn read_brands(dir: &Path, manifest: &Manifest) -> Result<Vec<BrandRow>, DatasetError> {
    let path = dir.join("brands.csv");
    let brands: Vec<BrandRow> = parse_csv(&path, &read_listed(dir, manifest, "brands.csv")?)?;
    let mut next_row = 0u64;
    for (index, brand) in (0u32..).zip(&brands) {
        if brand.index != index || brand.first_row != next_row {
            return Err(DatasetError::corrupt(
                &path,
                format_args!(
                    "brand {:?} breaks the order: indices and rows must be dense and sorted",
                    brand.brand
                ),
            ));
        }
        if brand.key != format!("{}/{}", brand.category, brand.brand) {
            return Err(DatasetError::corrupt(
                &path,
                format_args!("{:?} is no key of brand {index}", brand.key),
            ));
        }
        next_row = next_row
            .checked_add(brand.n_rows)
            .ok_or_else(|| DatasetError::corrupt(&path, "the numbers of rows overflow"))?;
    }
    if brands.len() as u64 != manifest.counts.brands || next_row != manifest.counts.rows {
        return Err(DatasetError::corrupt(
            &path,
            format_args!(
                "lists {} brands and {next_row} rows, the manifest {} and {}",
                brands.len(),
                manifest.counts.brands,
                manifest.counts.rows
            ),
        ));
    }
    Ok(brands)
}
