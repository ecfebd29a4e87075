//! The first figure: mAP of every model with its interval.

use crate::floors::RANDOM;
use crate::plot::forest::{forest, short};
use crate::plot::{Axis, Figure, MUTED, Mark, colour};
use crate::protocols::paper::PAPER;
use crate::report::load::inputs::Inputs;

/// mAP of every model with its interval, the random floor as a line; a panel per number of shots.
pub fn overview(inputs: &Inputs) -> Vec<Figure> {
    let panel = |shots| {
        let rows: Vec<_> = inputs
            .models
            .iter()
            .enumerate()
            .filter_map(|(i, m)| Some((i, inputs.value(&m.name, PAPER, shots, "map")?)))
            .collect();
        if rows.is_empty() {
            return None;
        }
        let floor = inputs
            .value(RANDOM, PAPER, shots, "map")
            .map(|row| row.mean);
        let highest = rows.iter().map(|(_, row)| row.ci_high).fold(0.0, f64::max);
        let place = |line: usize| (rows.len() - line) as f64 - 0.5;
        let mut marks: Vec<Mark> = floor
            .map(|mean| Mark::Rule(mean, format!("random {mean:.3}"), MUTED))
            .into_iter()
            .collect();
        marks.extend(rows.iter().enumerate().map(|(line, (i, row))| {
            Mark::Interval(place(line), row.ci_low, row.mean, row.ci_high, colour(*i))
        }));
        let names = rows.iter().enumerate();
        let ticks = names
            .map(|(line, (_, row))| (place(line), short(&row.model)))
            .collect();
        let said: Vec<String> = rows
            .iter()
            .map(|(_, row)| format!("{} {:.3}", row.model, row.mean))
            .collect();
        let caption = format!("{shots}-shot mAP on unseen brands");
        Some(Figure {
            name: format!("map-{shots}-shot"),
            legend: vec![],
            title: caption.clone(),
            caption,
            panel: forest(
                Axis::round(0.0, highest.max(floor.unwrap_or(0.0)), 5, true),
                ticks,
                rows.len(),
                marks,
                format!("{shots}-shot mAP: {}", said.join(", ")),
            ),
        })
    };
    inputs.shots().into_iter().filter_map(panel).collect()
}
