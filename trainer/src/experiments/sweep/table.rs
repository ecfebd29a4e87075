//! Writes the comparison that a sweep ends in: what each run came to, and in which keys the runs differ.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use logodex_evaluation::intervals::training_seeds::{Spread, groups};
use logodex_evaluation::protocols::paper::PAPER;
use logodex_schemas::evaluation::{ALL, EvaluationRow};
use logodex_schemas::run::MetricsLine;
use logodex_schemas::train::TrainConfig;

use super::left;
use crate::config::identity::values;

/// Numbers of supports whose mAP is shown.
const SHOTS: [u32; 2] = [1, 5];

/// How a run came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is finished, and judged where that was asked for.
    Done,
    /// What failed, and with which exit code or signal.
    Failed(String),
}

/// What a run came to. MAP@R, F1, threshold and validation loss are those of the best epoch: the first with the highest
/// MAP@R, or with the highest F1 where the run is judged by that.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The run.
    pub name: String,
    /// How it came out.
    pub outcome: Outcome,
    /// MAP@R on the validation brands.
    pub map_at_r: Option<f64>,
    /// F1 on the validation pairs.
    pub f1: Option<f64>,
    /// The distance below which a pair counts as one brand.
    pub threshold: Option<f64>,
    /// Validation loss of that epoch.
    pub val_loss: Option<f64>,
    /// That epoch, from 0.
    pub best_epoch: Option<u32>,
    /// Epochs done.
    pub epochs: u32,
    /// Training images that went through the network.
    pub images: u64,
    /// Over all epochs.
    pub images_per_sec: Option<f64>,
    /// Test brands that it was trained on, by the weights that it began with: no measure of unseen brands.
    pub seen_brands: usize,
    /// mAP of the last checkpoint on the test brands with its 95 % interval, for 1 and 5 shots: (mean, low, high).
    pub map: [Option<(f64, f64, f64)>; 2],
    /// That mAP over all runs of the table that differ from this one in their seed alone.
    pub over_seeds: [Option<Spread>; 2],
}

/// Dotted key → its value in each run, none where the run has no such key; only keys in which runs differ.
pub type Differences = BTreeMap<String, Vec<Option<String>>>;

/// Gathers what the run in `dir` left on disk; whatever is not there stays empty, what is damaged makes the run a failed one.
pub fn line(name: &str, dir: &Path, images_per_epoch: u64, outcome: &Outcome) -> Line {
    let left = left::read(dir);
    let mut line = Line {
        name: name.to_owned(),
        outcome: outcome.clone(),
        map_at_r: None,
        f1: None,
        threshold: None,
        val_loss: None,
        best_epoch: None,
        epochs: 0,
        images: 0,
        images_per_sec: None,
        seen_brands: 0,
        map: [None; 2],
        over_seeds: [None; 2],
    };
    let mut highest = f64::NEG_INFINITY;
    let mut secs_per_image = 0.0;
    for parsed in left.metrics {
        let MetricsLine::Epoch {
            epoch,
            val_loss,
            map_at_r,
            f1,
            threshold,
            images_per_sec,
            ..
        } = parsed
        else {
            continue;
        };
        line.epochs += 1;
        secs_per_image += 1.0 / images_per_sec;
        if let Some(value) = map_at_r.or(f1).filter(|value| *value > highest) {
            highest = value;
            (line.map_at_r, line.f1) = (map_at_r, f1);
            (line.threshold, line.val_loss) = (threshold, val_loss);
            line.best_epoch = Some(epoch);
        }
    }
    if let (Outcome::Done, Some(damage)) = (outcome, left.damage) {
        line.outcome = Outcome::Failed(damage);
    }
    line.images = u64::from(line.epochs) * images_per_epoch;
    line.images_per_sec = (line.epochs > 0).then(|| f64::from(line.epochs) / secs_per_image);
    if let Some(evaluation) = left.evaluation {
        line.seen_brands = evaluation.trained_on.test_brands.len();
        let first = evaluation.first_region();
        let is_map = |row: &&EvaluationRow| {
            row.model == evaluation.model
                && (row.protocol.as_str(), row.metric.as_str()) == (PAPER, "map")
                && (Some(row.region), row.slice.as_str()) == (first, ALL)
        };
        line.map = SHOTS.map(|shots| {
            let row = evaluation
                .rows
                .iter()
                .filter(is_map)
                .find(|row| row.shots == shots)?;
            Some((row.mean, row.ci_low, row.ci_high))
        });
    }
    line
}

