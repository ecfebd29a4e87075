//! The first figure: mAP of every model with its interval, the best first.

use crate::floors::{COLOUR_HISTOGRAM, RANDOM};
use crate::plot::forest::{forest, short};
use crate::plot::{Axis, Figure, MUTED, Mark, colour};
use crate::protocols::paper::PAPER;
use crate::report::load::inputs::Inputs;

/// mAP of every model with its interval, the best first, and the floors as lines; a panel per number of shots.
pub fn overview(inputs: &Inputs) -> Vec<Figure> {
    let panel = |shots| {
        let mut rows: Vec<_> = inputs
            .models
            .iter()
            .enumerate()
            .filter_map(|(i, m)| Some((i, inputs.value(&m.name, PAPER, shots, "map")?)))
            .collect();
        if rows.is_empty() {
            return None;
        }
        rows.sort_by(|a, b| b.1.mean.total_cmp(&a.1.mean));
        let floor = |name| inputs.value(name, PAPER, shots, "map").map(|row| row.mean);
        let floors = [(RANDOM, "random"), (COLOUR_HISTOGRAM, "colours")];
        let floors = floors.map(|(name, said)| Some((floor(name)?, said)));
        let floors: Vec<(f64, &str)> = floors.into_iter().flatten().collect();
        let highest = rows.iter().map(|(_, row)| row.ci_high).fold(0.0, f64::max);
        let place = |line: usize| (rows.len() - line) as f64 - 0.5;
        // One label for all, at the last line: beside each other they would meet.
        let label = floors
            .iter()
            .map(|(mean, said)| format!("{said} {mean:.3}"));
        let label = label.collect::<Vec<_>>().join(", ");
        let last = floors.iter().map(|f| f.0).fold(0.0, f64::max);
        let rule = |&(mean, _): &(f64, &str)| {
            let said = if mean == last {
                label.clone()
            } else {
                String::new()
            };
            Mark::Rule(mean, said, MUTED)
        };
        let mut marks: Vec<Mark> = floors.iter().map(rule).collect();
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
                Axis::round(
                    0.0,
                    floors.iter().fold(highest, |high, f| high.max(f.0)),
                    5,
                    true,
                ),
                ticks,
                rows.len(),
                marks,
                format!("{shots}-shot mAP: {}", said.join(", ")),
            ),
        })
    };
    inputs.shots().into_iter().filter_map(panel).collect()
}
