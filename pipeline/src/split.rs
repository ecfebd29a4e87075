//! `logodex-data split`: decides which brands are trained on, validated on and tested on. An index file; no pixel is
//! touched.
//!
//! The paper's `getTrainValPaths` (a total size, a minimum per brand) is no business of a split: the trainer's
//! `[data] total_images` and `min_images_per_brand` draw from the folds, so that one split serves every size.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use logodex_dataset::{Dataset, DatasetError, Tables, read_manifest};
use logodex_schemas::header::seal;
use logodex_schemas::split::{Fold, Split, split_header};

use crate::serialise::csv_bytes;
use describe::{Blake3, describe};
use draw::draw;
use logodex_program::durable::write_whole;
use logodex_program::failure::{corrupt, usage};

mod contradiction;
mod describe;
mod draw;
mod leaks;
mod options;

pub(crate) use contradiction::contradiction;
pub use options::SplitOptions;

/// Draws a split and writes `splits/<name>.csv` and `.json`; returns a table of it. The same split again is fine.
///
/// # Errors
/// Usage: a bad name or fraction, a path that is no dataset, another split of that name, pictures in two folds. Corrupt:
/// a damaged dataset.
pub fn split(dataset: &Path, options: &SplitOptions) -> anyhow::Result<String> {
    draw_and_write(dataset, options, false)
}

/// The fold of every brand, by index, that a split of a dataset lists.
///
/// # Errors
/// Usage: no such split. Corrupt: a split that does not fit the dataset.
pub(crate) fn folds(dataset: &Dataset, name: &str) -> anyhow::Result<BTreeMap<u32, Fold>> {
    let split = dataset.split(name).map_err(|error| match error {
        DatasetError::NotFound { .. } => usage(format!(
            "there is no such split: {error}; draw it with logodex-data split"
        )),
        error => error.into(),
    })?;
    let (dir, manifest, brands) = (dataset.dir(), dataset.manifest(), dataset.brands());
    if let Some(problem) = contradiction(dir, manifest, brands, &split) {
        return Err(corrupt(problem));
    }
    let folds = (0..).zip(split.folds());
    Ok(folds.filter_map(|(i, fold)| Some((i, (*fold)?))).collect())
}

/// Draws every split of a dataset that was drawn for another state of it again, as its own file says it was drawn. Returns a
/// line per split, to print; for one that is as it should be, none, so that it may be called at any time.
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
    let (_, manifest_blake3) = read_manifest(dataset)?;
    let again = |path: &Path| -> anyhow::Result<Option<String>> {
        let json = std::fs::read(path)?;
        let record: Split = split_header()
            .parse(&json)
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        let csv = std::fs::read(path.with_extension("csv")).unwrap_or_default();
        let csv_blake3 = blake3::hash(&csv).to_hex();
        if record.manifest_blake3 == manifest_blake3 && record.csv_blake3 == csv_blake3.as_str() {
            return Ok(None);
        }
        let options = SplitOptions {
            name: record.name,
            seed: record.seed,
            test: record.test,
            val: record.val,
            allow_duplicates: record.duplicates_across_folds > 0,
        };
        draw_and_write(dataset, &options, true)?;
        Ok(Some(format!(
            "split {} was drawn again with seed {}",
            options.name, options.seed
        )))
    };
    let lines = records.iter().filter_map(|path| {
        again(path).unwrap_or_else(|error| {
            Some(format!(
                "{}: not drawn again, and of no use now: {error:#}",
                path.display()
            ))
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
            "{} groups of images that are the same or look the same lie in several folds, or could",
            split.duplicates_across_folds
        ));
    }
    lines.join("\n")
}
