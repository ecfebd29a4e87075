//! `logodex-data build`: a raw tree becomes a dataset directory, from top to bottom.
//!
//! An image that cannot be decoded is refused: no row, no annotation. With `region = "object"` an image whose boxes are
//! all refused or too small is kept: it has its indexed annotation and counts in `brands.csv` and in the manifest's
//! `images`, but it has no row, and so no number in the catalog.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use anyhow::Context;
use logodex_schemas::dataset::{
    BuildConfig, CatalogRow, Counts, Manifest, Reject, ShardEntry, manifest_header,
};
use logodex_schemas::plan::{ConsolidationPlan, Overrides};

use crate::catalog::Catalog;
use crate::consolidate;
use crate::decode;
use crate::failure::{Failure, usage};
use crate::output::{self, Output};
use crate::progress::Progress;
use crate::render::{self, Rendered, ShardPlan};
use crate::resize;
use crate::review;
use crate::scan::{self, Scan, ScanError};
use crate::shard::{self, ShardRows};
use crate::tables;

/// What `build` is asked to do.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The raw tree: the folder that holds `LogoDet-3K`, or `LogoDet-3K` itself.
    pub raw: PathBuf,
    /// The dataset directory to make.
    pub out: PathBuf,
    /// A reviewed plan, whose overrides and rules then hold.
    pub plan: Option<ConsolidationPlan>,
    /// The configuration, valid.
    pub config: BuildConfig,
    /// Say what would be built, and write nothing.
    pub dry_run: bool,
}

/// Scans a raw tree.
///
/// # Errors
/// Usage: there is nothing to scan.
pub fn scan_raw(raw: &Path) -> anyhow::Result<Scan> {
    let progress = Progress::new("scan");
    scan::scan(raw, &|done, total| progress.set(done, total)).map_err(|error| match error {
        ScanError::Unreadable { .. } => error.into(),
        ScanError::Missing(_) | ScanError::NotAFolder(_) | ScanError::NoImages(_) => {
            usage(error.to_string())
        }
    })
}

/// Proposes a plan for a tree.
///
/// # Errors
/// Usage: overrides that cannot be applied.
pub fn propose(
    scan: &Scan,
    config: &BuildConfig,
    overrides: &Overrides,
) -> anyhow::Result<ConsolidationPlan> {
    let propose = consolidate::propose(scan, &config.consolidate, overrides, &decode::pixel_hash);
    propose.map_err(
        |error| match error.downcast_ref::<consolidate::OverrideError>() {
            Some(wrong) => usage(wrong.to_string()),
            None => error,
        },
    )
}

/// Builds a dataset and returns what to print. Works on the current rayon pool.
///
/// # Errors
/// Usage (nothing to scan, an `out` that may not be written), too many rejects, a plan that differs from the reviewed
/// one, a tree that changes meanwhile, a full disk. The directory is then as it was before.
pub fn build(options: &BuildOptions) -> anyhow::Result<String> {
    let BuildOptions {
        raw,
        out,
        plan: reviewed,
        ..
    } = options;
    output::inspect(out, raw)?;
    let scan = scan_raw(raw)?;
    let mut config = options.config.clone();
    let plan = match reviewed {
        None => propose(&scan, &config, &Overrides::default())?,
        Some(reviewed) => {
            config.consolidate = reviewed.rules.clone();
            let plan = propose(&scan, &config, &reviewed.overrides)?;
            review::compare(reviewed, &plan)?;
            plan
        }
    };
    let catalog = consolidate::apply(&scan, &plan)?;
    refuse_unsafe_names(&catalog)?;
    let shards = render::plan_shards(&scan, &catalog, &config);
    if options.dry_run {
        return Ok(dry_run_summary(&plan, &catalog, &shards, &config, &scan));
    }

    let output = Output::claim(out)?;
    let built = write_shards(&scan, &catalog, &config, &shards, output.dir())?;
    let mut rejects = [scan.rejects.as_slice(), &built.rejects].concat();
    rejects.sort();
    if rejects.len() as u64 > config.max_rejects || built.rows.is_empty() {
        drop(output);
        return Err(refuse(out, &rejects, &config, built.rows.len())?);
    }

    let annotations = tables::write_annotations(&scan, &catalog, &built.images, output.dir())?;
    let brands = tables::brand_rows(&scan, &catalog, &built);
    let mut files = BTreeMap::new();
    for (name, bytes) in [
        ("brand_to_index.csv", tables::brand_to_index_csv(&catalog)?),
        ("brands.csv", tables::csv_bytes(&brands)?),
        (
            "catalog.parquet",
            crate::parquet::catalog_bytes(&built.rows)?,
        ),
        ("consolidation.json", tables::json_bytes(&plan)?),
        ("rejects.jsonl", tables::jsonl_bytes(&rejects)?),
    ] {
        files.insert(name.to_owned(), output.write(name, &bytes)?);
    }
    let croissant = crate::croissant::describe(output.dir(), &files)?;
    let croissant = output.write("croissant.json", &tables::json_bytes(&croissant)?)?;
    files.insert("croissant.json".to_owned(), croissant);
    let manifest = Manifest {
        header: manifest_header(),
        created_by: format!("logodex-data {}", env!("CARGO_PKG_VERSION")),
        decoder: decode::decoder_version(),
        resizer: resize::resizer_version(),
        counts: Counts {
            brands: catalog.brands.len() as u64,
            categories: catalog
                .brands
                .iter()
                .map(|b| &b.category)
                .collect::<BTreeSet<_>>()
                .len() as u64,
            images: built.images.len() as u64,
            objects: brands.iter().map(|brand| brand.n_objects).sum(),
            rows: built.rows.len() as u64,
            dropped_copies: plan.summary.dropped,
            rejects: rejects.len() as u64,
        },
        config,
        shards: built.shards,
        files,
        annotations,
    };
    output.publish(&manifest)?;
    Ok(summary(
        out,
        &plan,
        &manifest,
        &rejects,
        built.small_objects,
    ))
}

