//! Tables for a terminal: the paper's Table 5 in shape, and the other protocols' numbers.

use std::collections::HashMap;
use std::fmt::Write;

use logodex_schemas::evaluation::EvaluationRow;

use crate::floors::FLOORS;
use crate::protocols::paper::PAPER;
use crate::settings::region_name;
use logodex_schemas::evaluation::ALL;

/// The rows of Table 5: metric and how it is called in print.
pub const METRICS: [(&str, &str); 8] = [
    ("accuracy", "Accuracy"),
    ("precision", "Precision"),
    ("recall", "Recall"),
    ("f1", "F1"),
    ("r_at_95p", "R@95P"),
    ("map", "mAP"),
    ("trace_ratio", "J (trace ratio)"),
    ("distance_ratio", "J (distance ratio)"),
];

/// Models beside each other; with the three floors this stays within 160 columns.
const MODELS_PER_BLOCK: usize = 3;

/// Shown where a value was not computed.
const MISSING: &str = "–";

/// Lays out the rows of protocol `paper`: a block per number of shots, a column per model in the order given (in the
/// order of the rows when none is given), each value with its 95 % interval, the floors at the right of each block.
/// More than four models are split evenly over several blocks. A value that was not computed is shown as `–`.
pub fn table(rows: &[EvaluationRow], models: &[String]) -> String {
    let region = rows.first().map(|row| row.region);
    let paper: Vec<&EvaluationRow> = rows
        .iter()
        .filter(|row| row.protocol == PAPER && row.slice == ALL && Some(row.region) == region)
        .collect();
    let cells: HashMap<(&str, u32, &str), String> = paper
        .iter()
        .map(|row| {
            (
                (row.model.as_str(), row.shots, row.metric.as_str()),
                cell(row),
            )
        })
        .collect();
    let mut shots: Vec<u32> = paper.iter().map(|row| row.shots).collect();
    shots.sort_unstable();
    shots.dedup();
    let present = names(&paper);
    let is_floor = |name: &str| FLOORS.contains(&name);
    let models: Vec<&str> = match models.is_empty() {
        true => present
            .iter()
            .copied()
            .filter(|name| !is_floor(name))
            .collect(),
        false => models
            .iter()
            .map(String::as_str)
            .filter(|name| !is_floor(name))
            .collect(),
    };
    let floors: Vec<&str> = FLOORS
        .into_iter()
        .filter(|floor| present.contains(floor))
        .collect();

    let mut out = String::new();
    for &shots in &shots {
        for block in blocks(&models) {
            let columns: Vec<&str> = block.iter().chain(&floors).copied().collect();
            write_block(&mut out, shots, &columns, &cells);
        }
    }
    out
}

/// The other protocols' numbers, over all queries: a line per metric of the first of `columns`, which are models and
/// floors, and beside it those of the others. The paper's protocols are in [`table`].
pub fn protocols_table(rows: &[EvaluationRow], columns: &[&str]) -> String {
    let shown = |row: &&EvaluationRow| row.slice == ALL && !row.protocol.starts_with(PAPER);
    let first = |row: &&EvaluationRow| Some(&row.model.as_str()) == columns.first();
    let mut out = String::new();
    let mut heading = None;
    let line = |name: &str, cells: &[String]| {
        let mut text = format!("{name:<34}");
        for cell in cells {
            let _ = write!(text, "{cell:<24}");
        }
        format!("{}\n", text.trim_end())
    };
    for row in rows.iter().filter(first).filter(shown) {
        let of_model = |name: &&str| {
            let same = |other: &&EvaluationRow| {
                other.model == *name
                    && (&other.protocol, other.shots, &other.metric, other.region)
                        == (&row.protocol, row.shots, &row.metric, row.region)
                    && other.slice == ALL
            };
            rows.iter()
                .find(same)
                .map_or_else(|| MISSING.to_owned(), cell)
        };
        let name = match row.shots {
            0 => row.protocol.clone(),
            shots => format!("{} {shots}-shot", row.protocol),
        };
        let of = (name.clone(), row.region);
        if heading.as_ref() != Some(&of) {
            let name = format!("{name}, {}", region_name(row.region));
            let names: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
            out += if heading.is_some() { "\n" } else { "" };
            out += &line(&name, &names);
            heading = Some(of);
        }
        let cells: Vec<String> = columns.iter().map(of_model).collect();
        out += &line(&format!("  {}", row.metric), &cells);
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// Model names in the order in which they first appear.
fn names<'a>(rows: &[&'a EvaluationRow]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for row in rows {
        if !names.contains(&row.model.as_str()) {
            names.push(&row.model);
        }
    }
    names
}

