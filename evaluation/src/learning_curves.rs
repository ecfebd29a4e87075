//! Learning curves: loss, MAP@R, F1, threshold and learning rate of the epochs in `metrics.jsonl`, as figures of the report and
//! as pictures in the run's directory, drawn anew after every epoch.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use logodex_schemas::run::MetricsLine;
use logodex_schemas::train::ScheduleConfig;

use crate::plot::panel::{LEFT, SMALL};
use crate::plot::{Axis, Dash, Figure, INK, MUTED, Mark, Panel, colour};
use logodex_program::durable::write_whole;

/// An epoch of `metrics.jsonl`, as far as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Epoch {
    /// 0-based.
    pub epoch: u32,
    /// Mean training loss.
    pub train_loss: f64,
    /// Mean validation loss, where it is defined.
    pub val_loss: Option<f64>,
    /// MAP@R on the validation brands, where epochs are judged by it.
    pub map_at_r: Option<f64>,
    /// Best F1 on the validation pairs.
    pub f1: Option<f64>,
    /// Its threshold.
    pub threshold: Option<f64>,
    /// Learning rates of the head and of the backbone.
    pub lr: (f64, f64),
    /// Training images that could be no anchor.
    pub skipped_images: u64,
}

/// The epochs among lines of `metrics.jsonl`, in order.
pub fn epochs(lines: &[MetricsLine]) -> Vec<Epoch> {
    let mut epochs: Vec<Epoch> = lines
        .iter()
        .filter_map(|line| match line {
            MetricsLine::Epoch {
                epoch,
                train_loss,
                val_loss,
                map_at_r,
                f1,
                threshold,
                lr,
                skipped_images,
                ..
            } => Some(Epoch {
                epoch: *epoch,
                train_loss: *train_loss,
                val_loss: *val_loss,
                map_at_r: *map_at_r,
                f1: *f1,
                threshold: *threshold,
                lr: (lr.head, lr.backbone),
                skipped_images: *skipped_images,
            }),
            _ => None,
        })
        .collect();
    epochs.sort_by_key(|epoch| epoch.epoch);
    epochs
}

/// Draws `figures/loss.svg`, `map_at_r.svg`, `f1.svg`, `threshold.svg` and `lr.svg` in the run's directory.
///
/// # Errors
/// The disk.
pub fn write(run_dir: &Path, schedule: &ScheduleConfig, lines: &[MetricsLine]) -> Result<()> {
    let dir = run_dir.join("figures");
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    for figure in draw("this run", &epochs(lines), schedule, 0) {
        let svg = figure.panel.standalone(&figure.caption, &figure.legend)?;
        write_whole(&dir.join(format!("{}.svg", figure.name)), svg.as_bytes())?;
    }
    Ok(())
}

/// Loss, MAP@R, F1, threshold and learning rate over the epochs, each named; none that has no values.
pub fn draw(name: &str, epochs: &[Epoch], schedule: &ScheduleConfig, place: usize) -> Vec<Figure> {
    let series = |value: fn(&Epoch) -> Option<f64>| -> Vec<(f64, f64)> {
        epochs
            .iter()
            .filter_map(|e| Some((f64::from(e.epoch), value(e)?)))
            .filter(|(_, y)| y.is_finite())
            .collect()
    };
    let line = |value, colour, dash| match series(value) {
        points if points.is_empty() => None,
        points => Some(Mark::Line(points, colour, dash)),
    };
    let own = colour(place);
    let validated = series(|e| e.val_loss).is_empty();
    let caption = match validated {
        true => "Loss: training (dashed)",
        false => "Loss: training (dashed), validation",
    };
    let curves = [
        (
            "loss",
            caption,
            vec![
                line(|e| Some(e.train_loss), MUTED, Dash::Dashed),
                line(|e| e.val_loss, own, Dash::Solid),
            ],
        ),
        (
            "map_at_r",
            "MAP@R on validation brands",
            vec![line(|e| e.map_at_r, own, Dash::Solid)],
        ),
        (
            "f1",
            "F1 on validation pairs",
            vec![line(|e| e.f1, own, Dash::Solid)],
        ),
        (
            "threshold",
            "Threshold of that F1",
            vec![line(|e| e.threshold, own, Dash::Solid)],
        ),
        (
            "lr",
            "Learning rate: backbone (dashed), head",
            vec![
                line(|e| Some(e.lr.1), MUTED, Dash::Dashed),
                line(|e| Some(e.lr.0), own, Dash::Solid),
            ],
        ),
    ];
    curves
        .into_iter()
        .filter_map(|(short, caption, lines)| {
            let lines: Vec<Mark> = lines.into_iter().flatten().collect();
            let panel = panel(name, caption, epochs, schedule, lines)?;
            let caption = caption.to_owned();
            Some(Figure {
                name: short.to_owned(),
                legend: vec![],
                title: panel.description.clone(),
                caption,
                panel,
            })
        })
        .collect()
}

/// Lines over the epochs, with a rule where stages were unfrozen; `None` without lines.
fn panel(
    name: &str,
    caption: &str,
    epochs: &[Epoch],
    schedule: &ScheduleConfig,
    lines: Vec<Mark>,
) -> Option<Panel> {
    let values = lines.iter().flat_map(|mark| match mark {
        Mark::Line(points, ..) => points.iter().map(|point| point.1).collect(),
        _ => Vec::new(),
    });
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| {
        (low.min(y), high.max(y))
    });
    if low > high {
        return None;
    }
    // Losses and scores start at 0 unless that would flatten what is to be seen.
    let low = if low > 0.0 && (low < 0.6 * high || low == high) {
        0.0
    } else {
        low
    };
    let last = epochs.iter().map(|e| e.epoch).max().unwrap_or(0);
    let reached = schedule.unfreeze.iter().filter(|u| u.epoch <= last);
    let mut marks: Vec<Mark> = reached
        .map(|u| Mark::Rule(u.epoch.into(), "unfreeze".to_owned(), INK))
        .collect();
    marks.extend(lines);
    Some(Panel {
        width: SMALL.0,
        height: SMALL.1,
        left: LEFT,
        x: Axis::round(
            0.0,
            f64::from(last.max(1)),
            last.clamp(1, 6) as usize,
            false,
        ),
        y: Axis::round(low, high, 4, true),
        x_title: "epoch".to_owned(),
        rules_at_y: true,
        marks,
        description: format!("{name}: {caption} over the epochs"),
    })
}
