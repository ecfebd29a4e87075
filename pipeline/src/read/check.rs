//! `logodex-data check`: proves a dataset whole, or names every problem. Every byte of every file is read.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use logodex_dataset::shard::{Column, Shard};
use logodex_dataset::{MANIFEST, Split, parse_csv, read_brands, read_listed, read_manifest};
use logodex_schemas::dataset::{
    AnnotationsEntry, BrandIndexRow, BrandRow, CatalogRow, Manifest, Reject,
};
use logodex_schemas::plan::{ConsolidationPlan, plan_header};
use rayon::prelude::*;

use crate::build::output::paths::{FILES, WORK};
use crate::build::{annotations, parquet};
use crate::split;
use logodex_program::failure::corrupt;
use logodex_program::progress::StageProgress;

/// Of many problems of one kind in one file, this many are named.
const NAMED: usize = 5;

/// Checks a dataset and returns a summary.
///
/// # Errors
/// Usage: there is no dataset at this path. Corrupt: every problem found, a line each.
pub fn check(root: &Path) -> anyhow::Result<String> {
    let (manifest, manifest_blake3) = read_manifest(root)?;
    let mut problems = Vec::new();
    let files = list(root, root)?;

    let read = read_brands(root, &manifest);
    let catalog = check_listed(root, &manifest, read.as_deref().ok(), &mut problems);
    let brands = match read {
        Ok(brands) => brands,
        // `check_listed` has named a damaged file already.
        Err(error) => {
            let text = error.to_string();
            if !problems.contains(&text) {
                problems.push(text);
            }
            Vec::new()
        }
    };
    if let Some(rows) = &catalog {
        check_catalog(rows, &brands, &manifest, &files, &mut problems);
    }
    check_shards(root, &manifest, catalog.as_deref(), &mut problems);
    check_annotations(root, &manifest, &files, &mut problems);
    let splits: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.strip_prefix("splits/")?.rsplit_once('.'))
        .map(|(name, _)| name)
        .collect();
    if !brands.is_empty() {
        for name in &splits {
            problems.extend(match Split::open(root, name, &manifest_blake3, &brands) {
                Ok(split) => split::contradiction(root, &manifest, &brands, &split),
                Err(error) => Some(error.to_string()),
            });
        }
    }
    problems.extend(
        files
            .iter()
            .filter(|file| is_unknown(file, &manifest))
            .map(|file| format!("{file}: no part of a dataset; move it elsewhere")),
    );

    if problems.is_empty() {
        let counts = &manifest.counts;
        return Ok(format!(
            "{}: whole. {} brands, {} images, {} rows in {} shards, {} annotations, {} splits",
            root.display(),
            counts.brands,
            counts.images,
            counts.rows,
            manifest.shards.len(),
            manifest.annotations.files,
            splits.len()
        ));
    }
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| format!("\n  {problem}"))
        .collect();
    let n = problems.len();
    Err(corrupt(format!(
        "{}: {n} problem{}{}",
        root.display(),
        if n == 1 { "" } else { "s" },
        lines.concat()
    )))
}

/// Every file below a folder, relative to `root`, `/` between folders, sorted.
pub(crate) fn list(root: &Path, dir: &Path) -> anyhow::Result<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", dir.display()))?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            files.extend(list(root, &path)?);
        } else {
            files.insert(path.strip_prefix(root)?.to_string_lossy().into_owned());
        }
    }
    Ok(files)
}

fn is_unknown(file: &str, manifest: &Manifest) -> bool {
    let split =
        |rest: &str| !rest.contains('/') && (rest.ends_with(".csv") || rest.ends_with(".json"));
    !(file == MANIFEST
        || file.starts_with(&format!("{WORK}/")) // what makes the next build fast
        || file.starts_with("annotations/") // first of the many: one per image
        || manifest.files.contains_key(file)
        || manifest.shards.iter().any(|shard| shard.path == file)
        || file.strip_prefix("splits/").is_some_and(split))
}

