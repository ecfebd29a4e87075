//! Paired differences in mAP, each with its interval.

use logodex_schemas::evaluation::ComparisonRow;

use crate::plot::forest::{forest, short};
use crate::plot::{Axis, Figure, INK, Mark, colour};
use crate::protocols::paper::PAPER;
use crate::report::load::inputs::Inputs;

/// Paired differences in mAP to each baseline; a panel per number of shots.
pub fn differences(inputs: &Inputs, comparisons: &[ComparisonRow]) -> Vec<Figure> {
    let panel = |shots| {
        let rows: Vec<&ComparisonRow> = comparisons
            .iter()
            .filter(|c| c.shots == shots && c.protocol == PAPER && c.metric == "map")
            .collect();
        let references = inputs.models.iter().map(|m| m.name.as_str());
        // A line for each baseline's name, then one per model compared with it.
        let mut lines: Vec<(String, Option<(usize, &ComparisonRow)>)> = Vec::new();
        for reference in references {
            let against = rows.iter().filter(|c| c.reference == reference);
            let against: Vec<_> = against
                .filter_map(|c| {
                    let i = inputs.models.iter().position(|m| m.name == c.model)?;
                    Some((short(&c.model), Some((i, *c))))
                })
                .collect();
            if !against.is_empty() {
                lines.push((format!("against {}", short(reference)), None));
                lines.extend(against);
            }
        }
        if lines.is_empty() {
            return None;
        }
        let place = |line: usize| (lines.len() - line) as f64 - 0.5;
        let low = rows.iter().map(|c| c.ci_low).fold(0.0, f64::min);
        let high = rows.iter().map(|c| c.ci_high).fold(0.0, f64::max);
        let mut marks = vec![Mark::Rule(0.0, "no difference".to_owned(), INK)];
        marks.extend(
            lines
                .iter()
                .enumerate()
                .map(|(line, (name, row))| match row {
                    None => Mark::Heading(place(line), name.clone()),
                    Some((i, c)) => {
                        Mark::Interval(place(line), c.ci_low, c.difference, c.ci_high, colour(*i))
                    }
                }),
        );
        let ticks = lines
            .iter()
            .enumerate()
            .filter(|(_, (_, row))| row.is_some())
            .map(|(line, (name, _))| (place(line), name.clone()))
            .collect();
        let caption = format!("Paired difference in {shots}-shot mAP to each baseline");
        Some(Figure {
            name: format!("difference-in-map-{shots}-shot"),
            legend: vec![],
            title: caption.clone(),
            caption,
            panel: forest(
                Axis::round(low, high, 5, true),
                ticks,
                lines.len(),
                marks,
                format!("Paired differences in {shots}-shot mAP with 95 % intervals"),
            ),
        })
    };
    inputs.shots().into_iter().filter_map(panel).collect()
}
