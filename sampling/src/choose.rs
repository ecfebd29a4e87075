//! Chooses the rows to train and to validate on: those of a split's brands that the configuration asks for.

use logodex_dataset::{Dataset, Split, Tables};
use logodex_program::Failure;
use logodex_schemas::split::Fold;
use logodex_schemas::train::{SamplerKind, TrainConfig};

use crate::fold_rows::FoldRows;
use crate::pk::{check_pk, warn_of_short_brands};

/// The paper's `getTrainValPaths`: about `total` rows of both folds together. Of each brand `round(total / brands)`
/// rows; where that is under `min_per_brand`, instead `round(total / min_per_brand)` brands, of them
/// `round(· val_fraction)` for validation, with `min_per_brand` rows each. Rounds half to even, as Python does.
///
/// Which brands and rows are kept depends on the seed alone.
pub fn subset(
    train: &FoldRows,
    val: &FoldRows,
    total: u64,
    min_per_brand: u64,
    val_fraction: f64,
    seed: u64,
) -> (FoldRows, FoldRows) {
    let n_brands = (train.brands.len(), val.brands.len());
    let (n_train, n_val, n_rows) = subset_sizes(n_brands, total, min_per_brand, val_fraction);
    (
        train.subset(seed, "subset train", n_train, n_rows),
        val.subset(seed, "subset val", n_val, n_rows),
    )
}

/// Brands of training and validation, and rows of each, that [`subset`] keeps of so many brands at most.
fn subset_sizes(
    (n_train, n_val): (usize, usize),
    total: u64,
    min_per_brand: u64,
    val_fraction: f64,
) -> (usize, usize, usize) {
    let round = |x: f64| x.round_ties_even() as usize;
    let per_brand = round(total as f64 / (n_train + n_val).max(1) as f64);
    if per_brand as u64 >= min_per_brand {
        return (n_train, n_val, per_brand);
    }
    let brands = round(total as f64 / min_per_brand as f64);
    let for_val = round(brands as f64 * val_fraction);
    (
        brands - for_val.min(brands),
        for_val,
        min_per_brand as usize,
    )
}

/// The rows to train and to validate on.
///
/// # Errors
/// [`Failure::Usage`] when there are too few training brands for a P×K batch; brands with too few images are warned of.
pub fn folds(
    dataset: &Dataset,
    split: &Split,
    config: &TrainConfig,
) -> Result<(FoldRows, FoldRows), Failure> {
    let data = &config.data;
    let rows = |fold| FoldRows::new(dataset, &dataset.fold(split, fold), data.region);
    let (mut train, mut val) = (rows(Fold::Train), rows(Fold::Val));
    if let Some(total) = data.total_images {
        let least = data.min_images_per_brand;
        (train, val) = subset(&train, &val, total, least, split.info.val, config.seed);
    }
    if config.sampler() == SamplerKind::Pk {
        check_pk(data, train.brands.len())?;
        warn_of_short_brands(&train, data.images_per_brand as usize);
    }
    Ok((train, val))
}

/// Finds, before a shard is opened, that a P×K batch needs more brands than the split has for training.
///
/// # Errors
/// [`Failure::Usage`] naming the keys and the numbers.
pub fn check_brands(tables: &Tables, split: &Split, config: &TrainConfig) -> Result<(), Failure> {
    if config.sampler() != SamplerKind::Pk {
        return Ok(());
    }
    let with_rows = |fold| {
        let brands = tables.fold(split, fold);
        brands.iter().filter(|brand| brand.n_rows > 0).count()
    };
    let (n_train, n_val) = (with_rows(Fold::Train), with_rows(Fold::Val));
    let kept = match config.data.total_images {
        None => n_train,
        Some(total) => {
            let least = config.data.min_images_per_brand;
            let (kept, ..) = subset_sizes((n_train, n_val), total, least, split.info.val);
            kept.min(n_train)
        }
    };
    check_pk(&config.data, kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold_rows::BrandRows;

    /// Brands with these numbers of rows, each of an image of its own.
    fn fold(sizes: &[u64]) -> FoldRows {
        let mut next = 0;
        let brand = |(i, &n): (usize, &u64)| {
            let rows: Vec<u64> = (next..next + n).collect();
            next += n;
            let images = rows.iter().map(|row| *row as i64).collect();
            BrandRows {
                brand: 10 + i as u32,
                rows,
                images,
            }
        };
        FoldRows {
            brands: sizes.iter().enumerate().map(brand).collect(),
        }
    }

    #[test]
    fn a_large_subset_takes_the_same_number_of_rows_from_each_brand() {
        let (train, val) = (fold(&[50; 8]), fold(&[50, 3]));
        let (t, v) = subset(&train, &val, 104, 5, 0.2, 42);
        // round(10.4) = 10 rows of each of the 10 brands; one brand has only 3.
        assert!(t.brands.iter().all(|b| b.rows.len() == 10));
        assert_eq!(t.brands.len(), 8);
        let sizes: Vec<usize> = v.brands.iter().map(|b| b.rows.len()).collect();
        assert_eq!(sizes, [10, 3]);
        assert_eq!((t, v), subset(&train, &val, 104, 5, 0.2, 42));
        assert_ne!(
            subset(&train, &val, 104, 5, 0.2, 42).0,
            subset(&train, &val, 104, 5, 0.2, 43).0
        );
    }

    #[test]
    fn a_small_subset_keeps_fewer_brands_with_the_minimum_each() {
        let (train, val) = (fold(&[50; 80]), fold(&[50; 20]));
        // round(100 / 100) = 1 < 5, so round(100 / 5) = 20 brands, round(20 × 0.3) = 6 of them for validation.
        let (t, v) = subset(&train, &val, 100, 5, 0.3, 42);
        assert_eq!((t.brands.len(), v.brands.len()), (14, 6));
        assert!(
            t.brands
                .iter()
                .chain(&v.brands)
                .all(|b| b.rows.len() == 5 && b.rows.len() == b.images.len())
        );
        assert!(t.brands.is_sorted_by_key(|b| b.brand));
    }
}
