//! Says what a build made, or would make, for a person.

use std::collections::BTreeMap;
use std::path::Path;

use logodex_schemas::dataset::{Encoding, Manifest, Reject};
use logodex_schemas::plan::ConsolidationPlan;

use super::built::Built;
use crate::plan::sharding::{ShardInputs, ShardSpec, row_bytes};
use crate::plan::summary::summarize;
use crate::raw::reject::reason_name;
use crate::raw::scan::Scan;

/// What a build would make.
pub fn of_dry_run(
    plan: &ConsolidationPlan,
    inputs: ShardInputs<'_>,
    specs: &[ShardSpec],
) -> String {
    let ShardInputs {
        scan,
        catalog,
        config,
        encoding,
    } = inputs;
    let rows: usize = specs.iter().map(|shard| shard.rows.len()).sum();
    let raw_mib = (rows * row_bytes(config.side)) >> 20;
    let size = match encoding {
        Encoding::Jpeg => format!("of JPEG, about a tenth of {raw_mib} MiB"),
        _ => format!("of about {raw_mib} MiB"),
    };
    let passed_over = scan
        .passed_over_line()
        .map_or(String::new(), |l| format!("\n{l}"));
    format!(
        "{}{passed_over}\nwould build {} brands, {} images, {rows} rows in {} shards {size}; {} files refused so far",
        summarize(plan).trim_end(),
        catalog.brands.len(),
        catalog.samples.len(),
        specs.len(),
        scan.rejects.len()
    )
}

/// What a build made.
pub fn of_build(
    out: &Path,
    scan: &Scan,
    plan: &ConsolidationPlan,
    manifest: &Manifest,
    rejects: &[Reject],
    built: &Built,
) -> String {
    let counts = &manifest.counts;
    let mut lines = vec![
        summarize(plan).trim_end().to_owned(),
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
    lines.extend(scan.passed_over_line());
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
            lines.push(format!("  {n:6} {}", reason_name(reason)));
        }
    }
    lines.join("\n")
}
