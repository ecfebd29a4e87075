//! F1 over the threshold τ, on validation and on test brands.

use logodex_schemas::evaluation::ThresholdKind;

use crate::plot::figure::slug;
use crate::plot::panel::{LEFT, SMALL};
use crate::plot::{Axis, Dash, Figure, MUTED, Mark, Panel, colour};
use crate::report::load::inputs::Inputs;
use crate::report::load::model::Model;

/// Pooled F1 over τ, on validation and on test brands; a panel per model.
pub fn f1_over_threshold(inputs: &Inputs, shots: u32) -> Vec<Figure> {
    const KINDS: [ThresholdKind; 2] = [ThresholdKind::Oracle, ThresholdKind::Transferred];
    let highest = inputs
        .models
        .iter()
        .flat_map(|m| KINDS.iter().filter_map(|kind| m.threshold(shots, *kind)))
        .flat_map(|t| t.f1.iter().copied())
        .fold(0.1, f64::max);
    let panel = |(place, model): (usize, &Model)| {
        let mut marks = Vec::new();
        for kind in KINDS {
            let Some(t) = model.threshold(shots, kind) else {
                continue;
            };
            let (colour, dash) = match kind {
                ThresholdKind::Transferred => (colour(place), Dash::Solid),
                ThresholdKind::Oracle => (MUTED, Dash::Dashed),
            };
            let grid = (t.f1.len().max(2) - 1) as f64;
            let at = |i: usize| 2.0 * i as f64 / grid;
            let points: Vec<(f64, f64)> =
                t.f1.iter()
                    .enumerate()
                    .map(|(i, f1)| (at(i), *f1))
                    .collect();
            let best = t.f1.iter().copied().fold(0.0, f64::max);
            if kind == ThresholdKind::Transferred {
                marks.push(Mark::Rule(t.tau, format!("τ = {:.2}", t.tau), colour));
            }
            marks.push(Mark::Line(points, colour, dash));
            marks.push(Mark::Dot(t.tau, best, colour));
        }
        let title = format!("{}: pooled {shots}-shot F1 over the threshold", model.name);
        (!marks.is_empty()).then(|| Figure {
            name: format!("f1-over-threshold-{shots}-shot-{}", slug(&model.name)),
            legend: vec![],
            caption: model.name.clone(),
            panel: Panel {
                width: SMALL.0,
                height: SMALL.1,
                left: LEFT,
                x: Axis::round(0.0, 2.0, 4, true),
                y: Axis::round(0.0, highest, 4, true),
                x_title: "τ, distance to the prototype".to_owned(),
                rules_at_y: true,
                marks,
                description: title.clone(),
            },
            title,
        })
    };
    inputs.models.iter().enumerate().filter_map(panel).collect()
}
