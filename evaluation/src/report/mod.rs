//! One page over several runs: what was judged, how well, how surely, and where the simple baselines win.
//!
//! Everything here reads the files that evaluation, training and `logodex-data stats` left on disk ([`mod@load`]);
//! nothing is computed anew but the paired differences of models ([`mod@comparisons`]). From these come what is said
//! ([`text`]), what is drawn ([`figures`]) and what is shown of the dataset ([`pictures`]), and each form of the report
//! ([`forms`]) sets all of it: the page is one offline file; the same tables and findings go to Markdown, LaTeX, CSV and
//! the terminal.

pub mod comparisons;
pub mod figures;
pub mod forms;
pub mod load;
pub mod pictures;
pub mod text;
pub mod wording;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use logodex_schemas::evaluation::{ComparisonRow, EvaluationRow};
use rayon::prelude::*;

use crate::plot::Figure;
use crate::plot::raster::Rasterizer;
use crate::terminal;
use comparisons::{comparisons, is_shown};
use figures::Figures;
use forms::{csv, html, latex, markdown};
use load::{inputs::Inputs, load};
use logodex_program::durable::write_whole;
use logodex_program::output::print;
use text::answer::answer;
use text::caution::seen_brands;
use text::findings::findings;
use text::tables;

/// Writes `evaluation.csv`, `comparisons.csv`, `report.md`, `report.html`, `tables.tex` and `figures/*.svg` and `.png`
/// into `out` over the directories `runs`. Returns what they hold.
///
/// A directory is told by what it holds: `evaluation.json` (an evaluated run, or the evaluation of an embedding file)
/// or `stats.json` (from `logodex-data stats`).
///
/// # Errors
/// [`logodex_program::Failure::Usage`] for a directory that is neither or lacks a file, two models of one name, or
/// evaluations that cannot be compared; a file that cannot be written.
pub fn write_report(out: &Path, runs: &[PathBuf]) -> Result<Inputs> {
    let inputs = load(runs)?;
    let all = comparisons(&inputs.models)?;
    let shown: Vec<ComparisonRow> = all
        .iter()
        .filter(|row| is_shown(row, inputs.region()))
        .cloned()
        .collect();
    let answer = answer(&inputs, &shown);
    let findings = findings(&inputs, &shown);
    let regions = tables::of_regions(&inputs);
    let figures = Figures::new(&inputs, &regions, &shown);
    let page = html::render(&inputs, &regions, &figures, &shown, (&answer, &findings))?;
    let text = markdown::render(&inputs, &regions, &figures, &shown, (&answer, &findings));
    let tables = latex::render(&inputs, &regions, &shown);

    std::fs::create_dir_all(out)
        .with_context(|| format!("{}: cannot make the directory", out.display()))?;
    let rows = inputs.rows();
    write_whole(&out.join("evaluation.csv"), &csv::evaluation(&rows)?)?;
    write_whole(&out.join("comparisons.csv"), &csv::comparisons(&all)?)?;
    write_whole(&out.join("report.md"), text.as_bytes())?;
    write_whole(&out.join("report.html"), page.as_bytes())?;
    write_whole(&out.join("tables.tex"), tables.as_bytes())?;
    write_figures(&out.join("figures"), &figures.all())?;
    Ok(inputs)
}

/// As [`write_report`], and prints the paper's Table 5 in shape.
///
/// # Errors
/// As [`write_report`].
pub fn report_command(out: &Path, runs: &[PathBuf]) -> Result<()> {
    let inputs = write_report(out, runs)?;
    let names: Vec<String> = inputs.models.iter().map(|m| m.name.clone()).collect();
    let rows: Vec<EvaluationRow> = inputs.rows().into_iter().cloned().collect();
    print(terminal::table(&rows, &names));
    for seen in seen_brands(&inputs) {
        print(format_args!("{}\n", seen.text));
    }
    Ok(())
}

/// Each figure as SVG and as PNG.
fn write_figures(dir: &Path, figures: &[&Figure]) -> Result<()> {
    std::fs::create_dir_all(dir)
        .with_context(|| format!("{}: cannot make the directory", dir.display()))?;
    let rasterizer = Rasterizer::new();
    figures.par_iter().try_for_each(|figure| {
        let svg = figure.panel.standalone(&figure.title, &figure.legend)?;
        let png = rasterizer.png(&svg).with_context(|| figure.name.clone())?;
        write_whole(&dir.join(format!("{}.svg", figure.name)), svg.as_bytes())?;
        write_whole(&dir.join(format!("{}.png", figure.name)), &png)
    })
}

#[cfg(test)]
mod tests;
