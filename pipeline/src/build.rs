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
    BuildConfig, CatalogRow, Counts, Encoding, Manifest, Reject, ShardEntry, manifest_header,
};
use logodex_schemas::plan::{ConsolidationPlan, Overrides};

use crate::catalog::Catalog;
use crate::consolidate;
use crate::decode;
use crate::failure::{Failure, usage};
use crate::freshness;
use crate::output::{self, Finished, Output};
use crate::progress::Progress;
use crate::render::{self, Outcome, ShardPlan};
use crate::resize;
use crate::review;
use crate::scan::{self, Scan, ScanError};
use crate::shard::{self, ShardRows};
use crate::split;
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
    scan::scan(raw, &decode::look, &|done, total| progress.set(done, total)).map_err(|error| {
        match error {
            ScanError::Unreadable { .. } => error.into(),
            ScanError::Missing(_) | ScanError::NotAFolder(_) | ScanError::NoImages(_) => {
                usage(error.to_string())
            }
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
    let propose = consolidate::propose(
        scan,
        &config.consolidate,
        overrides,
        &decode::pixel_hash,
        &consolidate::thumbnail,
    );
    propose.map_err(
        |error| match error.downcast_ref::<consolidate::OverrideError>() {
            Some(wrong) => usage(wrong.to_string()),
            None => error,
        },
    )
}

/// Builds a dataset, or brings the one that is there up to date, and returns what to print. Works on the current rayon
/// pool.
///
/// # Errors
/// Usage (nothing to scan, an `out` that may not be written), too many rejects, a plan that differs from the reviewed
/// one, a tree that changes meanwhile, a full disk. A dataset that was there is there still; finished shards are kept for
/// the next build.
pub fn build(options: &BuildOptions) -> anyhow::Result<String> {
    let BuildOptions {
        raw,
        out,
        plan: reviewed,
        ..
    } = options;
    output::inspect(out, raw)?;
    let mut config = options.config.clone();
    if let Some(reviewed) = reviewed {
        config.consolidate = reviewed.rules.clone();
    }
    let listed = freshness::listed(raw, &config, reviewed.as_ref())?;
    if let Some(up_to_date) = freshness::up_to_date(out, &listed)? {
        return Ok(up_to_date);
    }
    let scan = scan_raw(raw)?;
    let plan = match reviewed {
        None => propose(&scan, &config, &Overrides::default())?,
        Some(reviewed) => {
            let plan = propose(&scan, &config, &reviewed.overrides)?;
            review::compare(reviewed, &plan)?;
            plan
        }
    };
    let catalog = consolidate::apply(&scan, &plan)?;
    refuse_unsafe_names(&catalog)?;
    let encoding = render::resolve_encoding(&scan, &catalog, &config);
    let shards = render::plan_shards(&scan, &catalog, &config, encoding);
    if options.dry_run {
        let summary = dry_run_summary(&plan, &catalog, &shards, &config, encoding, &scan);
        return Ok(summary);
    }
    if scan.rejects.len() as u64 > config.max_rejects {
        return Err(refuse(out, &scan.rejects, &config, catalog.samples.len())?);
    }

    let output = Output::claim(out)?;
    let line = Line {
        scan: &scan,
        catalog: &catalog,
        config: &config,
        encoding,
    };
    let built = write_shards(&line, &shards, &output)?;
    let mut rejects = [scan.rejects.as_slice(), &built.rejects].concat();
    rejects.sort();
    if rejects.len() as u64 > config.max_rejects || built.rows.is_empty() {
        drop(output);
        return Err(refuse(out, &rejects, &config, built.rows.len())?);
    }

    let (annotations, paths) = tables::write_annotations(&scan, &catalog, &built.images, &output)?;
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
    let croissant = crate::croissant::describe(&output.stage(), &files)?;
    let croissant = output.write("croissant.json", &tables::json_bytes(&croissant)?)?;
    files.insert("croissant.json".to_owned(), croissant);
    let manifest = Manifest {
        header: manifest_header(),
        created_by: created_by(),
        decoder: decode::decoder_version(),
        resizer: resize::resizer_version(),
        encoding,
        encoder: (encoding == Encoding::Jpeg).then(decode::encoder_version),
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
        shards: built.shards.iter().map(|s| s.entry.clone()).collect(),
        files,
        annotations,
        seal: String::new(),
    };
    output.publish(&manifest, &built.shards, &paths)?;
    freshness::note(out, &listed)?;
    let mut text = summary(out, &plan, &manifest, &rejects, &built);
    for line in split::redraw(out)? {
        text.push('\n');
        text.push_str(&line);
    }
    Ok(text)
}

/// Program and version, for the manifest.
pub fn created_by() -> String {
    format!("logodex-data {}", env!("CARGO_PKG_VERSION"))
}

/// What the shards hold, and what is known of it.
#[derive(Debug, Default)]
pub struct Built {
    /// The shards, in order.
    pub shards: Vec<Finished>,
    /// How many of them an earlier build had finished.
    pub reused: usize,
    /// A line per row.
    pub rows: Vec<CatalogRow>,
    /// The catalog's samples that were decoded: those that are kept.
    pub images: Vec<usize>,
    /// Images and objects refused while decoding.
    pub rejects: Vec<Reject>,
    /// Objects too small to make a row.
    pub small_objects: u64,
}

/// What a row is made from.
struct Line<'a> {
    scan: &'a Scan,
    catalog: &'a Catalog,
    config: &'a BuildConfig,
    encoding: Encoding,
}

/// Renders and writes the shards: while one is written, the next is rendered, so that two are in memory. What an earlier
/// build finished from the same content is used again.
fn write_shards(line: &Line, plans: &[ShardPlan], output: &Output) -> anyhow::Result<Built> {
    let Line {
        scan,
        catalog,
        config,
        encoding,
    } = *line;
    let progress = Progress::new("decode");
    let total = catalog.samples.len() as u64;
    let stage = output.stage();
    let mut journal = output.journal()?;
    let mut built = Built::default();
    std::thread::scope(|scope| {
        let (to_writer, shards) = mpsc::sync_channel::<(ShardRows, Finished)>(0);
        let (give_back, buffers) = mpsc::channel::<Vec<u8>>();
        let writer = scope.spawn(move || {
            let mut written = Vec::new();
            for (mut rows, mut finished) in shards {
                let path = &finished.entry.path;
                finished.entry = shard::write(&stage, path, &rows, config.side)?;
                journal.note(&finished)?;
                written.push(finished);
                // The renderer may have ended already; then nobody needs the buffer.
                let _ = give_back.send(std::mem::take(&mut rows.stored));
            }
            anyhow::Ok(written)
        });
        let mut refused = scan.rejects.len() as u64;
        let mut reused = Vec::new();
        let mut next = 0;
        for plan in plans {
            let path = shard_path(next);
            let key = shard_key(line, plan, &built);
            let first_sample = plan.samples.start;
            if let Some(mut found) = output.reuse(&path, &key) {
                for image in &mut found.outcome.images {
                    image.sample = image.sample - found.first_sample + first_sample;
                }
                found.first_sample = first_sample;
                number(&mut built, next, scan, catalog, &found.outcome);
                refused += found.outcome.rejects.len() as u64;
                for _ in plan.samples.clone() {
                    progress.step(total);
                }
                reused.push(found);
                next += 1;
                continue;
            }
            let buffer = buffers.try_recv().unwrap_or_default();
            let rendered = render::render(scan, catalog, config, encoding, plan, buffer, &|| {
                progress.step(total)
            })?;
            refused += rendered.outcome.rejects.len() as u64;
            // An over-full list ends in an error, which names them all: decode on, write no more.
            let doomed = refused > config.max_rejects;
            let mut rows = number(&mut built, next, scan, catalog, &rendered.outcome);
            if rows.row.is_empty() || doomed {
                continue;
            }
            rows.stored = rendered.stored;
            rows.offsets = rendered.offsets;
            let entry = ShardEntry {
                path,
                first_row: 0,
                n_rows: 0,
                bytes: 0,
                blake3: String::new(),
            };
            let finished = Finished {
                key,
                first_sample,
                entry,
                outcome: rendered.outcome,
            };
            if to_writer.send((rows, finished)).is_err() {
                break; // The writer failed, and says why below.
            }
            next += 1;
        }
        drop(to_writer);
        built.reused = reused.len();
        built.shards = reused;
        built.shards.extend(match writer.join() {
            Ok(written) => written?,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        built.shards.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
        Ok(built)
    })
}

/// Hash of all that a shard's bytes and rows depend on.
fn shard_key(line: &Line, plan: &ShardPlan, before: &Built) -> String {
    let config = line.config;
    let made_as = serde_json::json!([
        config.side,
        config.region,
        config.fit,
        line.encoding,
        config.jpeg_quality,
        config.context,
        config.min_object_px,
        decode::decoder_version(),
        decode::encoder_version(),
        resize::resizer_version(),
        before.rows.len(),
        next_image(before),
    ]);
    let mut hasher = blake3::Hasher::new_derive_key("logodex shard 2");
    hasher.update(made_as.to_string().as_bytes());
    for sample in &line.catalog.samples[plan.samples.clone()] {
        let raw = &line.scan.samples[sample.raw];
        hasher.update(raw.image_blake3.as_bytes());
        hasher.update(raw.annotation_blake3.as_bytes());
        hasher.update(&sample.brand.to_le_bytes());
        hasher.update(raw.image.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}

/// The number of the next source image that has a row.
fn next_image(built: &Built) -> u64 {
    built.rows.last().map_or(0, |row| row.image + 1)
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
    outcome: &Outcome,
) -> ShardRows {
    let mut rows = ShardRows::default();
    for image in &outcome.images {
        let sample = &catalog.samples[image.sample];
        let raw = &scan.samples[sample.raw];
        let brand = &catalog.brands[sample.brand as usize];
        let number = next_image(built);
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
                source_format: image.format,
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
            rows.object.push(row.object.map_or(-1, i64::from));
        }
        built.images.push(image.sample);
    }
    built.rejects.extend(outcome.rejects.iter().cloned());
    built.small_objects += outcome.small_objects;
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

/// A line about a refusal, for a person.
pub fn describe(reject: &Reject) -> String {
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
    encoding: Encoding,
    scan: &Scan,
) -> String {
    let slots: usize = shards.iter().map(|shard| shard.slots).sum();
    let raw_mib = (slots * render::row_bytes(config.side)) >> 20;
    let size = match encoding {
        Encoding::Jpeg => format!("of JPEG, about a tenth of {raw_mib} MiB"),
        _ => format!("of about {raw_mib} MiB"),
    };
    format!(
        "{}\nwould build {} brands, {} images, at most {slots} rows in {} shards {size}; {} files refused so far",
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
    built: &Built,
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
    if built.reused > 0 {
        lines.push(format!(
            "{} of {} shards were finished by an earlier build and used again",
            built.reused,
            built.shards.len()
        ));
    }
    if built.small_objects > 0 {
        lines.push(format!(
            "{} objects are smaller than {} px and make no row",
            built.small_objects, manifest.config.min_object_px
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
