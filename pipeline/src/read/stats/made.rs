//! A dataset's tables, made for the tests of the figures.

use std::collections::BTreeMap;

use logodex_schemas::dataset::{
    AnnotationsEntry, BrandRow, BuildConfig, Counts, Encoding, Manifest, manifest_header,
};

/// Brands of three categories with awkward names; 10 rows a brand.
pub fn brands() -> Vec<BrandRow> {
    [
        ("Clothes", "Abercrombie & Fitch", 12),
        ("Clothes", "L'OCCITANE <\"x\">", 40),
        ("Clothes", "zara", 40),
        ("Food", "Bravo!,  Cucina Italiana", 7),
        ("Food", "Honey Nut Cheerios and a very long name indeed", 90),
        ("Sports", "999", 4),
    ]
    .into_iter()
    .enumerate()
    .map(|(index, (category, brand, images))| BrandRow {
        index: index as u32,
        category: category.to_owned(),
        brand: brand.to_owned(),
        key: format!("{category}/{brand}"),
        first_row: index as u64 * 10,
        n_rows: 10,
        n_images: images,
        n_objects: images,
    })
    .collect()
}

pub fn manifest() -> Manifest {
    Manifest {
        header: manifest_header(),
        created_by: "test".to_owned(),
        config: BuildConfig {
            side: 8,
            ..BuildConfig::default()
        },
        decoder: String::new(),
        resizer: String::new(),
        counts: Counts {
            brands: 6,
            categories: 3,
            images: 193,
            ..Counts::default()
        },
        shards: vec![],
        files: BTreeMap::new(),
        annotations: AnnotationsEntry::default(),
        encoding: Encoding::Raw,
        encoder: None,
        seal: String::new(),
    }
}
