//! The table of training seeds: runs of one configuration, and what their seed does to a number beside what the test
//! brands do to it.

use logodex_schemas::evaluation::{ALL, EvaluationRow};
use serde::Serialize;

use crate::intervals::bootstrap::interval;
use crate::intervals::training_seeds::{Spread, groups};
use crate::protocols::paper::PAPER;
use crate::protocols::retrieval::RETRIEVAL;
use crate::report::load::inputs::Inputs;
use crate::report::wording::plain;

/// What is shown: protocol, shots, metric, and a title.
const SHOWN: [(&str, u32, &str, &str); 4] = [
    (PAPER, 1, "map", "1-shot mAP"),
    (PAPER, 5, "map", "5-shot mAP"),
    (RETRIEVAL, 0, "recall_at_1", "Recall@1 of retrieval"),
    (RETRIEVAL, 0, "map_at_r", "MAP@R of retrieval"),
];

/// What the table is, in words.
pub const TEXT: &str = "The intervals of the other tables are over test brands: they say how another draw of brands would move a number, not how another training would. Here are runs that differ in their seed alone: the mean over seeds with its 95 % interval over brands, and beside it the standard deviation over seeds.";

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeedLine {
    /// The runs.
    pub models: String,
    /// How many.
    pub seeds: usize,
    /// Metric, as printed.
    pub metric: &'static str,
    /// Mean over the runs.
    pub mean: String,
    /// 95 % interval of that mean over test brands.
    pub brands: String,
    /// Standard deviation over the runs.
    pub deviation: String,
    /// Lowest and highest run.
    pub range: String,
}

/// The lines, on the region that is shown first; none where no configuration was trained with two seeds.
pub fn seed_lines(inputs: &Inputs) -> Vec<SeedLine> {
    let models = &inputs.models;
    let config = models
        .iter()
        .map(|m| m.training.as_ref().map(|t| &t.config));
    let configs: Vec<_> = config.collect();
    let mut lines = Vec::new();
    for group in groups(&configs) {
        for (protocol, shots, metric, title) in SHOWN {
            let is_it = |row: &EvaluationRow| {
                (row.protocol.as_str(), row.shots, row.metric.as_str()) == (protocol, shots, metric)
                    && row.slice == ALL
                    && Some(row.region) == inputs.region()
            };
            let found: Vec<(usize, usize)> = group
                .iter()
                .filter_map(|&m| Some((m, models[m].rows.iter().position(is_it)?)))
                .collect();
            let values: Vec<f64> = found.iter().map(|&(m, r)| models[m].rows[r].mean).collect();
            let Some(spread) = Spread::of(&values) else {
                continue;
            };
            // All were judged over the same brands, and each resample drew the same of them.
            let replicates: Option<Vec<&Vec<f32>>> = found
                .iter()
                .map(|&(m, r)| models[m].replicates.get(r))
                .collect();
            let brands = replicates.map(|all| {
                let mean_of = |i: usize| {
                    all.iter().map(|of_run| f64::from(of_run[i])).sum::<f64>() / all.len() as f64
                };
                let means: Vec<f64> = (0..all[0].len()).map(mean_of).collect();
                let (model, row) = found[0];
                interval(spread.mean, &means, models[model].rows[row].brands as usize)
            });
            let names: Vec<&str> = found
                .iter()
                .map(|&(m, _)| models[m].name.as_str())
                .collect();
            lines.push(SeedLine {
                models: names.join(", "),
                seeds: spread.seeds,
                metric: title,
                mean: plain(spread.mean),
                brands: brands.map_or_else(
                    || "–".to_owned(),
                    |i| format!("[{}, {}]", plain(i.low), plain(i.high)),
                ),
                deviation: plain(spread.deviation),
                range: format!("{} to {}", plain(spread.low), plain(spread.high)),
            });
        }
    }
    lines
}
