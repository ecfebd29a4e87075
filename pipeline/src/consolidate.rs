//! Which folders are one brand and which images are copies, decided by content, image by image.

use std::path::Path;

use logodex_schemas::dataset::ConsolidateConfig;
use logodex_schemas::plan::{ConsolidationPlan, Overrides};

use crate::catalog::Catalog;
use crate::scan::Scan;

/// Hash of an image file's decoded pixels (and its size), or none if it cannot be decoded.
pub type PixelHash<'a> = &'a (dyn Fn(&Path) -> Option<blake3::Hash> + Sync);

/// An entry of the overrides that cannot be applied.
#[derive(Debug, thiserror::Error)]
#[error("overrides: {0}")]
pub struct OverrideError(pub String);

/// A plan that does not fit the tree it is applied to.
#[derive(Debug, thiserror::Error)]
#[error("the plan does not fit this tree: {0}")]
pub struct PlanMismatch(pub String);

/// Proposes what to join, drop and rename.
///
/// # Errors
/// [`OverrideError`] when the overrides name what the tree does not have, or contradict each other.
pub fn propose(
    scan: &Scan,
    rules: &ConsolidateConfig,
    overrides: &Overrides,
    pixel_hash: PixelHash<'_>,
) -> anyhow::Result<ConsolidationPlan> {
    let _ = (scan, rules, overrides, pixel_hash);
    anyhow::bail!("not there yet")
}

/// Applies a plan to the tree that it was made for.
///
/// # Errors
/// [`PlanMismatch`] when it was made for another tree or contradicts itself.
pub fn apply(scan: &Scan, plan: &ConsolidationPlan) -> anyhow::Result<Catalog> {
    let _ = (scan, plan);
    anyhow::bail!("not there yet")
}

/// A plan in a few lines, for a person.
pub fn summarize(plan: &ConsolidationPlan) -> String {
    let _ = plan;
    String::new()
}
