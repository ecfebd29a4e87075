//! Curves over all thresholds, every model a line: ROC, DIR, OSCR and precision–recall.

use logodex_schemas::evaluation::CurveRow;

use crate::floors::COLOUR_HISTOGRAM;
use crate::plot::{Axis, Dash, Figure, MUTED, Mark, Panel, RGBColor, colour};
use crate::protocols::open_set::OPEN_SET;
use crate::protocols::paper::PAPER;
use crate::report::load::inputs::Inputs;

/// Two in a row.
const SIZE: (u32, u32) = (540, 300);
/// The lowest rate on a logarithmic axis: what the protocol resolves.
const LOWEST: f64 = 1e-3;

/// A kind of curve.
struct Kind {
    /// As in `curves.csv`.
    curve: &'static str,
    protocol: &'static str,
    name: &'static str,
    caption: &'static str,
    x_title: &'static str,
    /// The area under it, where the table states it.
    area: Option<&'static str>,
    logarithmic: bool,
    chance: Chance,
}

/// What knowing nothing comes to.
enum Chance {
    /// Nothing that is drawn.
    None,
    /// As many of the one as of the other.
    Diagonal,
    /// The share of positives.
    Positives,
}

const KINDS: [Kind; 4] = [
    Kind {
        curve: "roc",
        protocol: OPEN_SET,
        name: "roc",
        caption: "ROC: enrolled brands accepted",
        x_title: "share of strangers accepted",
        area: Some("auroc"),
        logarithmic: false,
        chance: Chance::Diagonal,
    },
    Kind {
        curve: "dir",
        protocol: OPEN_SET,
        name: "dir",
        caption: "DIR: enrolled brands accepted and rightly named",
        x_title: "percent of strangers accepted, logarithmic",
        area: None,
        logarithmic: true,
        chance: Chance::None,
    },
    Kind {
        curve: "dir",
        protocol: OPEN_SET,
        name: "oscr",
        caption: "OSCR: enrolled brands accepted and rightly named",
        x_title: "share of strangers accepted",
        area: Some("oscr"),
        logarithmic: false,
        chance: Chance::None,
    },
    Kind {
        curve: "precision_recall",
        protocol: PAPER,
        name: "precision-recall",
        caption: "Precision over recall, all queries of the episodes",
        x_title: "recall",
        area: None,
        logarithmic: false,
        chance: Chance::Positives,
    },
];

/// A figure per kind of curve and number of shots: all models and the colour histogram, and chance dashed.
pub fn operating_curves(inputs: &Inputs) -> Vec<Figure> {
    let mut figures = Vec::new();
    for kind in &KINDS {
        let rows = inputs.models.iter().flat_map(|model| &model.curves);
        let of_kind = rows.filter(|row| is_of(row, kind));
        let mut shots: Vec<u32> = of_kind.map(|row| row.shots).collect();
        shots.sort_unstable();
        shots.dedup();
        figures.extend(shots.into_iter().map(|shots| curve(inputs, kind, shots)));
    }
    figures
}

fn is_of(row: &CurveRow, kind: &Kind) -> bool {
    row.curve == kind.curve && row.protocol == kind.protocol
}

fn curve(inputs: &Inputs, kind: &Kind, shots: u32) -> Figure {
    let x = |x: f64| match kind.logarithmic {
        true => x.log10(),
        false => x,
    };
    let points = |rows: &[CurveRow], name: &str| -> Vec<(f64, f64)> {
        let own = rows
            .iter()
            .filter(|row| row.model == name && row.shots == shots && is_of(row, kind));
        // A logarithmic axis cannot show a rate of 0.
        own.filter(|row| !kind.logarithmic || row.x >= LOWEST)
            .map(|row| (x(row.x), row.y))
            .collect()
    };
    let area = |name: &str| {
        let value = inputs.value(name, kind.protocol, shots, kind.area?)?;
        Some(format!(", area {:.3}", value.mean))
    };
    let mut marks = Vec::new();
    let mut legend: Vec<(RGBColor, String)> = Vec::new();
    let chance = match kind.chance {
        Chance::None => None,
        Chance::Diagonal => Some((0.0, 1.0)),
        Chance::Positives => positives(inputs, shots).map(|share| (share, share)),
    };
    if let Some((from, to)) = chance {
        let ends = vec![(0.0, from), (1.0, to)];
        marks.push(Mark::Line(ends, MUTED, Dash::Dashed));
    }
    // Every model's file holds the same floor.
    let floor = inputs
        .models
        .iter()
        .map(|m| points(&m.curves, COLOUR_HISTOGRAM));
    if let Some(floor) = floor.into_iter().find(|points| !points.is_empty()) {
        marks.push(Mark::Line(floor, MUTED, Dash::Solid));
        let area = area(COLOUR_HISTOGRAM).unwrap_or_default();
        legend.push((MUTED, format!("{COLOUR_HISTOGRAM}{area}")));
    }
    for (place, model) in inputs.models.iter().enumerate() {
        let own = points(&model.curves, &model.name);
        if !own.is_empty() {
            marks.push(Mark::Line(own, colour(place), Dash::Solid));
            let area = area(&model.name).unwrap_or_default();
            legend.push((colour(place), format!("{}{area}", model.name)));
        }
    }
    let caption = format!("{shots}-shot {}", kind.caption);
    Figure {
        name: format!("{}-{shots}-shot", kind.name),
        panel: Panel {
            width: SIZE.0,
            height: SIZE.1,
            left: 40,
            x: match kind.logarithmic {
                true => Axis {
                    low: LOWEST.log10(),
                    high: 0.0,
                    ticks: [(-3.0, "0.1"), (-2.0, "1"), (-1.0, "10"), (0.0, "100")]
                        .map(|(at, word)| (at, word.to_owned()))
                        .into(),
                },
                false => Axis::round(0.0, 1.0, 5, true),
            },
            y: Axis::round(0.0, 1.0, 5, true),
            x_title: kind.x_title.to_owned(),
            rules_at_y: true,
            marks,
            description: format!("{caption}, over {}", kind.x_title),
        },
        title: caption.clone(),
        caption,
        legend,
    }
}

/// The share of positives among the queries of the episodes: the precision of accepting everything.
fn positives(inputs: &Inputs, shots: u32) -> Option<f64> {
    let model = inputs.models.first()?;
    let histograms = &model.evaluation.histograms;
    let found = histograms
        .iter()
        .find(|h| h.shots == shots && model.is_shown(h.region))?;
    let sum = |counts: &[u64]| counts.iter().sum::<u64>() as f64;
    let (positives, negatives) = (sum(&found.positives), sum(&found.negatives));
    (positives > 0.0).then(|| positives / (positives + negatives))
}
