//! Says whether there is anything to do. A dataset is up to date when the tree it was built from lists the same files with
//! the same lengths, times of modification and inodes, and configuration, plan and program are the same. Nothing is read for
//! it but directories, and so it takes seconds where a build takes minutes. Content decides everywhere else.

use std::path::Path;
use std::time::{Duration, SystemTime};

use logodex_dataset::read_manifest;
use logodex_schemas::dataset::BuildConfig;
use logodex_schemas::plan::{ConsolidationPlan, Overrides};
use serde::{Deserialize, Serialize};

use super::output::inspect::is_dataset;
use super::output::paths::WORK;
use crate::raw::listing::fingerprint;
use crate::serialise::json_bytes;
use crate::version::created_by;
use logodex_program::durable::write_whole;
use logodex_program::failure::usage;

/// The file in [`WORK`] that remembers a build.
const STATE: &str = "state.json";
/// A file that was changed so shortly before it was listed could be changed again within the same tick of its clock.
const TICK: Duration = Duration::from_secs(2);

/// What a build was made from, as far as can be told without reading a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuiltFrom {
    /// The raw tree's folder of categories, absolute.
    raw: String,
    /// Hash of the list of its files: paths, lengths, times of modification, inodes.
    files: String,
    /// Whether all of them are old enough for their times to be trusted.
    settled: bool,
    /// The configuration.
    config: BuildConfig,
    /// BLAKE3 of the reviewed plan and of the overrides, if there are any.
    plan: Option<String>,
    /// Program and version.
    created_by: String,
}

#[derive(Serialize, Deserialize)]
struct State {
    listed: BuiltFrom,
    /// The dataset that came of it, once all is done: splits, too.
    manifest_blake3: Option<String>,
}

/// Says what a build would be made from.
///
/// # Errors
/// Usage: there is no tree at `raw`.
pub fn built_from(
    raw: &Path,
    config: &BuildConfig,
    plan: Option<&ConsolidationPlan>,
    overrides: Option<&Overrides>,
) -> anyhow::Result<BuiltFrom> {
    let now = SystemTime::now();
    let tree = fingerprint(raw).map_err(|error| usage(error.to_string()))?;
    let decided = [
        plan.map(json_bytes).transpose()?,
        overrides.map(json_bytes).transpose()?,
    ];
    let decided: Vec<Vec<u8>> = decided.into_iter().flatten().collect();
    Ok(BuiltFrom {
        raw: tree.root.to_string_lossy().into_owned(),
        files: tree.hash.to_hex().to_string(),
        settled: tree.newest + TICK < now,
        config: config.clone(),
        plan: (!decided.is_empty()).then(|| blake3::hash(&decided.concat()).to_hex().to_string()),
        created_by: created_by(),
    })
}

/// What to print if the dataset at `out` was built from just this.
///
/// # Errors
/// Usage: it was built from another tree or with another configuration, and would be lost.
pub fn up_to_date(out: &Path, listed: &BuiltFrom) -> anyhow::Result<Option<String>> {
    if !is_dataset(out) {
        return Ok(None);
    }
    let path = out.join(WORK).join(STATE);
    let state = std::fs::read(&path).ok();
    let state: Option<State> = state.and_then(|json| serde_json::from_slice(&json).ok());
    let Some(State {
        listed: before,
        manifest_blake3,
    }) = state
    else {
        return Err(usage(format!(
            "{} is a dataset already, and what it was built from is not known here; remove it first, or choose another --out",
            out.display()
        )));
    };
    let pixels = |config: &BuildConfig| BuildConfig {
        consolidate: Default::default(),
        max_rejects: 0,
        ..config.clone()
    };
    for (what, differs) in [
        ("raw tree", before.raw != listed.raw),
        (
            "configuration",
            pixels(&before.config) != pixels(&listed.config),
        ),
    ] {
        if differs {
            return Err(usage(format!(
                "{} is a dataset of another {what}; remove it first, or choose another --out",
                out.display()
            )));
        }
    }
    let (manifest, blake3) = read_manifest(out)?;
    let of_length = |path: &str, bytes: u64| {
        let found = out.join(path).metadata();
        found.is_ok_and(|found| found.len() == bytes)
    };
    let files = manifest
        .files
        .iter()
        .all(|(path, file)| of_length(path, file.bytes));
    let shards = manifest.shards.iter().all(|s| of_length(&s.path, s.bytes));
    if before != *listed || !listed.settled || manifest_blake3 != Some(blake3) || !files || !shards
    {
        return Ok(None);
    }
    Ok(Some(format!(
        "{}: up to date, nothing to do ({} brands, {} images, {} rows); logodex-data check proves it whole",
        out.display(),
        manifest.counts.brands,
        manifest.counts.images,
        manifest.counts.rows
    )))
}

/// Remembers what the dataset at `out` is being built from, or, with its manifest's BLAKE3, was built from.
///
/// # Errors
/// What the file system reports.
pub fn note(out: &Path, listed: &BuiltFrom, manifest_blake3: Option<String>) -> anyhow::Result<()> {
    let state = State {
        listed: listed.clone(),
        manifest_blake3,
    };
    let path = out.join(WORK).join(STATE);
    write_whole(&path, &json_bytes(&state)?)
}
