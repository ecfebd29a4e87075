//! Histograms of the cosine similarities of queries to prototypes.

use logodex_schemas::evaluation::{SimilarityHistogram, ThresholdKind};

use crate::plot::figure::slug;
use crate::plot::panel::{LEFT, SMALL};
use crate::plot::{Axis, Figure, INK, MUTED, Mark, Panel, colour};
use crate::report::load::inputs::Inputs;
use crate::report::load::model::Model;
use crate::report::wording::plain;

/// Cosine similarities of queries to prototypes, as shares of the positives and of the negatives; a panel per model.
pub fn similarities(inputs: &Inputs, shots: u32) -> Vec<Figure> {
    let models: Vec<(usize, &Model, &SimilarityHistogram)> = inputs
        .models
        .iter()
        .enumerate()
        .filter_map(|(place, model)| {
            let histogram = model.evaluation.histograms.iter().find(|h| {
                h.shots == shots
                    && model.is_shown(h.region)
                    && !h.positives.is_empty()
                    && h.positives.len() == h.negatives.len()
            })?;
            Some((place, model, histogram))
        })
        .collect();
    // One range for all, so that panels can be compared: where anything was counted.
    let (mut low, mut high) = (1.0f64, -1.0f64);
    for (_, _, h) in &models {
        let bin = 2.0 / h.positives.len() as f64;
        for (i, n) in h
            .positives
            .iter()
            .zip(&h.negatives)
            .map(|(p, n)| p + n)
            .enumerate()
        {
            if n > 0 {
                low = low.min(-1.0 + i as f64 * bin);
                high = high.max(-1.0 + (i + 1) as f64 * bin);
            }
        }
    }
    if low >= high {
        return Vec::new();
    }
    let x = Axis::round(low, high, 5, true);
    let panel = |(place, model, h): (usize, &Model, &SimilarityHistogram)| {
        let percent = |counts: &[u64]| -> Vec<f64> {
            let all = counts.iter().sum::<u64>().max(1) as f64;
            counts.iter().map(|&n| 100.0 * n as f64 / all).collect()
        };
        let bin = 2.0 / h.positives.len() as f64;
        let from = (((x.low + 1.0) / bin).floor().max(0.0) as usize).min(h.positives.len() - 1);
        let to = (((x.high + 1.0) / bin).ceil() as usize).clamp(from + 1, h.positives.len());
        let (x0, x1) = (-1.0 + from as f64 * bin, -1.0 + to as f64 * bin);
        let positives = percent(&h.positives)[from..to].to_vec();
        let negatives = percent(&h.negatives)[from..to].to_vec();
        let most = positives
            .iter()
            .chain(&negatives)
            .copied()
            .fold(1.0, f64::max);
        let mut marks = vec![
            Mark::Steps(x0, x1, negatives, MUTED),
            Mark::Steps(x0, x1, positives, colour(place)),
        ];
        // Only a prototype of one support has length 1, as this turn of a distance into a cosine takes for granted.
        if shots == 1
            && let Some(tau) = model.tau(1, ThresholdKind::Transferred)
        {
            let cosine = 1.0 - tau * tau / 2.0;
            if (x.low..=x.high).contains(&cosine) {
                marks.push(Mark::Rule(
                    cosine,
                    format!("accepted above {}", plain(cosine)),
                    INK,
                ));
            }
        }
        let (x0, x1) = (x0.min(x.low), x1.max(x.high));
        let title = format!(
            "{}: {shots}-shot similarities, percent of positives and of negatives",
            model.name
        );
        Figure {
            name: format!("similarities-{shots}-shot-{}", slug(&model.name)),
            legend: vec![],
            caption: model.name.clone(),
            panel: Panel {
                width: SMALL.0,
                height: SMALL.1,
                left: LEFT,
                x: Axis {
                    low: x0,
                    high: x1,
                    ticks: x.ticks.clone(),
                },
                y: Axis::round(0.0, most, 4, true),
                x_title: "cosine similarity to the prototype".to_owned(),
                rules_at_y: true,
                marks,
                description: title.clone(),
            },
            title,
        }
    };
    models.into_iter().map(panel).collect()
}
