//! One page over several runs: what was judged, how well, how surely, and where the simple baselines win.
//!
//! Everything here reads the files that evaluation, training and `logodex-data stats` left on disk ([`load`]); nothing
//! is computed anew but the paired differences of models ([`compare`]). The page is one offline file; the same tables
//! and findings go to Markdown, CSV and the terminal.

pub mod axis;
pub mod commands;
pub mod comparable;
pub mod compare;
pub mod confusion;
pub mod examples;
pub mod figures;
pub mod findings;
pub mod html;
pub mod latex;
pub mod lines;
pub mod load;
pub mod map;
pub mod markdown;
pub mod plot;
pub mod protocols;
pub mod raster;
pub mod retrievals;
pub mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use logodex_schemas::evaluation::{ALL, ComparisonRow, EvaluationRow};
use rayon::prelude::*;
use serde::Serialize;

use crate::metrics::per_episode::Metric;
use crate::protocols::n_way::N_WAY_K_SHOT;
use crate::protocols::open_set::OPEN_SET;
use crate::protocols::paper::{PAPER, PAPER_COSINE, PAPER_ORACLE};
use crate::protocols::retrieval::RETRIEVAL;
use crate::report::figures::{Figure, Figures};
use crate::terminal;
use logodex_program::durable::write_whole;

/// Writes `evaluation.csv`, `comparisons.csv`, `report.md`, `report.html`, `tables.tex` and `figures/*.svg` and `.png`
/// into `out` over the directories `runs`, and prints the paper's Table 5 in shape.
///
/// A directory is told by what it holds: `evaluation.json` (an evaluated run, or the evaluation of an embedding file)
/// or `stats.json` (from `logodex-data stats`).
///
/// # Errors
/// [`logodex_program::Failure::Usage`] for a directory that is neither or lacks a file, two models of one name, or
/// evaluations that cannot be compared; a file that cannot be written.
pub fn report_command(out: &Path, runs: &[PathBuf]) -> Result<()> {
    let inputs = load::load(runs)?;
    let all = compare::comparisons(&inputs.models)?;
    // The page shows the paper's test and headlines of the others on the first region; the file holds everything.
    let is_shown = |row: &&ComparisonRow| {
        let of_paper = [PAPER, PAPER_ORACLE].contains(&row.protocol.as_str())
            && Metric::from_name(&row.metric).is_ok();
        let is_first = row.slice == ALL && Some(row.region) == inputs.region();
        is_first && (of_paper || is_headline(row))
    };
    let comparisons: Vec<ComparisonRow> = all.iter().filter(is_shown).cloned().collect();
    let findings = findings::findings(&inputs, &comparisons);
    let regions = table::of_regions(&inputs);
    let figures = Figures::new(&inputs, &regions, &comparisons);
    let page = html::render(&inputs, &regions, &figures, &comparisons, &findings)?;
    let text = markdown::render(&inputs, &regions, &figures, &comparisons, &findings);
    let tables = latex::render(&inputs, &regions, &comparisons);

    std::fs::create_dir_all(out)
        .with_context(|| format!("{}: cannot make the directory", out.display()))?;
    let rows = inputs.rows();
    write_whole(&out.join("evaluation.csv"), &csv(EVALUATION_HEADER, &rows)?)?;
    write_whole(&out.join("comparisons.csv"), &csv(COMPARISON_HEADER, &all)?)?;
    write_whole(&out.join("report.md"), text.as_bytes())?;
    write_whole(&out.join("report.html"), page.as_bytes())?;
    write_whole(&out.join("tables.tex"), tables.as_bytes())?;
    write_figures(&out.join("figures"), &figures.all())?;

    let names: Vec<String> = inputs.models.iter().map(|m| m.name.clone()).collect();
    let rows: Vec<EvaluationRow> = rows.into_iter().cloned().collect();
    print!("{}", terminal::table(&rows, &names));
    Ok(())
}

/// Each figure as SVG and as PNG.
fn write_figures(dir: &Path, figures: &[&Figure]) -> Result<()> {
    std::fs::create_dir_all(dir)
        .with_context(|| format!("{}: cannot make the directory", dir.display()))?;
    let rasterizer = raster::Rasterizer::new();
    figures.par_iter().try_for_each(|figure| {
        let svg = figure.panel.standalone(&figure.title, &figure.legend)?;
        let png = rasterizer.png(&svg).with_context(|| figure.name.clone())?;
        write_whole(&dir.join(format!("{}.svg", figure.name)), svg.as_bytes())?;
        write_whole(&dir.join(format!("{}.png", figure.name)), &png)
    })
}

/// The metrics that stand for their protocol where all of them would be too many.
const HEADLINES: [(&str, &str); 6] = [
    (PAPER, "map"),
    (PAPER_COSINE, "f1"),
    (N_WAY_K_SHOT, "accuracy_5_way"),
    (RETRIEVAL, "map_at_r"),
    (OPEN_SET, "auroc"),
    (OPEN_SET, "dir_at_far_1"),
];

/// Whether a difference is in one of [`HEADLINES`].
fn is_headline(row: &ComparisonRow) -> bool {
    HEADLINES.contains(&(row.protocol.as_str(), row.metric.as_str()))
}

const EVALUATION_HEADER: &[&str] = &[
    "model", "protocol", "shots", "metric", "mean", "ci_low", "ci_high", "region", "slice",
    "brands",
];
const COMPARISON_HEADER: &[&str] = &[
    "model",
    "reference",
    "protocol",
    "shots",
    "metric",
    "region",
    "slice",
    "difference",
    "ci_low",
    "ci_high",
];

/// A CSV file whose header stands even over no rows.
fn csv<T: Serialize>(header: &[&str], rows: &[T]) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    writer.write_record(header)?;
    for row in rows {
        writer.serialize(row)?;
    }
    Ok(writer.into_inner()?)
}

/// Whether this row's model is a baseline: what a model is measured against.
fn is_baseline(model: &str) -> bool {
    model.starts_with("baseline_")
}

/// A signed number with a true minus.
fn signed(value: f64) -> String {
    format!("{value:+.3}").replace('-', "−")
}

/// A number to three places with a true minus.
fn plain(value: f64) -> String {
    format!("{value:.3}").replace('-', "−")
}

/// `[low, high]` of signed numbers.
fn signed_interval(row: &ComparisonRow) -> String {
    format!("[{}, {}]", signed(row.ci_low), signed(row.ci_high))
}

#[cfg(test)]
mod tests;
