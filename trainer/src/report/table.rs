//! Table 5 as cells: what is best in a row, and what lies below the floor of doing nothing clever.

use logodex_schemas::evaluation::ThresholdKind;
use serde::Serialize;

use crate::eval::floors::FLOORS;
use crate::eval::table::METRICS;
use crate::eval::{PAPER, PAPER_ORACLE};
use crate::report::load::Inputs;
use crate::report::{is_baseline, plain};

/// A block of the table: one number of shots.
#[derive(Debug, Serialize)]
pub struct Block {
    /// Supports per episode.
    pub shots: u32,
    /// Columns: the models in order, then the floors.
    pub columns: Vec<Column>,
    /// Rows: the metrics.
    pub lines: Vec<Line>,
}

/// A column's head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Model or floor.
    pub name: String,
    /// `model`, `baseline` or `floor`.
    pub role: &'static str,
}

/// A metric's row.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Metric, as in `evaluation.csv`.
    pub metric: &'static str,
    /// Metric, as printed.
    pub label: &'static str,
    /// One per column; none where it was not computed.
    pub cells: Vec<Option<Cell>>,
}

/// A value.
#[derive(Debug, Serialize)]
pub struct Cell {
    /// The value.
    pub mean: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Whether no model is better.
    pub best: bool,
    /// The floor above it, where one is.
    pub below: Option<&'static str>,
}

/// The blocks, by shots. Higher is better for every metric.
pub fn blocks(inputs: &Inputs) -> Vec<Block> {
    let columns = columns(inputs);
    let block = |shots| Block {
        shots,
        columns: columns.clone(),
        lines: METRICS
            .iter()
            .map(|&(metric, label)| line(inputs, &columns, shots, metric, label))
            .collect(),
    };
    inputs.shots().into_iter().map(block).collect()
}

fn columns(inputs: &Inputs) -> Vec<Column> {
    let models = inputs.models.iter().map(|model| Column {
        name: model.name.clone(),
        role: match is_baseline(&model.name) {
            true => "baseline",
            false => "model",
        },
    });
    let present = |floor: &&str| inputs.floors.iter().any(|row| row.model == **floor);
    let floors = FLOORS.into_iter().filter(present);
    models
        .chain(floors.map(|name| Column {
            name: name.to_owned(),
            role: "floor",
        }))
        .collect()
}

fn line(
    inputs: &Inputs,
    columns: &[Column],
    shots: u32,
    metric: &'static str,
    label: &'static str,
) -> Line {
    let value = |name: &str| inputs.value(name, PAPER, shots, metric);
    let best = columns
        .iter()
        .filter(|column| column.role != "floor")
        .filter_map(|column| value(&column.name))
        .map(|row| row.mean)
        .fold(f64::NEG_INFINITY, f64::max);
    let cells = columns
        .iter()
        .map(|column| {
            let is_floor = column.role == "floor";
            value(&column.name).map(|row| Cell {
                mean: row.mean,
                low: row.ci_low,
                high: row.ci_high,
                best: !is_floor && row.mean == best,
                below: (!is_floor)
                    .then(|| floor_above(inputs, shots, metric, row.mean))
                    .flatten(),
            })
        })
        .collect();
    Line {
        metric,
        label,
        cells,
    }
}

/// The highest floor above a value.
pub fn floor_above(inputs: &Inputs, shots: u32, metric: &str, mean: f64) -> Option<&'static str> {
    let value = |floor: &&str| {
        inputs
            .value(floor, PAPER, shots, metric)
            .map_or(f64::NEG_INFINITY, |row| row.mean)
    };
    FLOORS
        .into_iter()
        .filter(|floor| value(floor) > mean)
        .max_by(|a, b| value(a).total_cmp(&value(b)))
}

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
