//! Writes the comparison that a sweep ends in: what each run came to, and in which keys the runs differ.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
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

/// What a run came to. F1, threshold and validation loss are those of the epoch with the highest F1, the first of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The run.
    pub name: String,
    /// How it came out.
    pub outcome: Outcome,
    /// Highest F1 on the validation pairs.
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
}

/// Dotted key → its value in each run, none where the run has no such key; only keys in which runs differ.
pub type Differences = BTreeMap<String, Vec<Option<String>>>;

/// Gathers what the run in `dir` left on disk; whatever is not there stays empty, what is damaged makes the run a failed one.
pub fn line(name: &str, dir: &Path, images_per_epoch: u64, outcome: &Outcome) -> Line {
    let left = left::read(dir);
    let mut line = Line {
        name: name.to_owned(),
        outcome: outcome.clone(),
        f1: None,
        threshold: None,
        val_loss: None,
        best_epoch: None,
        epochs: 0,
        images: 0,
        images_per_sec: None,
        seen_brands: 0,
        map: [None; 2],
    };
    let mut secs_per_image = 0.0;
    for parsed in left.metrics {
        let MetricsLine::Epoch {
            epoch,
            val_loss,
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
        if f1.is_some_and(|f1| line.f1.is_none_or(|best| f1 > best)) {
            (line.f1, line.threshold, line.val_loss) = (f1, threshold, val_loss);
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

const HEAD: [&str; 11] = [
    "run",
    "outcome",
    "best F1",
    "threshold",
    "val loss",
    "best epoch",
    "epochs",
    "images",
    "images/s",
    "1-shot mAP",
    "5-shot mAP",
];

fn cells(line: &Line) -> [String; 11] {
    let none = || "–".to_owned();
    let places = |value: Option<f64>, n: usize| value.map_or_else(none, |v| format!("{v:.n$}"));
    let map = |value: Option<(f64, f64, f64)>| {
        value.map_or_else(none, |(mean, low, high)| {
            format!("{mean:.3} [{low:.3}, {high:.3}]")
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
        places(line.f1, 4),
        places(line.threshold, 3),
        places(line.val_loss, 4),
        line.best_epoch.map_or_else(none, |epoch| epoch.to_string()),
        line.epochs.to_string(),
        line.images.to_string(),
        places(line.images_per_sec, 0),
        map(line.map[0]),
        map(line.map[1]),
    ]
}

/// Two tables: what the runs came to, a run per row; and in what they differ, a run per column, as the paper's Tables 2
/// to 4 are laid out.
pub fn markdown(lines: &[Line], differences: &Differences) -> String {
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | ").replace('\n', " "));
    let rule = |n: usize| format!("|---|{}\n", "---:|".repeat(n - 1));
    let mut out = format!(
        "# {} runs\n\nF1, threshold and validation loss: the first epoch with the highest F1. mAP: the last checkpoint on the test brands, protocol `paper`, with 95 % intervals by bootstrap over brands.\n\n",
        lines.len()
    );
    out += &row(&HEAD.map(str::to_owned));
    out += &rule(HEAD.len());
    lines.iter().for_each(|line| out += &row(&cells(line)));
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

/// One line per run: its numbers to full precision, then a column per key that differs.
///
/// # Errors
/// None is expected: it is written to memory.
pub fn csv(lines: &[Line], differences: &Differences) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let maps = SHOTS
        .iter()
        .flat_map(|shots| ["", "_low", "_high"].map(|end| format!("map_{shots}{end}")));
    let names = [
        "run",
        "outcome",
        "best_f1",
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
            text(line.f1),
            text(line.threshold),
            text(line.val_loss),
            line.best_epoch
                .map_or_else(String::new, |epoch| epoch.to_string()),
            line.epochs.to_string(),
            line.images.to_string(),
            text(line.images_per_sec),
        ];
        let maps = line.map.iter().flat_map(|map| match map {
            Some((mean, low, high)) => [mean, low, high].map(|v| text(Some(*v))),
            None => [(); 3].map(|()| String::new()),
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
    let rows: Vec<[String; 11]> = [HEAD.map(str::to_owned)]
        .into_iter()
        .chain(lines.iter().map(cells))
        .collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    // A column in which nobody has anything is not shown.
    let shown: Vec<(usize, usize)> = (0..HEAD.len())
        .filter(|&column| rows[1..].iter().any(|row| row[column] != "–"))
        .map(|column| (column, width(column)))
        .collect();
    let mut out = String::new();
    for row in &rows {
        let cells = shown.iter().map(|&(column, width)| match column {
            0 | 1 => format!("{:<width$}", row[column]),
            _ => format!("{:>width$}", row[column]),
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
mod tests {
    use super::*;
    use crate::config::parse;

    fn config(text: &str) -> TrainConfig {
        let base = "[model]\narch = \"resnet18\"\nhead = \"linear\"\n[schedule]\nepochs = 2\n";
        parse(format!("{base}{text}").as_bytes()).unwrap()
    }

    fn run(name: &str) -> Line {
        Line {
            name: name.to_owned(),
            outcome: Outcome::Done,
            f1: Some(0.75),
            threshold: Some(0.6),
            val_loss: None,
            best_epoch: Some(1),
            epochs: 2,
            images: 200,
            images_per_sec: Some(80.0),
            seen_brands: 0,
            map: [Some((0.5, 0.4, 0.6)), None],
        }
    }

    #[test]
    fn only_keys_that_differ_are_told_defaults_and_the_sampler_among_them() {
        let cosine = config("[loss]\nkind = \"contrastive_cosine\"\nmargin = 0.2\n");
        let triplet = config("[loss]\nkind = \"triplet\"\nmargin = 0.2\n[optimizer]\nlr = 0.1\n");
        let d = differences(&[&cosine, &triplet]).unwrap();
        let keys: Vec<&str> = d.keys().map(String::as_str).collect();
        assert_eq!(keys, ["data.sampler", "loss.kind", "optimizer.lr"]);
        assert_eq!(
            d["optimizer.lr"],
            [Some("0.001".to_owned()), Some("0.1".to_owned())]
        );
        assert!(differences(&[&cosine, &cosine]).unwrap().is_empty());
        let softmax = config("[loss]\nkind = \"norm_softmax\"\ntemperature = 0.05\n");
        let d = differences(&[&cosine, &softmax]).unwrap();
        assert_eq!(d["loss.temperature"], [None, Some("0.05".to_owned())]);
    }

    #[test]
    fn a_run_that_left_nothing_is_an_empty_line() {
        let dir = tempfile::tempdir().unwrap();
        let empty = line("a", dir.path(), 100, &Outcome::Done);
        assert_eq!(
            (empty.epochs, empty.images, empty.f1, empty.images_per_sec),
            (0, 0, None, None)
        );
        let text = markdown(&[empty, run("b")], &Differences::new());
        assert!(
            text.contains("| a | done | – | – | – | – | 0 | 0 | – | – | – |"),
            "{text}"
        );
        assert!(
            text.contains(
                "| b | done | 0.7500 | 0.600 | – | 1 | 2 | 200 | 80 | 0.500 [0.400, 0.600] | – |"
            ),
            "{text}"
        );
        assert!(!text.contains("What differs"));
        let seen = Line {
            seen_brands: 3,
            ..run("c")
        };
        let text = markdown(&[seen], &Differences::new());
        assert!(
            text.contains("| c | done, trained on 3 test brands |"),
            "{text}"
        );
    }

    #[test]
    fn the_three_forms_say_the_same() {
        let failed = Line {
            outcome: Outcome::Failed("fit: exit code 1".to_owned()),
            map: [None; 2],
            ..run("b")
        };
        let differences =
            Differences::from([("loss.margin".to_owned(), vec![Some("0.2".to_owned()), None])]);
        let lines = [run("a"), failed];
        let text = terminal(&lines, &differences);
        assert!(
            text.contains("failed: fit: exit code 1") && text.contains("a: loss.margin = 0.2"),
            "{text}"
        );
        assert!(!text.contains("5-shot"), "nobody has it: {text}");
        let text = String::from_utf8(csv(&lines, &differences).unwrap()).unwrap();
        assert_eq!(
            text,
            "run,outcome,best_f1,threshold,val_loss,best_epoch,epochs,images,images_per_sec,map_1,map_1_low,map_1_high,map_5,map_5_low,map_5_high,loss.margin\n\
             a,done,0.75,0.6,,1,2,200,80,0.5,0.4,0.6,,,,0.2\n\
             b,failed: fit: exit code 1,0.75,0.6,,1,2,200,80,,,,,,,\n"
        );
        let text = markdown(&lines, &differences);
        assert!(
            text.contains("|  | a | b |\n|---|---:|---:|\n| `loss.margin` | 0.2 | – |"),
            "{text}"
        );
    }
}