/// As few blocks as fit, of even width; one empty block when there are only floors.
fn blocks<'a, 'b>(models: &'b [&'a str]) -> Vec<&'b [&'a str]> {
    if models.is_empty() {
        return vec![&[]];
    }
    let blocks = models.len().div_ceil(MODELS_PER_BLOCK);
    models.chunks(models.len().div_ceil(blocks)).collect()
}

fn write_block(
    out: &mut String,
    shots: u32,
    columns: &[&str],
    cells: &HashMap<(&str, u32, &str), String>,
) {
    let title = format!("{shots}-shot");
    let label = METRICS
        .iter()
        .map(|(_, name)| width(name))
        .chain([title.len()])
        .max()
        .unwrap_or(0);
    let grid: Vec<Vec<&str>> = METRICS
        .iter()
        .map(|(metric, _)| {
            columns
                .iter()
                .map(|&model| match cells.get(&(model, shots, *metric)) {
                    Some(cell) => cell.as_str(),
                    None => MISSING,
                })
                .collect()
        })
        .collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|c| {
            grid.iter()
                .map(|line| width(line[c]))
                .chain([width(columns[c])])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut line = |name: &str, cells: &[&str]| {
        let mut text = format!("{name:<label$}");
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(text, "  {cell:<width$}");
        }
        let _ = writeln!(out, "{}", text.trim_end());
    };
    line(&title, columns);
    let rules: Vec<String> = widths.iter().map(|&w| "─".repeat(w)).collect();
    line(
        &"─".repeat(label),
        &rules.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    for ((_, name), cells) in METRICS.iter().zip(&grid) {
        line(name, cells);
    }
    out.push('\n');
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn cell(row: &EvaluationRow) -> String {
    format!("{:.3} [{:.3}, {:.3}]", row.mean, row.ci_low, row.ci_high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floors::{RANDOM, REJECT_ALL};

    fn row(model: &str, shots: u32, metric: &str, mean: f64) -> EvaluationRow {
        EvaluationRow {
            model: model.to_owned(),
            protocol: PAPER.to_owned(),
            shots,
            metric: metric.to_owned(),
            mean,
            ci_low: mean - 0.042,
            ci_high: mean + 0.039,
            region: logodex_schemas::dataset::Region::Image,
            slice: ALL.to_owned(),
            brands: 9,
        }
    }

    fn demo() -> Vec<EvaluationRow> {
        let models = [
            "contrastive",
            "triplet",
            "norm_softmax",
            "baseline_untrained",
            "baseline_features",
            "baseline_projection",
            RANDOM,
        ];
        let mut rows: Vec<EvaluationRow> = models
            .iter()
            .flat_map(|m| {
                METRICS
                    .iter()
                    .flat_map(move |(k, _)| [row(m, 5, k, 0.812), row(m, 1, k, 0.512)])
            })
            .collect();
        rows.extend([
            row(REJECT_ALL, 1, "accuracy", 0.94),
            row(REJECT_ALL, 5, "accuracy", 0.94),
        ]);
        rows
    }

    #[test]
    fn six_models_fit_a_terminal_with_their_floors_beside() {
        let text = table(&demo(), &[]);
        assert!(text.lines().all(|line| width(line) <= 130), "{text}");
        assert_eq!(
            text.matches("0.512 [0.470, 0.551]").count(),
            8 * (6 + 2),
            "random stands in both 1-shot blocks"
        );
        assert_eq!(text.matches("reject_all").count(), 4);
        assert!(text.lines().next().unwrap().starts_with("1-shot"));
        assert!(text.find("5-shot").unwrap() > text.rfind("1-shot").unwrap());
        assert!(text.contains('–'), "reject_all has no mAP");
    }

    #[test]
    fn the_order_given_is_the_order_shown() {
        let models = [
            "triplet".to_owned(),
            "contrastive".to_owned(),
            RANDOM.to_owned(),
        ];
        let text = table(&demo(), &models);
        let header = text.lines().next().unwrap();
        let words: Vec<&str> = header.split_whitespace().collect();
        assert_eq!(
            words,
            ["1-shot", "triplet", "contrastive", "random", "reject_all"]
        );
    }

    #[test]
    fn without_rows_there_is_no_table() {
        assert_eq!(table(&[], &[]), "");
    }
}
