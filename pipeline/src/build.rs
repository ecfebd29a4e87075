//! `logodex-data build`: a raw tree becomes a dataset directory, from top to bottom.
//!
//! An image that cannot be decoded is refused: no row, no annotation. With `region = "object"` an image whose boxes are
//! all refused or too small is kept: it has its indexed annotation and counts in `brands.csv` and in the manifest's
//! `images`, but it has no row, and so no number in the catalog.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use logodex_schemas::dataset::{BuildConfig, Counts, Encoding, Manifest, Reject, manifest_header};
use logodex_schemas::plan::{ConsolidationPlan, Overrides};

use crate::catalog::Catalog;
use crate::consolidate;
use crate::freshness;
use crate::output::{self, Output};
use crate::render::{self, Line, ShardPlan};
use crate::review;
use crate::scan::{self, Scan, ScanError};
use crate::split;
use crate::tables;
use logodex_pixels::decode;
use logodex_pixels::resize;
use logodex_program::failure::{Failure, usage};
use logodex_program::progress::StageProgress;
use shards::write_shards;

mod shards;

pub use shards::Built;

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
    let progress = StageProgress::new("scan");
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
    let line = Line::new(&scan, &catalog, &config);
    let encoding = line.encoding;
    let shards = render::plan_shards(line);
    if options.dry_run {
        return Ok(dry_run_summary(&plan, line, &shards));
    }
    if scan.rejects.len() as u64 > config.max_rejects {
        return Err(refuse(out, &scan.rejects, &config, catalog.samples.len())?);
    }

    let output = Output::claim(out)?;
    let built = write_shards(line, &shards, &output)?;
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
        (
            "boxes.csv",
            tables::csv_bytes(&tables::box_rows(&scan, &catalog, &built))?,
        ),
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
    let manifest_blake3 = output.publish(&manifest, &built.shards, &paths)?;
    freshness::note(out, listed, manifest_blake3)?;
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

fn dry_run_summary(plan: &ConsolidationPlan, line: Line<'_>, shards: &[ShardPlan]) -> String {
    let Line {
        scan,
        catalog,
        config,
        encoding,
    } = line;
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