/// Gathers the mAP of runs of one configuration under several seeds; `configs` are those of the lines.
pub fn over_seeds(lines: &mut [Line], configs: &[&TrainConfig]) {
    let given: Vec<Option<&TrainConfig>> = configs.iter().copied().map(Some).collect();
    for group in groups(&given) {
        for i in 0..SHOTS.len() {
            let values = group
                .iter()
                .filter_map(|&place| Some(lines[place].map[i]?.0));
            let spread = Spread::of(&values.collect::<Vec<f64>>());
            for &place in &group {
                lines[place].over_seeds[i] = spread;
            }
        }
    }
}

/// The keys in which the configurations differ once every default is filled in.
///
/// # Errors
/// None is expected: a configuration is TOML.
pub fn differences(configs: &[&TrainConfig]) -> Result<Differences> {
    let mut all = Differences::new();
    for (place, config) in configs.iter().enumerate() {
        for (key, value) in values(config)? {
            all.entry(key).or_insert_with(|| vec![None; configs.len()])[place] = Some(value);
        }
    }
    all.retain(|_, values| values.iter().any(|value| *value != values[0]));
    Ok(all)
}

const COLUMNS: usize = 14;
const HEAD: [&str; COLUMNS] = [
    "run",
    "outcome",
    "MAP@R",
    "F1",
    "threshold",
    "val loss",
    "best epoch",
    "epochs",
    "images",
    "images/s",
    "1-shot mAP",
    "over seeds",
    "5-shot mAP",
    "over seeds",
];

fn cells(line: &Line) -> [String; COLUMNS] {
    let none = || "–".to_owned();
    let places = |value: Option<f64>, n: usize| value.map_or_else(none, |v| format!("{v:.n$}"));
    let map = |value: Option<(f64, f64, f64)>| {
        value.map_or_else(none, |(mean, low, high)| {
            format!("{mean:.3} [{low:.3}, {high:.3}]")
        })
    };
    let seeds = |spread: Option<Spread>| {
        spread.map_or_else(none, |s| {
            format!("{:.3} ± {:.3} ({})", s.mean, s.deviation, s.seeds)
        })
    };
    [
        line.name.clone(),
        match &line.outcome {
            Outcome::Done => match line.seen_brands {
                0 => "done".to_owned(),
                n => format!("done, trained on {n} test brands"),
            },
            Outcome::Failed(why) => format!("failed: {why}"),
        },
        places(line.map_at_r, 4),
        places(line.f1, 4),
        places(line.threshold, 3),
        places(line.val_loss, 4),
        line.best_epoch.map_or_else(none, |epoch| epoch.to_string()),
        line.epochs.to_string(),
        line.images.to_string(),
        places(line.images_per_sec, 0),
        map(line.map[0]),
        seeds(line.over_seeds[0]),
        map(line.map[1]),
        seeds(line.over_seeds[1]),
    ]
}

/// The head and a row per run, without the columns in which nobody has anything.
fn rows(lines: &[Line]) -> Vec<Vec<String>> {
    let all: Vec<[String; COLUMNS]> = [HEAD.map(str::to_owned)]
        .into_iter()
        .chain(lines.iter().map(cells))
        .collect();
    let is_shown = |column: &usize| all[1..].iter().any(|row| row[*column] != "–");
    let shown: Vec<usize> = (0..COLUMNS).filter(is_shown).collect();
    let pick = |row: &[String; COLUMNS]| shown.iter().map(|&c| row[c].clone()).collect();
    all.iter().map(pick).collect()
}