/// What the shards hold, and what is known of it.
#[derive(Debug, Default)]
pub struct Built {
    /// The shards written.
    pub shards: Vec<ShardEntry>,
    /// A line per row.
    pub rows: Vec<CatalogRow>,
    /// The catalog's samples that were decoded: those that are kept.
    pub images: Vec<usize>,
    /// Images and objects refused while decoding.
    pub rejects: Vec<Reject>,
    /// Objects too small to make a row.
    pub small_objects: u64,
}

/// Renders and writes the shards: while one is written, the next is rendered, so that two are in memory.
fn write_shards(
    scan: &Scan,
    catalog: &Catalog,
    config: &BuildConfig,
    plans: &[ShardPlan],
    dir: &Path,
) -> anyhow::Result<Built> {
    let progress = Progress::new("decode");
    let total = catalog.samples.len() as u64;
    let side = config.side;
    let mut built = Built::default();
    std::thread::scope(|scope| {
        let (to_writer, shards) = mpsc::sync_channel::<(String, ShardRows)>(0);
        let (give_back, buffers) = mpsc::channel::<Vec<u8>>();
        let writer = scope.spawn(move || {
            let mut entries = Vec::new();
            for (path, mut rows) in shards {
                entries.push(shard::write(dir, &path, &rows, side)?);
                // The renderer may have ended already; then nobody needs the buffer.
                let _ = give_back.send(std::mem::take(&mut rows.images));
            }
            anyhow::Ok(entries)
        });
        let mut refused = scan.rejects.len() as u64;
        let mut next = 0;
        for plan in plans {
            let buffer = buffers.try_recv().unwrap_or_default();
            let rendered = render::render(scan, catalog, config, plan, buffer, &|| {
                progress.step(total)
            })?;
            refused += rendered.rejects.len() as u64;
            // An over-full list ends in an error, which names them all: decode on, write no more.
            let doomed = refused > config.max_rejects;
            let rows = number(&mut built, next, scan, catalog, rendered);
            if rows.row.is_empty() || doomed {
                continue;
            }
            if to_writer.send((shard_path(next), rows)).is_err() {
                break; // The writer failed, and says why below.
            }
            next += 1;
        }
        drop(to_writer);
        built.shards = match writer.join() {
            Ok(entries) => entries?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Ok(built)
    })
}

/// The path of a shard relative to the dataset.
fn shard_path(number: u32) -> String {
    format!("shards/{number:05}.safetensors")
}

/// Gives a rendered shard its row and image numbers and its catalog rows: all that depends on the shards before it.
fn number(
    built: &mut Built,
    shard: u32,
    scan: &Scan,
    catalog: &Catalog,
    rendered: Rendered,
) -> ShardRows {
    let mut rows = ShardRows {
        images: rendered.pixels,
        ..ShardRows::default()
    };
    for image in &rendered.images {
        let sample = &catalog.samples[image.sample];
        let raw = &scan.samples[sample.raw];
        let brand = &catalog.brands[sample.brand as usize];
        let number = built.rows.last().map_or(0, |row| row.image + 1);
        for row in &image.rows {
            let name = raw.parsed.objects.get(row.object.unwrap_or(0) as usize);
            let row_number = built.rows.len() as u64;
            built.rows.push(CatalogRow {
                row: row_number,
                brand_index: sample.brand,
                category: brand.category.clone(),
                brand: brand.name.clone(),
                image: number,
                object: row.object,
                raw_image: raw.image.clone(),
                raw_annotation: raw.annotation.clone(),
                annotation: tables::annotation_path(brand, &sample.stem),
                name: name.map(|object| object.name.clone()),
                width: image.width,
                height: image.height,
                x: row.crop.x,
                y: row.crop.y,
                region_width: row.crop.width,
                region_height: row.crop.height,
                blake3: raw.image_blake3.to_hex().to_string(),
                shard,
                position: rows.row.len() as u32,
            });
            rows.crc32.push(row.crc32);
            rows.brand.push(i64::from(sample.brand));
            rows.row.push(row_number as i64);
            rows.image.push(number as i64);
        }
        built.images.push(image.sample);
    }
    built.rejects.extend(rendered.rejects);
    built.small_objects += rendered.small_objects;
    rows
}

/// A brand of the overrides could be called `../../etc`.
fn refuse_unsafe_names(catalog: &Catalog) -> anyhow::Result<()> {
    let brands = catalog
        .brands
        .iter()
        .flat_map(|brand| [&brand.category, &brand.name]);
    for name in brands.chain(catalog.samples.iter().map(|sample| &sample.stem)) {
        if !output::is_one_component(name) {
            return Err(usage(format!(
                "{name:?} cannot be the name of a folder or a file; choose another"
            )));
        }
    }
    Ok(())
}

/// Nothing is published: keeps the list of what was refused beside the directory, and says so.
fn refuse(
    out: &Path,
    rejects: &[Reject],
    config: &BuildConfig,
    rows: usize,
) -> anyhow::Result<anyhow::Error> {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".rejects.jsonl");
    let path = out.with_file_name(name);
    std::fs::write(&path, tables::jsonl_bytes(rejects)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let first: Vec<String> = rejects
        .iter()
        .take(5)
        .map(|reject| format!("\n  {}", describe(reject)))
        .collect();
    let list = format!("all are listed in {}{}", path.display(), first.concat());
    Ok(if rejects.len() as u64 > config.max_rejects {
        Failure::TooManyRejects(format!(
            "{} files or objects were refused, and max_rejects is {}; {list}",
            rejects.len(),
            config.max_rejects
        ))
        .into()
    } else {
        usage(format!(
            "nothing in the tree makes a row ({} of {} refused); {list}",
            rejects.len(),
            rejects.len() + rows
        ))
    })
}

fn describe(reject: &Reject) -> String {
    let reason = serde_json::to_value(reject.reason).unwrap_or_default();
    let object = reject
        .object
        .map_or(String::new(), |object| format!(", object {object}"));
    format!(
        "{}{object}: {}: {}",
        reject.path,
        reason.as_str().unwrap_or("?"),
        reject.detail
    )
}

fn dry_run_summary(
    plan: &ConsolidationPlan,
    catalog: &Catalog,
    shards: &[ShardPlan],
    config: &BuildConfig,
    scan: &Scan,
) -> String {
    let slots: usize = shards.iter().map(|shard| shard.slots).sum();
    let mib = (slots * render::row_bytes(config.side)) >> 20;
    format!(
        "{}\nwould build {} brands, {} images, at most {slots} rows in {} shards, about {mib} MiB; {} files refused so far",
        consolidate::summarize(plan).trim_end(),
        catalog.brands.len(),
        catalog.samples.len(),
        shards.len(),
        scan.rejects.len()
    )
}

fn summary(
    out: &Path,
    plan: &ConsolidationPlan,
    manifest: &Manifest,
    rejects: &[Reject],
    small_objects: u64,
) -> String {
    let counts = &manifest.counts;
    let mut lines = vec![
        consolidate::summarize(plan).trim_end().to_owned(),
        format!(
            "{}: {} brands in {} categories, {} images, {} rows in {} shards",
            out.display(),
            counts.brands,
            counts.categories,
            counts.images,
            counts.rows,
            manifest.shards.len()
        ),
    ];
    if small_objects > 0 {
        lines.push(format!(
            "{small_objects} objects are smaller than {} px and make no row",
            manifest.config.min_object_px
        ));
    }
    if !rejects.is_empty() {
        lines.push(format!(
            "{} refused, see {}:",
            rejects.len(),
            out.join("rejects.jsonl").display()
        ));
        let mut reasons = BTreeMap::<_, u64>::new();
        for reject in rejects {
            *reasons.entry(reject.reason).or_default() += 1;
        }
        for (reason, n) in reasons {
            let reason = serde_json::to_value(reason).unwrap_or_default();
            lines.push(format!("  {n:6} {}", reason.as_str().unwrap_or("?")));
        }
    }
    lines.join("\n")
}
