//! Paired differences: each model against each baseline, on the same episodes, with intervals over brands.

use anyhow::{Context, Result};
use logodex_schemas::evaluation::{ALL, ComparisonRow, EvaluationRow};

use crate::intervals::bootstrap::Interval;
use crate::intervals::difference::{difference, paired_difference};
use crate::metrics::per_episode::Metric;
use crate::protocols::paper::{PAPER, PAPER_ORACLE};
use crate::report::is_baseline;
use crate::report::load::Model;

/// Every model that is no baseline against every baseline: [`of_episodes`], and then every other line that both have.
///
/// # Errors
/// Two models were judged on different episodes, or by other resamples.
pub fn comparisons(models: &[Model]) -> Result<Vec<ComparisonRow>> {
    let mut rows = of_episodes(models)?;
    for model in models.iter().filter(|m| !is_baseline(&m.name)) {
        for reference in models.iter().filter(|m| is_baseline(&m.name)) {
            let known: Vec<ComparisonRow> = rows
                .iter()
                .filter(|row| row.model == model.name && row.reference == reference.name)
                .cloned()
                .collect();
            for (row, replicates) in model.rows.iter().zip(&model.replicates) {
                let other = reference.rows.iter().zip(&reference.replicates);
                let same = |a: &EvaluationRow, b: &EvaluationRow| {
                    (&a.protocol, a.shots, &a.metric, a.region, &a.slice)
                        == (&b.protocol, b.shots, &b.metric, b.region, &b.slice)
                };
                let is_known = known.iter().any(|known| {
                    (&known.protocol, known.shots, &known.metric)
                        == (&row.protocol, row.shots, &row.metric)
                        && (known.region, &known.slice) == (row.region, &row.slice)
                });
                let Some((other, others)) = other.into_iter().find(|(other, _)| same(row, other))
                else {
                    continue;
                };
                if is_known {
                    continue;
                }
                let difference = difference((row, replicates), (other, others))
                    .with_context(|| format!("{} against {}", model.folder, reference.folder))?;
                rows.push(comparison(model, reference, row, difference));
            }
        }
    }
    Ok(rows)
}

fn comparison(
    model: &Model,
    reference: &Model,
    row: &EvaluationRow,
    difference: Interval,
) -> ComparisonRow {
    ComparisonRow {
        model: model.name.clone(),
        reference: reference.name.clone(),
        protocol: row.protocol.clone(),
        shots: row.shots,
        metric: row.metric.clone(),
        region: row.region,
        slice: row.slice.clone(),
        difference: difference.mean,
        ci_low: difference.low,
        ci_high: difference.high,
    }
}

/// The per-episode metrics of the paper's test on the first region: all six under `paper`, and under `paper_oracle` the
/// four that a threshold enters.
fn of_episodes(models: &[Model]) -> Result<Vec<ComparisonRow>> {
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
                            region: model.episodes[0].region,
                            slice: ALL.to_owned(),
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
