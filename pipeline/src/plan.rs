//! What is to be built of a raw tree, decided before a pixel is written.
//!
//! [`consolidate`] proposes which folders are one brand and which images are copies; a person may read that plan and
//! overrule it ([`overrides`], [`review`]); [`apply`] trusts it for nothing that it can check against the tree, and makes
//! the [`catalog`]; [`sharding`] says which of its images go into which shard. [`plan`] is `logodex-data plan`.

pub mod apply;
pub mod catalog;
pub mod consolidate;
pub mod hamming;
pub mod overrides;
pub mod partition;
pub mod placement;
pub mod review;
pub mod sharding;
pub mod summary;

use std::path::Path;

use anyhow::Context;
use logodex_schemas::dataset::BuildConfig;
use logodex_schemas::plan::Overrides;

use crate::build::output::inspect::lies_in_raw;
use crate::raw::scan::scan;
use crate::serialise::json_bytes;
use logodex_program::failure::usage;

/// Proposes a plan for the tree at `raw`, writes it to `out` and returns its summary, to print.
///
/// # Errors
/// Usage: an `out` that may not be written, nothing to scan, overrides that cannot be applied.
pub fn plan(
    raw: &Path,
    out: &Path,
    config: &BuildConfig,
    overrides: &Overrides,
) -> anyhow::Result<String> {
    let folder = match out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(usage(format!(
            "{} is no folder to write {} in",
            folder.display(),
            out.display()
        )));
    }
    if lies_in_raw(folder, raw) {
        return Err(usage(format!(
            "{} lies in the raw tree, which is never written",
            out.display()
        )));
    }
    let scan = scan(raw)?;
    let plan = consolidate::propose(&scan, config, overrides)?;
    std::fs::write(out, json_bytes(&plan)?)
        .with_context(|| format!("cannot write {}", out.display()))?;
    let refused = match scan.rejects.len() {
        0 => String::new(),
        n => format!("\n{n} files were refused; build lists them in rejects.jsonl"),
    };
    let passed_over = scan
        .passed_over_line()
        .map_or(String::new(), |l| format!("\n{l}"));
    let text = summary::summarize(&plan);
    Ok(format!("{}{passed_over}{refused}", text.trim_end()))
}
