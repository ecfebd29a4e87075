//! The gathered rows as CSV.

use anyhow::Result;
use logodex_schemas::evaluation::{ComparisonRow, EvaluationRow};
use serde::Serialize;

const EVALUATION_HEADER: &[&str] = &[
    "model", "protocol", "shots", "metric", "mean", "ci_low", "ci_high", "region", "slice",
    "brands",
];
const COMPARISON_HEADER: &[&str] = &[
    "model",
    "reference",
    "protocol",
    "shots",
    "metric",
    "region",
    "slice",
    "difference",
    "ci_low",
    "ci_high",
];

/// `evaluation.csv`.
///
/// # Errors
/// None is expected: it is written to memory.
pub fn evaluation(rows: &[&EvaluationRow]) -> Result<Vec<u8>> {
    csv(EVALUATION_HEADER, rows)
}

/// `comparisons.csv`.
///
/// # Errors
/// None is expected: it is written to memory.
pub fn comparisons(rows: &[ComparisonRow]) -> Result<Vec<u8>> {
    csv(COMPARISON_HEADER, rows)
}

/// A CSV file whose header stands even over no rows.
fn csv<T: Serialize>(header: &[&str], rows: &[T]) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    writer.write_record(header)?;
    for row in rows {
        writer.serialize(row)?;
    }
    Ok(writer.into_inner()?)
}