/// The files that the manifest lists: bytes, and that each is what its name says. Returns the catalog.
fn check_listed(
    root: &Path,
    manifest: &Manifest,
    brands: Option<&[BrandRow]>,
    problems: &mut Vec<String>,
) -> Option<Vec<CatalogRow>> {
    let mut catalog = None;
    let names: BTreeSet<&str> = manifest
        .files
        .keys()
        .map(String::as_str)
        .chain(FILES)
        .collect();
    for name in names {
        let path = root.join(name);
        let parsed = read_listed(root, manifest, name)
            .map_err(anyhow::Error::from)
            .and_then(|bytes| {
                match name {
                    "catalog.parquet" => catalog = Some(parquet::parse_catalog(&path, bytes)?),
                    "brand_to_index.csv" => check_lookup(brands, &parse_csv(&path, &bytes)?)?,
                    "rejects.jsonl" => {
                        let lines = bytes
                            .split(|&byte| byte == b'\n')
                            .filter(|line| !line.is_empty());
                        let rejects: Vec<Reject> = lines
                            .map(serde_json::from_slice)
                            .collect::<Result<_, _>>()
                            .context("rejects.jsonl")?;
                        anyhow::ensure!(
                            rejects.len() as u64 == manifest.counts.rejects,
                            "rejects.jsonl: {} lines, and the manifest counts {}",
                            rejects.len(),
                            manifest.counts.rejects
                        );
                    }
                    "consolidation.json" => {
                        let plan: Result<ConsolidationPlan, _> = plan_header().parse(&bytes);
                        plan.map_err(|error| anyhow::anyhow!("consolidation.json: {error}"))?;
                    }
                    _ => {}
                }
                Ok(())
            });
        if let Err(error) = parsed {
            problems.push(format!("{error:#}"));
        }
    }
    catalog
}

/// `brand_to_index.csv` says the same as `brands.csv`.
fn check_lookup(brands: Option<&[BrandRow]>, lookup: &[BrandIndexRow]) -> anyhow::Result<()> {
    // A damaged brands.csv is named elsewhere.
    if let Some(brands) = brands {
        let same = |(row, brand): (&BrandIndexRow, &BrandRow)| {
            row.index == brand.index && row.brand == brand.brand
        };
        anyhow::ensure!(
            lookup.len() == brands.len() && lookup.iter().zip(brands).all(same),
            "brand_to_index.csv and brands.csv name different brands"
        );
    }
    Ok(())
}

/// The catalog's rows are dense, in the ranges of `brands.csv`, and point at files that are there.
fn check_catalog(
    rows: &[CatalogRow],
    brands: &[BrandRow],
    manifest: &Manifest,
    files: &BTreeSet<String>,
    problems: &mut Vec<String>,
) {
    if rows.len() as u64 != manifest.counts.rows {
        problems.push(format!(
            "catalog.parquet: {} rows, and the manifest counts {}",
            rows.len(),
            manifest.counts.rows
        ));
    }
    let mut wrong = Vec::new();
    for (i, row) in (0u64..).zip(rows) {
        let mut expect = |holds: bool, what: &str| {
            if !holds {
                wrong.push(format!("catalog.parquet: row {i}: {what}"));
            }
        };
        expect(row.row == i, "rows are not dense");
        let image = match i {
            0 => row.image == 0,
            _ => {
                let before = &rows[i as usize - 1];
                row.image == before.image + u64::from(row.raw_image != before.raw_image)
            }
        };
        expect(image, "images are not dense, or one number stands for two");
        match brands.get(row.brand_index as usize) {
            Some(brand) => {
                let range = brand.first_row..brand.first_row + brand.n_rows;
                expect(
                    range.contains(&i)
                        && brand.brand == row.brand
                        && brand.category == row.category,
                    "its brand is not that of brands.csv",
                );
            }
            None => expect(brands.is_empty(), "its brand is not in brands.csv"),
        }
        match manifest.shards.get(row.shard as usize) {
            Some(shard) => expect(
                shard.first_row + u64::from(row.position) == i
                    && u64::from(row.position) < shard.n_rows,
                "it lies elsewhere than its shard and position say",
            ),
            None => expect(false, "its shard is not in the manifest"),
        }
        expect(
            match row.object {
                None => manifest.config.region.images(),
                Some(_) => manifest.config.region.objects(),
            },
            "it shows another region than the configuration says",
        );
        let inside = |start: u32, length: u32, whole: u32| {
            length > 0 && start.checked_add(length).is_some_and(|end| end <= whole)
        };
        expect(
            inside(row.x, row.region_width, row.width)
                && inside(row.y, row.region_height, row.height),
            "its region lies outside its image",
        );
        expect(files.contains(&row.annotation), "its annotation is missing");
    }
    name_first(wrong, problems);
}

