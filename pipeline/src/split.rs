//! `logodex-data split`: which brands are trained on, validated on and tested on. An index file; no pixel is touched.
//!
//! Within each category the brands that have rows are ordered by a hash of (seed, category, brand): the first are test,
//! the next validation, the rest train. So a brand keeps its place when another gains an image, and a brand more or
//! less moves at most the brands at the two borders of its category and, through rounding, of few others.
//!
//! The paper's `getTrainValPaths` (a total size, a minimum per brand) is no business of a split: the trainer's
//! `[data] total_images` and `min_images_per_brand` draw from the folds, so that one split serves every size.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use logodex_dataset::Tables;
use logodex_schemas::dataset::{BrandRow, Manifest};
use logodex_schemas::header::seal;
use logodex_schemas::split::{Fold, Split, SplitRow, split_header};

use crate::tables::csv_bytes;
use logodex_program::durable::write_whole;
use logodex_program::failure::usage;

mod leaks;

/// What `split` is asked to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitOptions {
    /// Its name: letters, digits, `_` and `-`.
    pub name: String,
    /// The seed.
    pub seed: u64,
    /// Fraction of all brands for test, 0 ≤ f < 1.
    pub test: f64,
    /// Fraction of the remaining brands for validation, 0 ≤ f < 1.
    pub val: f64,
    /// Draw it even if pictures of two folds are the same or look the same.
    pub allow_duplicates: bool,
}

impl SplitOptions {
    /// Accepts options that mean something.
    ///
    /// # Errors
    /// Usage, naming the option.
    pub fn validate(&self) -> anyhow::Result<()> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if self.name.is_empty() || !self.name.chars().all(allowed) {
            return Err(usage(format!(
                "--name {:?}: use letters, digits, _ and - only",
                self.name
            )));
        }
        for (option, value) in [("--test", self.test), ("--val", self.val)] {
            if !(0.0..1.0).contains(&value) {
                return Err(usage(format!(
                    "{option} {value}: it must be at least 0 and below 1"
                )));
            }
        }
        Ok(())
    }
}

/// Draws a split and writes `splits/<name>.csv` and `.json`; returns a table of it. The same split again is fine.
///
/// # Errors
/// Usage: a bad name or fraction, a path that is no dataset, another split of that name, pictures in two folds. Corrupt:
/// a damaged dataset.
pub fn split(dataset: &Path, options: &SplitOptions) -> anyhow::Result<String> {
    draw_and_write(dataset, options, false)
}

/// Draws every split of a dataset again, as its own file says it was drawn, after the dataset was brought up to date.
/// Returns a line per split, to print.
///
/// # Errors
/// A folder that cannot be listed. A split that cannot be drawn again is a line, and its files stay as they were.
pub fn redraw(dataset: &Path) -> anyhow::Result<Vec<String>> {
    let folder = dataset.join("splits");
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut records = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            records.push(path);
        }
    }
    records.sort();
    let again = |path: &Path| -> anyhow::Result<String> {
        let json = std::fs::read(path)?;
        let record: Split = split_header()
            .parse(&json)
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        let options = SplitOptions {
            name: record.name,
            seed: record.seed,
            test: record.test,
            val: record.val,
            allow_duplicates: record.duplicates_across_folds > 0,
        };
        draw_and_write(dataset, &options, true)?;
        Ok(format!(
            "split {} was drawn again with seed {}",
            options.name, options.seed
        ))
    };
    let lines = records.iter().map(|path| {
        again(path).unwrap_or_else(|error| {
            format!(
                "{}: not drawn again, and of no use now: {error:#}",
                path.display()
            )
        })
    });
    Ok(lines.collect())
}

fn draw_and_write(dataset: &Path, options: &SplitOptions, replace: bool) -> anyhow::Result<String> {
    options.validate()?;
    let tables = Tables::open(dataset)?;
    let rows = draw(tables.brands(), options);
    let leaks = leaks::leaks(dataset, tables.manifest(), &rows)?;
    if !options.allow_duplicates {
        leaks::refuse(&leaks)?;
    }
    let csv = csv_bytes(&rows)?;
    let blake3 = Blake3 {
        manifest: tables.manifest_blake3().to_owned(),
        csv: blake3::hash(&csv).to_hex().to_string(),
    };
    let mut record = describe(&rows, tables.brands(), options, blake3);
    record.duplicates_across_folds = leaks.len() as u64;
    let json = seal(&record)?;
    let folder = dataset.join("splits");
    let files = [("csv", csv), ("json", json)];
    for (extension, bytes) in &files {
        let path = folder.join(format!("{}.{extension}", options.name));
        match std::fs::read(&path) {
            Ok(found) if found != *bytes && !replace => {
                return Err(usage(format!(
                    "{} is another split; choose another --name, or remove it",
                    path.display()
                )));
            }
            _ => {}
        }
    }
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    for (extension, bytes) in &files {
        let path = folder.join(format!("{}.{extension}", options.name));
        if replace || !path.exists() {
            write_whole(&path, bytes)?;
        }
    }
    Ok(table(&record))
}

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
/// more gives at least one (if any are asked for at all), and every category keeps at least one; where that takes more
/// or leaves less than the rounded total, it wins. Ties go to the first in byte order.
fn quotas(sizes: &[usize], fraction: f64) -> Vec<usize> {
    if fraction == 0.0 {
        return vec![0; sizes.len()];
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

/// What ties a split to its dataset, and its record to its file.
struct Blake3 {
    manifest: String,
    csv: String,
}

fn describe(
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

fn table(split: &Split) -> String {
    let line = |name: &str, folds: &BTreeMap<Fold, u64>| {
        let n = |fold| folds.get(&fold).copied().unwrap_or(0);
        format!(
            "{name:<16} {:>8} {:>8} {:>8}",
            n(Fold::Train),
            n(Fold::Val),
            n(Fold::Test)
        )
    };
    let mut lines = vec![format!(
        "{:<16} {:>8} {:>8} {:>8}",
        "brands", "train", "val", "test"
    )];
    lines.extend(
        split
            .categories
            .iter()
            .map(|(name, folds)| line(name, folds)),
    );
    lines.push(line("all", &split.brands));
    lines.push(line("images", &split.images));
    if split.duplicates_across_folds > 0 {
        lines.push(format!(
            "{} pairs of images that are the same or look the same lie in two folds",
            split.duplicates_across_folds
        ));
    }
    lines.join("\n")
}

/// What in the record of a split that was read does not describe its rows, if anything.
pub(crate) fn contradiction(
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

#[cfg(test)]
mod tests;
