//! The table of thresholds: what a model accepts from on, chosen honestly and not.

use logodex_schemas::evaluation::ThresholdKind;
use serde::Serialize;

use crate::protocols::paper::{PAPER, PAPER_ORACLE};
use crate::report::load::inputs::Inputs;
use crate::report::wording::plain;

/// A line of the table of thresholds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ThresholdLine {
    /// Model.
    pub model: String,
    /// Supports per episode.
    pub shots: u32,
    /// τ chosen on validation brands.
    pub transferred: String,
    /// F1 on test brands at it.
    pub transferred_f1: String,
    /// τ chosen on the test brands.
    pub oracle: String,
    /// F1 on test brands at it.
    pub oracle_f1: String,
}

/// The thresholds of every model, with the F1 on the test brands that each leads to.
pub fn threshold_lines(inputs: &Inputs) -> Vec<ThresholdLine> {
    let none = || "–".to_owned();
    let mut lines = Vec::new();
    for model in &inputs.models {
        for shots in inputs.shots() {
            let tau = |kind| model.tau(shots, kind).map(|tau| format!("{tau:.2}"));
            let f1 = |protocol| {
                inputs
                    .value(&model.name, protocol, shots, "f1")
                    .map_or_else(none, |row| {
                        format!(
                            "{} [{}, {}]",
                            plain(row.mean),
                            plain(row.ci_low),
                            plain(row.ci_high)
                        )
                    })
            };
            let (transferred, oracle) =
                (tau(ThresholdKind::Transferred), tau(ThresholdKind::Oracle));
            if transferred.is_some() || oracle.is_some() {
                lines.push(ThresholdLine {
                    model: model.name.clone(),
                    shots,
                    transferred: transferred.unwrap_or_else(none),
                    transferred_f1: f1(PAPER),
                    oracle: oracle.unwrap_or_else(none),
                    oracle_f1: f1(PAPER_ORACLE),
                });
            }
        }
    }
    lines
}