/// The shards: length, header, every checksum, their BLAKE3, and that their tensors are the catalog's columns.
fn check_shards(
    root: &Path,
    manifest: &Manifest,
    catalog: Option<&[CatalogRow]>,
    problems: &mut Vec<String>,
) {
    let progress = StageProgress::new("check");
    for entry in &manifest.shards {
        let shard = match Shard::open(root, entry, manifest) {
            Ok(shard) => shard,
            Err(error) => {
                problems.push(error.to_string());
                continue;
            }
        };
        let wrong: Vec<String> = (0..entry.n_rows as usize)
            .into_par_iter()
            .filter_map(|position| {
                progress.step(manifest.counts.rows);
                let number = entry.first_row + position as u64;
                if !shard.is_intact(position) {
                    return Some(format!(
                        "{}: row {number} does not have its CRC-32",
                        entry.path
                    ));
                }
                if shard.number(Column::Row, position) != number as i64 {
                    return Some(format!(
                        "{}: its row tensor is not dense at row {number}",
                        entry.path
                    ));
                }
                let expected = catalog?.get(number as usize)?;
                let object = expected.object.map_or(-1, i64::from);
                let same = shard.number(Column::Brand, position) == i64::from(expected.brand_index)
                    && shard.number(Column::Image, position) == expected.image as i64
                    && shard.number(Column::Object, position) == object;
                (!same).then(|| {
                    format!(
                        "{}: row {number} has another brand, image or object than the catalog",
                        entry.path
                    )
                })
            })
            .collect();
        name_first(wrong, problems);
        let mut hasher = blake3::Hasher::new();
        hasher.update_rayon(shard.bytes());
        if hasher.finalize().to_hex().as_str() != entry.blake3 {
            problems.push(format!("{}: its BLAKE3 is not the manifest's", entry.path));
        }
    }
}

/// The annotations as one.
pub(crate) fn check_annotations(
    root: &Path,
    manifest: &Manifest,
    files: &BTreeSet<String>,
    problems: &mut Vec<String>,
) {
    let paths: Vec<&String> = files
        .iter()
        .filter(|file| file.starts_with("annotations/"))
        .collect();
    let read: Result<Vec<_>, String> = paths
        .par_iter()
        .map(|path| match std::fs::read(root.join(path)) {
            Ok(bytes) => Ok(((*path).clone(), bytes.len() as u64, blake3::hash(&bytes))),
            Err(error) => Err(format!("{path}: {error}")),
        })
        .collect();
    match read {
        Err(problem) => problems.push(problem),
        Ok(mut found) => {
            let AnnotationsEntry {
                files,
                bytes,
                blake3,
            } = annotations::annotations_entry(&mut found);
            let expected = &manifest.annotations;
            if files != expected.files {
                problems.push(format!(
                    "annotations: {files} files, and the manifest counts {}",
                    expected.files
                ));
            } else if bytes != expected.bytes || blake3 != expected.blake3 {
                problems.push(
                    "annotations: their bytes are not those that the manifest lists".to_owned(),
                );
            }
        }
    }
}

fn name_first(mut wrong: Vec<String>, problems: &mut Vec<String>) {
    let more = wrong.len().saturating_sub(NAMED);
    wrong.truncate(NAMED);
    if more > 0
        && let Some(last) = wrong.last_mut()
    {
        last.push_str(&format!(" (and {more} more)"));
    }
    problems.extend(wrong);
}
