//! The numbers of a dataset: how many images its brands have, category by category.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use logodex_schemas::dataset::{BrandRow, Manifest};
use logodex_schemas::stats::{CategoryStats, DatasetStats, stats_header};

use super::samples;

/// The numbers of a dataset whose manifest has the hash `manifest_blake3`.
///
/// # Errors
/// It has no brand.
pub fn describe(
    brands: &[BrandRow],
    manifest: &Manifest,
    manifest_blake3: String,
) -> Result<DatasetStats> {
    ensure!(!brands.is_empty(), "the dataset has no brand");
    let mut by_category: BTreeMap<&str, Vec<&BrandRow>> = BTreeMap::new();
    for brand in brands {
        by_category.entry(&brand.category).or_default().push(brand);
    }
    Ok(DatasetStats {
        header: stats_header(),
        manifest_blake3,
        side: manifest.config.side,
        region: manifest.config.region,
        counts: manifest.counts.clone(),
        categories: by_category
            .iter()
            .filter_map(|(name, brands)| category(name, brands))
            .collect(),
        samples: samples::choose(&by_category),
    })
}

/// None for a category without brands.
fn category(name: &str, brands: &[&BrandRow]) -> Option<CategoryStats> {
    let mut images: Vec<u64> = brands.iter().map(|brand| brand.n_images).collect();
    images.sort_unstable();
    let (min, max) = (*images.first()?, *images.last()?);
    let (below, above) = (images[(images.len() - 1) / 2], images[images.len() / 2]);
    let largest = brands.iter().filter(|brand| brand.n_images == max);
    let largest = largest.min_by_key(|brand| brand.index)?;
    Some(CategoryStats {
        category: name.to_owned(),
        brands: images.len() as u64,
        images: images.iter().sum(),
        min_images: min,
        median_images: (below + above) as f64 / 2.0,
        max_images: max,
        largest_brand: largest.brand.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::made::{brands, manifest};
    use super::*;

    #[test]
    fn a_category_is_described_by_its_brands() {
        let stats = describe(&brands(), &manifest(), "hash".to_owned()).unwrap();
        let clothes = &stats.categories[0];
        assert_eq!(
            (
                clothes.brands,
                clothes.images,
                clothes.min_images,
                clothes.max_images
            ),
            (3, 92, 12, 40)
        );
        assert_eq!(clothes.median_images, 40.0);
        assert_eq!(
            clothes.largest_brand, "L'OCCITANE <\"x\">",
            "the first of two"
        );
        assert_eq!(stats.categories[1].median_images, 48.5);
        assert_eq!(stats.categories[2].category, "Sports");
        assert!(describe(&[], &manifest(), String::new()).is_err());
    }
}
