//! The tables and findings as Markdown, for a repository or a terminal.

use std::fmt::Write;

use logodex_schemas::evaluation::ComparisonRow;

use crate::report::comparisons::is_headline;
use crate::report::figures::Figures;
use crate::report::load::inputs::Inputs;
use crate::report::text::commands::commands;
use crate::report::text::finding::Finding;
use crate::report::text::protocols::label;
use crate::report::text::seeds::{TEXT, seed_lines};
use crate::report::text::tables::{RegionTables, Table};
use crate::report::text::thresholds::threshold_lines;
use crate::report::wording::{code, plain, prefix, signed, signed_interval, thousands};

/// The report without its figures.
pub fn render(
    inputs: &Inputs,
    regions: &[RegionTables],
    drawn: &Figures,
    comparisons: &[ComparisonRow],
    (answer, findings): (&[String], &[Finding]),
) -> String {
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
    out.push('\n');
    for sentence in answer {
        let _ = writeln!(out, "- {sentence}");
    }
    results(&mut out, regions);
    training_seeds(&mut out, inputs);
    out.push_str("\n## Findings\n\n");
    for finding in findings {
        let mark = if finding.warning { "**!** " } else { "" };
        let _ = writeln!(out, "- {mark}{}", finding.text);
    }
    differences(&mut out, comparisons);
    thresholds(&mut out, inputs);
    figures(&mut out, drawn);
    out.push_str("\n## To reproduce\n\n```sh\n");
    for command in commands(inputs) {
        let _ = writeln!(out, "{command}");
    }
    out.push_str("```\n");
    for model in &inputs.models {
        if let Some(config) = &model.config {
            let name = &model.name;
            let _ = writeln!(
                out,
                "\n<details><summary>Configuration of {}</summary>\n\n```toml\n{}\n```\n\n</details>",
                minijinja::HtmlEscape(name),
                config.trim_end()
            );
        }
    }
    out
}

fn results(out: &mut String, regions: &[RegionTables]) {
    out.push_str(
        "\n## Results\n\n95 % intervals by bootstrap over test brands, of one training each; the best model of a row in bold; ▾ marks a value that a floor surpasses.\n",
    );
    for region in regions {
        let name = region.name;
        for section in &region.sections {
            let (title, protocol, text) = (section.title, section.protocol, section.text);
            let _ = writeln!(out, "\n### {title}: `{protocol}`, {name} rows\n\n{text}");
            section.tables.iter().for_each(|table| values(out, table));
        }
    }
    let slices = regions.first().map_or(&[][..], |first| &first.slices);
    if !slices.is_empty() {
        out.push_str("\n### Categories and slices\n");
    }
    slices.iter().for_each(|table| values(out, table));
}

fn training_seeds(out: &mut String, inputs: &Inputs) {
    let lines = seed_lines(inputs);
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "\n### Over training seeds\n\n{TEXT}\n\n| runs | metric | mean | over brands | over seeds | lowest to highest |\n|---|---|---:|---:|---:|---:|"
    );
    for line in lines {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | ± {} ({} seeds) | {} |",
            cell(&line.models),
            line.metric,
            line.mean,
            line.brands,
            line.deviation,
            line.seeds,
            line.range
        );
    }
}

fn values(out: &mut String, table: &Table) {
    let names: Vec<String> = table.columns.iter().map(|c| cell(&c.name)).collect();
    let _ = writeln!(out, "\n| {} | {} |", table.title, names.join(" | "));
    let _ = writeln!(out, "|---|{}", "---:|".repeat(names.len()));
    for line in &table.lines {
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
        let label = line.label.replace('|', "\\|");
        let _ = writeln!(out, "| {label} | {} |", cells.join(" | "));
    }
}

/// The figures that hold all models.
fn figures(out: &mut String, drawn: &Figures) {
    out.push_str("\n## Figures\n\nEvery figure of the page is in `figures/`, as SVG and PNG.\n");
    for figure in drawn
        .all()
        .iter()
        .filter(|f| f.legend.len() > 1 || f.name.starts_with("map-"))
    {
        let (name, caption) = (&figure.name, figure.caption.replace(['[', ']'], ""));
        let _ = writeln!(out, "\n![{caption}](figures/{name}.svg)");
    }
}

fn differences(out: &mut String, comparisons: &[ComparisonRow]) {
    let rows: Vec<_> = comparisons.iter().filter(|c| is_headline(c)).collect();
    if rows.is_empty() {
        return;
    }
    out.push_str("\n## Paired differences\n\nEvery metric is in `comparisons.csv`.\n\n| model | baseline | protocol | shots | metric | difference | 95 % interval |\n|---|---|---|---:|---|---:|---:|\n");
    for c in rows {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            cell(&c.model),
            cell(&c.reference),
            cell(&c.protocol),
            c.shots,
            label(&c.metric),
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
