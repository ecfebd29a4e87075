//! `logodex-data build`: makes a dataset directory of a raw tree, from top to bottom.
//!
//! The tree is scanned and planned, its pictures are rendered into shards ([`render`], `write_shards`), the tables are made
//! of what came out (`tables`, [`annotations`], [`parquet`], `croissant`), and [`output`] publishes it all at once.
//!
//! An image that cannot be decoded is refused: no row, no annotation. With `region = "object"` an image whose boxes are
//! all refused or too small is kept: it has its indexed annotation and counts in `brands.csv` and in the manifest's
//! `images`, but it has no row, and so no number in the catalog.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use logodex_schemas::dataset::{BuildConfig, Counts, Encoding, Manifest, Reject, manifest_header};
use logodex_schemas::plan::{ConsolidationPlan, Overrides};

use crate::plan::apply::apply;
use crate::plan::catalog::{Brand, Catalog, Sample};
use crate::plan::consolidate::propose;
use crate::plan::review;
use crate::plan::sharding::{ShardInputs, shard_specs};
use crate::raw::name::file_key;
use crate::raw::reject::describe;
use crate::raw::scan::{Scan, scan};
use crate::serialise::{csv_bytes, json_bytes, jsonl_bytes};
use crate::split;
use crate::version::created_by;
use built::Built;
use logodex_pixels::decode;
use logodex_pixels::{encode, resize};
use logodex_program::failure::{Failure, usage};
use output::Output;
use output::files::is_one_component;
use output::inspect::inspect;
use write_shards::write_shards;

pub mod annotations;
mod built;
mod croissant;
mod freshness;
pub mod output;
pub mod parquet;
pub mod render;
pub mod shard_file;
mod summary;
mod tables;
mod write_shards;

/// What `build` is asked to do.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The raw tree: the folder that holds `LogoDet-3K`, or `LogoDet-3K` itself.
    pub raw: PathBuf,
    /// The dataset directory to make.
    pub out: PathBuf,
    /// A reviewed plan, whose overrides and rules then hold.
    pub plan: Option<ConsolidationPlan>,
    /// A person's word; with a reviewed plan it must be the plan's.
    pub overrides: Option<Overrides>,
    /// The configuration, valid.
    pub config: BuildConfig,
    /// Say what would be built, and write nothing.
    pub dry_run: bool,
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
        overrides,
        ..
    } = options;
    inspect(out, raw)?;
    let mut config = options.config.clone();
    if let Some(reviewed) = reviewed {
        config.consolidate = reviewed.rules.clone();
    }
    let made_from = freshness::built_from(raw, &config, reviewed.as_ref(), overrides.as_ref())?;
    if let Some(up_to_date) = freshness::up_to_date(out, &made_from)? {
        return Ok([vec![up_to_date], split::redraw(out)?].concat().join("\n"));
    }
    of_scan(options, &config, &made_from, &scan(raw)?)
}

