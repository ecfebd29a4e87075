//! Paired differences: each model against each baseline, on the same episodes, with intervals over brands, and which of
//! them are shown where all would be too many.

use anyhow::{Context, Result};
use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::{ALL, ComparisonRow, EvaluationRow};

use crate::intervals::bootstrap::Interval;
use crate::intervals::difference::{difference, paired_difference};
use crate::metrics::per_episode::Metric;
use crate::protocols::n_way::N_WAY_K_SHOT;
use crate::protocols::open_set::OPEN_SET;
use crate::protocols::paper::{PAPER, PAPER_COSINE, PAPER_ORACLE};
use crate::protocols::retrieval::RETRIEVAL;
use crate::report::load::model::Model;

/// Every model that is no baseline against every baseline: [`of_episodes`], and then every other line that both have.
///
/// # Errors
/// Two models were judged on different episodes, or by other resamples.
pub fn comparisons(models: &[Model]) -> Result<Vec<ComparisonRow>> {
    against(models, Model::is_baseline)
}

/// As [`comparisons`], of every other model against those that `is_reference` tells.
///
/// # Errors
/// As [`comparisons`].
pub fn against(
    models: &[Model],
    is_reference: impl Fn(&Model) -> bool,
) -> Result<Vec<ComparisonRow>> {
    let mut rows = of_episodes(models, &is_reference)?;
    for model in models.iter().filter(|m| !is_reference(m)) {
        for reference in models.iter().filter(|m| is_reference(m)) {
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
fn of_episodes(
    models: &[Model],
    is_reference: &impl Fn(&Model) -> bool,
) -> Result<Vec<ComparisonRow>> {
    let mut rows = Vec::new();
    for model in models.iter().filter(|m| !is_reference(m)) {
        for reference in models.iter().filter(|m| is_reference(m)) {
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

/// The metrics that stand for their protocol where all of them would be too many.
const HEADLINES: [(&str, &str); 6] = [
    (PAPER, "map"),
    (PAPER_COSINE, "f1"),
    (N_WAY_K_SHOT, "accuracy_5_way"),
    (RETRIEVAL, "map_at_r"),
    (OPEN_SET, "auroc"),
    (OPEN_SET, "dir_at_far_1"),
];

/// Whether the page shows a difference: on the `first` region, those of the paper's test and the headlines of the other
/// protocols.
pub fn is_shown(row: &ComparisonRow, first: Option<Region>) -> bool {
    let of_paper = [PAPER, PAPER_ORACLE].contains(&row.protocol.as_str())
        && Metric::from_name(&row.metric).is_ok();
    let is_first = row.slice == ALL && Some(row.region) == first;
    is_first && (of_paper || is_headline(row))
}

/// Whether a difference is in one of [`HEADLINES`].
pub fn is_headline(row: &ComparisonRow) -> bool {
    HEADLINES.contains(&(row.protocol.as_str(), row.metric.as_str()))
}
