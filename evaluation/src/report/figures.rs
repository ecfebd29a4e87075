//! The figures of the report, each a [`Panel`]. A model has the same colour in all of them.

use logodex_schemas::evaluation::{ComparisonRow, SimilarityHistogram, ThresholdKind};

use crate::curves;
use crate::floors::RANDOM;
use crate::protocols::paper::PAPER;
use crate::report::lines::{curve_figures, slice_figures};
use crate::report::load::{Inputs, Model};
use crate::report::plot::{Axis, Dash, INK, MUTED, Mark, Panel, colour};
use crate::report::table::OfRegion;
use crate::report::{confusion, map};
use plotters::style::RGBColor;

/// Sizes of a small panel (three in a row) and of a wide one (two in a row), pixels as shown.
const SMALL: (u32, u32) = (350, 190);
const WIDE: u32 = 540;
/// Height of a line of a list of intervals.
const LINE: u32 = 21;
/// Room for words at the left of a list and of an ordinary panel.
const LIST_LEFT: u32 = 176;
const LEFT: u32 = 40;

/// A panel with its caption.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What its files are called: letters, digits and hyphens.
    pub name: String,
    /// The lines or dots by name, where there are several.
    pub legend: Vec<(RGBColor, String)>,
    /// What is shown, where the page names the model or groups several.
    pub caption: String,
    /// What is shown, where it stands alone.
    pub title: String,
    /// The panel.
    pub panel: Panel,
}

/// The figures of a report, by their places on the page.
#[derive(Debug)]
pub struct Figures {
    /// [`overview`].
    pub overview: Vec<Figure>,
    /// [`differences`].
    pub differences: Vec<Figure>,
    /// [`threshold_curves`] of each number of shots.
    pub threshold_curves: Vec<(u32, Vec<Figure>)>,
    /// [`curve_figures`].
    pub curves: Vec<Figure>,
    /// [`slice_figures`].
    pub slices: Vec<Figure>,
    /// [`learning`] of each model.
    pub learning: Vec<Vec<Figure>>,
    /// [`similarities`] of each number of shots.
    pub similarities: Vec<(u32, Vec<Figure>)>,
    /// [`confusion::matrices`].
    pub matrices: Vec<Figure>,
    /// [`map::figures`].
    pub maps: Vec<Figure>,
}

impl Figures {
    /// All of them over `inputs`.
    pub fn new(inputs: &Inputs, regions: &[OfRegion], comparisons: &[ComparisonRow]) -> Self {
        let per_shots = |draw: fn(&Inputs, u32) -> Vec<Figure>| {
            let shots = inputs.shots().into_iter();
            let groups = shots.map(|shots| (shots, draw(inputs, shots)));
            groups.filter(|(_, figures)| !figures.is_empty()).collect()
        };
        let models = inputs.models.iter().enumerate();
        let slices = regions.first().map_or(&[][..], |first| &first.slices);
        Self {
            overview: overview(inputs),
            differences: differences(inputs, comparisons),
            threshold_curves: per_shots(threshold_curves),
            curves: curve_figures(inputs),
            slices: slice_figures(inputs, slices),
            learning: models
                .map(|(place, model)| learning(model, place))
                .collect(),
            similarities: per_shots(similarities),
            matrices: confusion::matrices(inputs),
            maps: map::figures(inputs),
        }
    }

    /// Each figure, in the order of the page.
    pub fn all(&self) -> Vec<&Figure> {
        let thresholds = self.threshold_curves.iter().flat_map(|(_, group)| group);
        let similarities = self.similarities.iter().flat_map(|(_, group)| group);
        let pictures = self.matrices.iter().chain(&self.maps);
        let first = self
            .overview
            .iter()
            .chain(&self.differences)
            .chain(thresholds);
        let middle = self.curves.iter().chain(&self.slices);
        let learning = self.learning.iter().flatten();
        first
            .chain(middle)
            .chain(learning)
            .chain(similarities)
            .chain(pictures)
            .collect()
    }
}

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
            panel: list(
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
            panel: list(
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

/// Loss, F1 and threshold over the epochs; empty for a model that was not trained.
pub fn learning(model: &Model, place: usize) -> Vec<Figure> {
    let Some(training) = &model.training else {
        return Vec::new();
    };
    let schedule = &training.config.schedule;
    let curves = curves::learning(&model.name, &training.epochs, schedule, place);
    curves
        .into_iter()
        .filter(|figure| figure.name != "lr")
        .map(|figure| Figure {
            name: format!("{}-{}", figure.name, slug(&model.name)),
            ..figure
        })
        .collect()
}

/// Pooled F1 over τ, on validation and on test brands; a panel per model.
pub fn threshold_curves(inputs: &Inputs, shots: u32) -> Vec<Figure> {
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
                    format!("accepted above {}", super::plain(cosine)),
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

/// A name for files: lower case, with a hyphen for whatever is neither letter nor digit.
pub fn slug(name: &str) -> String {
    let word = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    name.chars().map(word).collect()
}

/// A panel whose lines are named at the left.
pub fn list(
    x: Axis,
    ticks: Vec<(f64, String)>,
    lines: usize,
    marks: Vec<Mark>,
    description: String,
) -> Panel {
    Panel {
        width: WIDE,
        height: 16 + 22 + lines as u32 * LINE,
        left: LIST_LEFT,
        x,
        y: Axis {
            low: 0.0,
            high: lines as f64,
            ticks,
        },
        x_title: String::new(),
        rules_at_y: false,
        marks,
        description,
    }
}

/// A name that fits beside a list.
pub fn short(name: &str) -> String {
    match name.chars().count() > 25 {
        true => format!("{}…", name.chars().take(24).collect::<String>()),
        false => name.to_owned(),
    }
}
