//! What a dataset holds, in numbers and in two figures of the paper: the sample sheet (Figure 1) and the long tail by
//! category (Figure 2). The report shows both.

mod long_tail;
mod samples;
mod svg;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use logodex_schemas::dataset::{BrandRow, Manifest};
use logodex_schemas::stats::{CategoryStats, DatasetStats, stats_header};

use crate::dataset::Dataset;
use logodex_program::durable::write_whole;

/// Writes `samples.svg`, `long_tail.svg` and, last, `stats.json` into `out`; returns a line per category, to print.
///
/// # Errors
/// No dataset at `dataset` (usage), a damaged one (corrupt), or a file that cannot be written.
pub fn stats(dataset: &Path, out: &Path) -> Result<String> {
    let dataset = Dataset::open(dataset)?;
    let hash = dataset.manifest_blake3().to_owned();
    let stats = describe(dataset.brands(), dataset.manifest(), hash)?;
    let sheet = samples::sheet(&stats.samples, stats.side, &|row| dataset.image(row))?;
    let tail = long_tail::figure(dataset.brands(), &stats.categories)?;

    std::fs::create_dir_all(out)
        .with_context(|| format!("{}: cannot make the directory", out.display()))?;
    write_whole(&out.join("samples.svg"), sheet.as_bytes())?;
    write_whole(&out.join("long_tail.svg"), tail.as_bytes())?;
    let mut json = serde_json::to_vec_pretty(&stats)?;
    json.push(b'\n');
    write_whole(&out.join("stats.json"), &json)?;
    Ok(table(&stats))
}

/// The numbers of a dataset whose manifest has the hash `manifest_blake3`.
fn describe(
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
    let largest = brands.iter().find(|brand| brand.n_images == max)?;
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

/// A line per category and one for all, for a terminal.
fn table(stats: &DatasetStats) -> String {
    let mut lines = vec![[
        "category".to_owned(),
        "brands".to_owned(),
        "images".to_owned(),
        "min".to_owned(),
        "median".to_owned(),
        "max".to_owned(),
        "largest brand".to_owned(),
    ]];
    lines.extend(stats.categories.iter().map(|c| {
        [
            c.category.clone(),
            c.brands.to_string(),
            c.images.to_string(),
            c.min_images.to_string(),
            c.median_images.to_string(),
            c.max_images.to_string(),
            c.largest_brand.clone(),
        ]
    }));
    let none = String::new;
    lines.push([
        "all".to_owned(),
        stats.counts.brands.to_string(),
        stats.counts.images.to_string(),
        none(),
        none(),
        none(),
        none(),
    ]);
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..7).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let mut row = format!("{:<1$}", line[0], widths[0]);
        for (cell, width) in line[1..6].iter().zip(&widths[1..]) {
            row += &format!("  {cell:>width$}");
        }
        row += &format!("  {}", line[6]);
        text += row.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use logodex_schemas::dataset::{
        AnnotationsEntry, BuildConfig, Counts, Encoding, manifest_header,
    };

    use super::*;

    /// Brands of three categories with awkward names; 10 rows a brand.
    pub(super) fn brands() -> Vec<BrandRow> {
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
            first_row: index as u64 * 10,
            n_rows: 10,
            n_images: images,
            n_objects: images,
        })
        .collect()
    }

    pub(super) fn manifest() -> Manifest {
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

    #[test]
    fn the_table_has_a_line_per_category_and_one_for_all() {
        let stats = describe(&brands(), &manifest(), String::new()).unwrap();
        let text = table(&stats);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5);
        assert!(lines[2].starts_with("Food"));
        assert!(lines[2].contains(" 48.5 "), "{text}");
        assert_eq!(
            lines[4].split_whitespace().collect::<Vec<_>>(),
            ["all", "6", "193"]
        );
    }

    #[test]
    fn the_same_dataset_gives_the_same_bytes_and_nothing_is_left_half_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stats.json");
        write_whole(&path, b"{}").unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let one = describe(&brands(), &manifest(), String::new()).unwrap();
        let mut shuffled = brands();
        shuffled.rotate_left(2);
        let two = describe(&shuffled, &manifest(), String::new()).unwrap();
        assert_eq!(one.categories.len(), two.categories.len());
        assert_eq!(
            long_tail::figure(&brands(), &one.categories).unwrap(),
            long_tail::figure(&brands(), &one.categories).unwrap()
        );
    }
}
