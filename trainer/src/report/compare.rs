//! Paired differences: each model against each baseline, on the same episodes, with intervals over brands.

use anyhow::{Context, Result};
use logodex_schemas::evaluation::ComparisonRow;

use crate::eval::metrics::Metric;
use crate::eval::{PAPER, PAPER_ORACLE, paired_difference};
use crate::report::is_baseline;
use crate::report::load::Model;

/// Every model that is no baseline against every baseline, for each metric that both have per episode: all six under
/// `paper`, and under `paper_oracle` the four that a threshold enters.
///
/// # Errors
/// Two models were judged on different episodes.
pub fn comparisons(models: &[Model]) -> Result<Vec<ComparisonRow>> {
    let mut rows = Vec::new();
    for model in models.iter().filter(|m| !is_baseline(&m.name)) {
        for reference in models.iter().filter(|m| is_baseline(&m.name)) {
            for protocol in [PAPER, PAPER_ORACLE] {
                let mut shots: Vec<u32> = model.episodes.iter().map(|e| e.shots).collect();
                shots.sort_unstable();
                shots.dedup();
                for shots in shots {
                    for metric in metrics(protocol) {
                        if !(has(model, protocol, shots, metric)
                            && has(reference, protocol, shots, metric))
                        {
                            continue;
                        }
                        let difference = paired_difference(
                            &model.episodes,
                            &reference.episodes,
                            protocol,
                            shots,
                            metric.name(),
                            model.evaluation.seed,
                        )
                        .with_context(|| {
                            format!("{} against {}", model.folder, reference.folder)
                        })?;
                        rows.push(ComparisonRow {
                            model: model.name.clone(),
                            reference: reference.name.clone(),
                            protocol: protocol.to_owned(),
                            shots,
                            metric: metric.name().to_owned(),
                            difference: difference.mean,
                            ci_low: difference.low,
                            ci_high: difference.high,
                        });
                    }
                }
            }
        }
    }
    Ok(rows)
}

fn metrics(protocol: &str) -> Vec<Metric> {
    let ranked = Metric::RANKED.iter().filter(|_| protocol == PAPER);
    Metric::THRESHOLDED.iter().chain(ranked).copied().collect()
}

/// Ranks are the same under either protocol, so that for them the episodes of either will do.
fn has(model: &Model, protocol: &str, shots: u32, metric: Metric) -> bool {
    model.episodes.iter().any(|episode| {
        episode.shots == shots && (episode.protocol == protocol || Metric::RANKED.contains(&metric))
    })
}