/// As [`build`], of a tree that is scanned.
fn of_scan(
    options: &BuildOptions,
    config: &BuildConfig,
    made_from: &freshness::BuiltFrom,
    scan: &Scan,
) -> anyhow::Result<String> {
    let BuildOptions {
        out,
        plan: reviewed,
        ..
    } = options;
    let none = Overrides::default();
    let word = options.overrides.as_ref();
    let word = word.or(reviewed.as_ref().map(|plan| &plan.overrides));
    let plan = propose(scan, config, word.unwrap_or(&none))?;
    if let Some(reviewed) = reviewed {
        review::compare(reviewed, &plan)?;
    }
    let mut catalog = apply(scan, &plan)?;
    refuse_unsafe_names(&catalog)?;
    let mut rejects = scan.rejects.clone();
    let (mut output, encoding, shards, built) = loop {
        let inputs = ShardInputs::new(scan, &catalog, config);
        let specs = shard_specs(inputs);
        if options.dry_run {
            return Ok(summary::of_dry_run(&plan, inputs, &specs));
        }
        if rejects.len() as u64 > config.max_rejects || specs.is_empty() {
            rejects.sort();
            return Err(refuse(out, &rejects, config, catalog.samples.len())?);
        }
        let output = Output::claim(out)?;
        freshness::note(out, made_from, None)?;
        let written = write_shards(inputs, &specs, &output)?;
        if written.refused.is_empty() {
            let built = Built::new(inputs, &specs, &written);
            break (output, inputs.encoding, written.shards, built);
        }
        // What is planned anew has other numbers; shards before the first refused image are used again.
        let refused: BTreeMap<usize, Reject> = written.refused.into_iter().collect();
        let mut position = 0..;
        let kept = |_: &Sample| position.next().is_none_or(|i| !refused.contains_key(&i));
        catalog.samples.retain(kept);
        rejects.extend(refused.into_values());
    };
    rejects.sort();

    let (annotations, paths) = annotations::write_annotations(scan, &catalog, &output)?;
    let brands = tables::brand_rows(scan, &catalog, &built);
    let mut files = BTreeMap::new();
    for (name, bytes) in [
        (
            "boxes.csv",
            csv_bytes(&tables::box_rows(scan, &catalog, &built))?,
        ),
        ("brand_to_index.csv", tables::brand_to_index_csv(&catalog)?),
        ("brands.csv", csv_bytes(&brands)?),
        ("images.csv", csv_bytes(&tables::image_rows(&built))?),
        ("catalog.parquet", parquet::catalog_bytes(&built.rows)?),
        ("consolidation.json", json_bytes(&plan)?),
        ("rejects.jsonl", jsonl_bytes(&rejects)?),
    ] {
        files.insert(name.to_owned(), output.write(name, &bytes)?);
    }
    let croissant = croissant::describe(&output.stage(), &files)?;
    let croissant = output.write("croissant.json", &json_bytes(&croissant)?)?;
    files.insert("croissant.json".to_owned(), croissant);
    let manifest = Manifest {
        header: manifest_header(),
        created_by: created_by(),
        decoder: decode::decoder_version(),
        resizer: resize::resizer_version(),
        encoding,
        encoder: (encoding == Encoding::Jpeg).then(encode::encoder_version),
        counts: Counts {
            brands: catalog.brands.len() as u64,
            categories: catalog
                .brands
                .iter()
                .map(|b| &b.category)
                .collect::<BTreeSet<_>>()
                .len() as u64,
            images: catalog.samples.len() as u64,
            objects: brands.iter().map(|brand| brand.n_objects).sum(),
            rows: built.rows.len() as u64,
            dropped_copies: plan.summary.dropped,
            rejects: rejects.len() as u64,
        },
        config: config.clone(),
        shards: built.shards.clone(),
        files,
        annotations,
        seal: String::new(),
    };
    let manifest_blake3 = output.publish(&manifest, &shards, &paths)?;
    let mut text = summary::of_build(out, scan, &plan, &manifest, &rejects, &built);
    for line in split::redraw(out)? {
        text.push('\n');
        text.push_str(&line);
    }
    // Last: whoever finds it finds nothing left to do.
    freshness::note(out, made_from, Some(manifest_blake3))?;
    Ok(text)
}

/// A brand of the overrides could be called `../../etc`, and two brands could be one folder where case does not matter.
fn refuse_unsafe_names(catalog: &Catalog) -> anyhow::Result<()> {
    let brands = catalog
        .brands
        .iter()
        .flat_map(|brand| [&brand.category, &brand.name]);
    let mut folders: BTreeMap<String, &Brand> = BTreeMap::new();
    for brand in &catalog.brands {
        let key = file_key(&format!("{}/{}", brand.category, brand.name));
        if let Some(other) = folders.insert(key, brand) {
            return Err(usage(format!(
                "{}/{} and {}/{} differ in case only, so many file systems take them for one folder; join them with [[merge]] or \
                 name one differently with [[rename]] in the overrides of a plan",
                other.category, other.name, brand.category, brand.name
            )));
        }
    }
    for name in brands.chain(catalog.samples.iter().map(|sample| &sample.stem)) {
        if !is_one_component(name) {
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
    std::fs::write(&path, jsonl_bytes(rejects)?)
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

#[cfg(test)]
mod tests;
