//! The rows that are sampled from, brand after brand.

use logodex_dataset::Dataset;
use logodex_schemas::dataset::{BrandRow, Region};
use logodex_schemas::random::stream;
use rand::seq::SliceRandom;

/// The rows of one brand of a fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrandRows {
    /// The brand's index in the dataset.
    pub brand: u32,
    /// Its rows.
    pub rows: Vec<u64>,
    /// The source image of each row.
    pub images: Vec<i64>,
}

/// The part of a fold that is sampled from, sorted by brand. The position of a brand here is its class.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoldRows {
    /// The brands that have rows.
    pub brands: Vec<BrandRows>,
}

impl FoldRows {
    /// The rows of these brands that show `region`; brands without any are left out.
    pub fn new(dataset: &Dataset, brands: &[&BrandRow], region: Region) -> Self {
        let brands = brands
            .iter()
            .map(|brand| {
                let rows = dataset.rows(&[brand], region);
                BrandRows {
                    brand: brand.index,
                    images: rows.iter().map(|&row| dataset.image_of(row)).collect(),
                    rows,
                }
            })
            .filter(|brand| !brand.rows.is_empty())
            .collect();
        Self { brands }
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.brands.iter().map(|b| b.rows.len()).sum()
    }

    /// Every row, brand after brand.
    pub fn rows(&self) -> Vec<u64> {
        self.brands.iter().flat_map(|b| &b.rows).copied().collect()
    }

    /// Rows whose brand has no second row: they can be no anchor of a positive. `(brands, rows)` are equal, since such
    /// a brand has one.
    pub fn n_single(&self) -> u64 {
        self.brands.iter().filter(|b| b.rows.len() < 2).count() as u64
    }

    /// Keeps `n_brands` brands drawn without replacement and of each at most `n_rows` rows drawn without replacement.
    pub(crate) fn subset(&self, seed: u64, name: &str, n_brands: usize, n_rows: usize) -> Self {
        let mut kept: Vec<usize> = (0..self.brands.len()).collect();
        if n_brands < kept.len() {
            kept.shuffle(&mut stream(seed, name, &[]));
            kept.truncate(n_brands);
            kept.sort_unstable();
        }
        let brands = kept.into_iter().map(|position| {
            let brand = &self.brands[position];
            let mut rows: Vec<usize> = (0..brand.rows.len()).collect();
            if n_rows < rows.len() {
                rows.shuffle(&mut stream(seed, name, &[u64::from(brand.brand)]));
                rows.truncate(n_rows);
                rows.sort_unstable();
            }
            BrandRows {
                brand: brand.brand,
                images: rows.iter().map(|&i| brand.images[i]).collect(),
                rows: rows.iter().map(|&i| brand.rows[i]).collect(),
            }
        });
        Self {
            brands: brands.collect(),
        }
    }
}