/// Two tables: what the runs came to, a run per row; and in what they differ, a run per column, as the paper's Tables 2
/// to 4 are laid out.
pub fn markdown(lines: &[Line], differences: &Differences) -> String {
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | ").replace('\n', " "));
    let rule = |n: usize| format!("|---|{}\n", "---:|".repeat(n - 1));
    let mut out = format!(
        "# {} runs\n\nMAP@R, F1, threshold and validation loss: the best epoch, on validation brands. mAP: the last checkpoint on the test brands, protocol `paper`; in brackets the 95 % interval by bootstrap over test brands, which knows nothing of the training's seed. Over seeds: mean ± standard deviation over the runs that differ in their seed alone (and their number).\n\n",
        lines.len()
    );
    let results = rows(lines);
    out += &row(&results[0]);
    out += &rule(results[0].len());
    results[1..].iter().for_each(|cells| out += &row(cells));
    if !differences.is_empty() {
        out += "\n## What differs\n\n";
        let names = lines.iter().map(|line| line.name.clone());
        out += &row(&[String::new()].into_iter().chain(names).collect::<Vec<_>>());
        out += &rule(lines.len() + 1);
        for (key, values) in differences {
            let values = values
                .iter()
                .map(|value| value.clone().unwrap_or_else(|| "–".to_owned()));
            out += &row(&[format!("`{key}`")]
                .into_iter()
                .chain(values)
                .collect::<Vec<_>>());
        }
    }
    out
}

/// What `sweep.csv` says of an mAP: the run's with its interval over brands, and that of all seeds.
const MAP: [&str; 6] = [
    "",
    "_low",
    "_high",
    "_seeds",
    "_seeds_mean",
    "_seeds_deviation",
];

/// One line per run: its numbers to full precision, then a column per key that differs.
///
/// # Errors
/// None is expected: it is written to memory.
pub fn csv(lines: &[Line], differences: &Differences) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let maps = SHOTS
        .iter()
        .flat_map(|shots| MAP.map(|end| format!("map_{shots}{end}")));
    let names = [
        "run",
        "outcome",
        "map_at_r",
        "f1",
        "threshold",
        "val_loss",
        "best_epoch",
        "epochs",
        "images",
        "images_per_sec",
    ];
    let head = names.iter().map(|name| (*name).to_owned()).chain(maps);
    writer.write_record(head.chain(differences.keys().cloned()))?;
    let text = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
    for (place, line) in lines.iter().enumerate() {
        let [name, outcome, ..] = cells(line);
        let own = [
            name,
            outcome,
            text(line.map_at_r),
            text(line.f1),
            text(line.threshold),
            text(line.val_loss),
            line.best_epoch
                .map_or_else(String::new, |epoch| epoch.to_string()),
            line.epochs.to_string(),
            line.images.to_string(),
            text(line.images_per_sec),
        ];
        let maps = line
            .map
            .iter()
            .zip(&line.over_seeds)
            .flat_map(|(map, seeds)| {
                [
                    map.map(|m| m.0),
                    map.map(|m| m.1),
                    map.map(|m| m.2),
                    seeds.map(|s| s.seeds as f64),
                    seeds.map(|s| s.mean),
                    seeds.map(|s| s.deviation),
                ]
                .map(text)
            });
        let differing = differences
            .values()
            .map(|values| values[place].clone().unwrap_or_default());
        writer.write_record(own.into_iter().chain(maps).chain(differing))?;
    }
    Ok(writer.into_inner()?)
}

/// The results in columns, then each run's own values of the keys that differ.
pub fn terminal(lines: &[Line], differences: &Differences) -> String {
    let rows = rows(lines);
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0 | 1 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        let _ = writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    if differences.is_empty() {
        return out;
    }
    out += "\nWhat differs:\n";
    for (place, line) in lines.iter().enumerate() {
        let own = differences
            .iter()
            .filter_map(|(key, values)| Some(format!("{key} = {}", values[place].as_ref()?)));
        let _ = writeln!(out, "{}: {}", line.name, own.collect::<Vec<_>>().join(", "));
    }
    out
}

#[cfg(test)]
mod tests;
