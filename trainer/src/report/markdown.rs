//! The tables and findings as Markdown, for a repository or a terminal.

use std::fmt::Write;

use logodex_schemas::evaluation::ComparisonRow;

use crate::eval::PAPER;
use crate::report::commands::commands;
use crate::report::findings::{Finding, code};
use crate::report::html::thousands;
use crate::report::load::{Inputs, prefix};
use crate::report::table::{blocks, threshold_lines};
use crate::report::{plain, signed, signed_interval};

/// The report without its figures.
pub fn render(inputs: &Inputs, comparisons: &[ComparisonRow], findings: &[Finding]) -> String {
    let mut out = String::from("# Brands never seen in training\n\n");
    if let Some(first) = inputs.models.first() {
        let e = &first.evaluation;
        let _ = writeln!(
            out,
            "{} episodes per number of shots on {} test brands ({} rows); split {}, seed {}, split hash `{}`, manifest hash `{}`.",
            thousands(e.episodes.into()),
            thousands(e.test_brands),
            thousands(e.test_rows),
            code(&e.split),
            e.seed,
            prefix(&e.split_blake3),
            prefix(&e.manifest_blake3)
        );
    }
    if let Some(stats) = &inputs.stats {
        let c = &stats.stats.counts;
        let _ = writeln!(
            out,
            "Dataset: {} brands in {} categories, {} images, {} rows.",
            thousands(c.brands),
            thousands(c.categories),
            thousands(c.images),
            thousands(c.rows)
        );
    }
    results(&mut out, inputs);
    out.push_str("\n## Findings\n\n");
    for finding in findings {
        let mark = if finding.warning { "**!** " } else { "" };
        let _ = writeln!(out, "- {mark}{}", finding.text);
    }
    differences(&mut out, comparisons);
    thresholds(&mut out, inputs);
    out.push_str("\n## To reproduce\n\n```sh\n");
    for command in commands(inputs) {
        let _ = writeln!(out, "{command}");
    }
    out.push_str("```\n");
    out
}

fn results(out: &mut String, inputs: &Inputs) {
    out.push_str(
        "\n## Results\n\nProtocol `paper`, 95 % intervals by bootstrap over brands; the best model of a row in bold; ▾ marks a value below a floor.\n",
    );
    for block in blocks(inputs) {
        let names: Vec<String> = block.columns.iter().map(|c| cell(&c.name)).collect();
        let _ = writeln!(out, "\n| {}-shot | {} |", block.shots, names.join(" | "));
        let _ = writeln!(out, "|---|{}", "---:|".repeat(names.len()));
        for line in &block.lines {
            let cells: Vec<String> = line
                .cells
                .iter()
                .map(|value| match value {
                    None => "–".to_owned(),
                    Some(v) => {
                        let mean = match v.best {
                            true => format!("**{}**", plain(v.mean)),
                            false => plain(v.mean),
                        };
                        let below = if v.below.is_some() { " ▾" } else { "" };
                        format!("{mean}{below} [{}, {}]", plain(v.low), plain(v.high))
                    }
                })
                .collect();
            let _ = writeln!(out, "| {} | {} |", line.label, cells.join(" | "));
        }
    }
}

fn differences(out: &mut String, comparisons: &[ComparisonRow]) {
    let rows: Vec<_> = comparisons
        .iter()
        .filter(|c| c.protocol == PAPER && c.metric == "map")
        .collect();
    if rows.is_empty() {
        return;
    }
    out.push_str("\n## Paired differences in mAP\n\nEvery metric is in `comparisons.csv`.\n\n| model | baseline | shots | difference | 95 % interval |\n|---|---|---:|---:|---:|\n");
    for c in rows {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            cell(&c.model),
            cell(&c.reference),
            c.shots,
            signed(c.difference),
            signed_interval(c)
        );
    }
}

fn thresholds(out: &mut String, inputs: &Inputs) {
    let lines = threshold_lines(inputs);
    if lines.is_empty() {
        return;
    }
    out.push_str("\n## Thresholds\n\nTransferred: chosen on validation brands. Oracle: chosen on the test brands, as in the paper.\n\n| model | shots | τ transferred | F1 | τ oracle | F1 |\n|---|---:|---:|---:|---:|---:|\n");
    for l in lines {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            cell(&l.model),
            l.shots,
            l.transferred,
            l.transferred_f1,
            l.oracle,
            l.oracle_f1
        );
    }
}

/// A name as a table's cell: code, and no bar that would end the cell.
fn cell(name: &str) -> String {
    code(name).replace('|', "\\|")
}
