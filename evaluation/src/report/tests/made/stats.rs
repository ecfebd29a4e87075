//! Writes a made-up description of a dataset.

use std::fs;
use std::path::{Path, PathBuf};

use logodex_schemas::dataset::{Counts, Region};
use logodex_schemas::stats::{CategoryStats, DatasetStats, SampleRow, stats_header};

use super::model::BRANDS;

pub fn write_stats(root: &Path) -> PathBuf {
    let dir = root.join("dataset");
    fs::create_dir_all(&dir).unwrap();
    let category = |i: usize| CategoryStats {
        category: format!("Category {i}"),
        brands: 20,
        images: 240,
        min_images: 4,
        median_images: 11.5,
        max_images: 30,
        largest_brand: BRANDS[i].to_owned(),
    };
    let stats = DatasetStats {
        header: stats_header(),
        manifest_blake3: "3f9c".repeat(16),
        side: 64,
        region: Region::Object,
        counts: Counts {
            brands: 2864,
            categories: 9,
            images: 151_442,
            objects: 194_265,
            rows: 190_001,
            dropped_copies: 7212,
            rejects: 3,
        },
        categories: (0..6).map(category).collect(),
        samples: vec![SampleRow {
            row: 3,
            category: "Category 0".to_owned(),
            brand: BRANDS[0].to_owned(),
        }],
    };
    fs::write(dir.join("stats.json"), serde_json::to_vec(&stats).unwrap()).unwrap();
    let kept = std::env::var_os("LOGODEX_STATS_DEMO").map(PathBuf::from);
    for name in ["samples.svg", "long_tail.svg"] {
        let svg = kept.as_ref().and_then(|dir| fs::read(dir.join(name)).ok());
        let svg = svg.unwrap_or_else(|| {
            b"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 9 1\"></svg>".to_vec()
        });
        fs::write(dir.join(name), svg).unwrap();
    }
    dir
}
