//! Reads what only the pipeline reads of a dataset: its catalog, and the plan that it was built by.

use std::path::Path;

use logodex_dataset::{Manifest, read_listed};
use logodex_schemas::dataset::CatalogRow;
use logodex_schemas::plan::{ConsolidationPlan, plan_header};

use crate::build::parquet;
use logodex_program::failure::corrupt;

/// Reads a dataset's catalog.
///
/// # Errors
/// Corrupt: it is missing or damaged.
pub(crate) fn read_catalog(root: &Path, manifest: &Manifest) -> anyhow::Result<Vec<CatalogRow>> {
    let name = "catalog.parquet";
    parquet::parse_catalog(&root.join(name), read_listed(root, manifest, name)?)
        .map_err(|error| corrupt(format!("{error:#}")))
}

/// Reads the plan that a dataset was built by.
///
/// # Errors
/// Corrupt: it is missing or damaged.
pub(crate) fn read_plan(root: &Path, manifest: &Manifest) -> anyhow::Result<ConsolidationPlan> {
    let name = "consolidation.json";
    plan_header()
        .parse(&read_listed(root, manifest, name)?)
        .map_err(|error| corrupt(format!("{}: {error}", root.join(name).display())))
}
