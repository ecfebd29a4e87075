//! Draws the fold of every brand.
//!
//! Within each category the brands that have rows are ordered by a hash of (seed, category, brand): the first are test,
//! the next validation, the rest train. So a brand keeps its place when another gains an image, and a brand more or
//! less moves at most the brands at the two borders of its category and, through rounding, of few others.

use std::collections::BTreeMap;

use logodex_schemas::dataset::BrandRow;
use logodex_schemas::split::{Fold, SplitRow};

use super::options::SplitOptions;

/// The fold of every brand that has rows, by index.
pub fn draw(brands: &[BrandRow], options: &SplitOptions) -> Vec<SplitRow> {
    let mut categories: BTreeMap<&str, Vec<&BrandRow>> = BTreeMap::new();
    for brand in brands.iter().filter(|brand| brand.n_rows > 0) {
        categories.entry(&brand.category).or_default().push(brand);
    }
    for brands in categories.values_mut() {
        brands.sort_by_cached_key(|brand| (order(options.seed, brand), brand.index));
    }
    let sizes: Vec<usize> = categories.values().map(Vec::len).collect();
    let tests = quotas(&sizes, options.test);
    let rest: Vec<usize> = sizes
        .iter()
        .zip(&tests)
        .map(|(size, test)| size - test)
        .collect();
    let vals = quotas(&rest, options.val);
    let mut rows = Vec::new();
    for ((brands, test), val) in categories.values().zip(tests).zip(vals) {
        for (place, brand) in brands.iter().enumerate() {
            let fold = match place {
                place if place < test => Fold::Test,
                place if place < test + val => Fold::Val,
                _ => Fold::Train,
            };
            rows.push(SplitRow {
                index: brand.index,
                category: brand.category.clone(),
                brand: brand.brand.clone(),
                fold,
            });
        }
    }
    rows.sort_by_key(|row| row.index);
    rows
}

/// A brand's place in its category: nothing but the seed and its own name decides it.
fn order(seed: u64, brand: &BrandRow) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("logodex split order 1");
    hasher.update(&seed.to_le_bytes());
    // The length keeps category and brand apart.
    hasher.update(&(brand.category.len() as u64).to_le_bytes());
    hasher.update(brand.category.as_bytes());
    hasher.update(brand.brand.as_bytes());
    *hasher.finalize().as_bytes()
}

/// How many of each category to take, by largest remainder: together `fraction` of all, rounded. A category of two or
/// more gives at least one (if any are asked for at all), and every category keeps at least one (unless all are asked for); where that takes more
/// or leaves less than the rounded total, it wins. Ties go to the first in byte order.
fn quotas(sizes: &[usize], fraction: f64) -> Vec<usize> {
    if fraction == 0.0 {
        return vec![0; sizes.len()];
    }
    if fraction == 1.0 {
        return sizes.to_vec();
    }
    let total = (sizes.iter().sum::<usize>() as f64 * fraction).round() as usize;
    let exact: Vec<f64> = sizes.iter().map(|&size| size as f64 * fraction).collect();
    let mut taken: Vec<usize> = sizes
        .iter()
        .zip(&exact)
        .map(|(&size, exact)| (exact.floor() as usize).max(1).min(size.saturating_sub(1)))
        .collect();
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    by_remainder.sort_by(|&a, &b| {
        exact[b]
            .fract()
            .total_cmp(&exact[a].fract())
            .then(a.cmp(&b))
    });
    let mut left = total.saturating_sub(taken.iter().sum());
    for i in by_remainder {
        // One whose minimum already exceeds its exact share has had its remainder.
        if left > 0 && taken[i] + 1 < sizes[i] && (taken[i] as f64) < exact[i] {
            taken[i] += 1;
            left -= 1;
        }
    }
    taken
}

#[cfg(test)]
mod tests;
