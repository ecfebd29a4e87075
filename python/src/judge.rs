//! `logodex.evaluate` and its report: what `logodex-eval` computes, from arrays.

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;
use logodex_dataset::Region;
use logodex_evaluation::command::evaluate::judge_and_write;
use logodex_evaluation::command::options::{Options, parse_region, regions};
use logodex_evaluation::embeddings::matching;
use logodex_evaluation::report::comparisons::{against, is_shown};
use logodex_evaluation::report::figures::differences::differences;
use logodex_evaluation::report::figures::overview::overview;
use logodex_evaluation::report::forms::csv;
use logodex_evaluation::report::load::load;
use logodex_evaluation::report::write_report;
use logodex_evaluation::settings::Protocol;
use logodex_schemas::run::history::History;
use numpy::{PyArray2, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::arrays::integers;
use crate::errors::usage;
use crate::opened::Dataset;
use crate::threads::interruptible;

/// Judges one model's float32 embeddings `[N, D]` of rows and writes the results below `out`, as `logodex-eval evaluate`.
/// Returns what a person should hear.
#[pyfunction]
#[pyo3(signature = (*, name, embeddings, rows, dataset, split, out, protocols, region, seed))]
#[expect(
    clippy::too_many_arguments,
    reason = "called by python/logodex/judge.py alone, by name"
)]
pub fn judge(
    py: Python<'_>,
    name: String,
    embeddings: &Bound<'_, PyArray2<f32>>,
    rows: &Bound<'_, PyAny>,
    dataset: &Dataset,
    split: String,
    out: PathBuf,
    protocols: Vec<String>,
    region: Option<String>,
    seed: u64,
) -> PyResult<Vec<String>> {
    let protocols: Vec<Protocol> = protocols
        .iter()
        .map(|name| {
            Protocol::from_str(name, false).map_err(|_| usage(format!("no protocol is {name:?}")))
        })
        .collect::<PyResult<_>>()?;
    let region = region.as_deref().map(parse_region).transpose();
    let region = region.map_err(|said| usage(format!("region {said}")))?;
    let rows = integers(rows)?;
    let [n, dim] = [embeddings.shape()[0], embeddings.shape()[1]];
    if rows.shape != [n] {
        return Err(usage(format!(
            "{name}: rows are [{n}], one for each embedding, not {:?}",
            rows.shape
        )));
    }
    let values: Vec<f32> = embeddings.readonly().as_array().iter().copied().collect();
    let options = Options {
        dataset: dataset.inner.dir().to_owned(),
        split,
        out,
        protocols,
        region,
        seed,
        map_brands: None,
    };
    interruptible(py, move || {
        let mut said = Vec::new();
        let (outcome, _) = judge_and_write(
            &options,
            || Ok(name),
            |dataset, split| {
                let all = matching::in_memory(values, dim, rows.values, dataset, split)?;
                let regions = regions(options.region, dataset, Region::Image);
                let of = |region| Some((region, all.of_region(dataset, region)?));
                let rows = regions.into_iter().filter_map(of).collect();
                said = all.notices;
                Ok((rows, History::unknown("embeddings that carry no history")))
            },
        )?;
        said.extend(outcome.notices);
        Ok(said)
    })
}

/// Gathers evaluated directories into a report below `out`, as `logodex-eval report`.
#[pyfunction]
pub fn report(py: Python<'_>, out: PathBuf, runs: Vec<PathBuf>) -> PyResult<()> {
    interruptible(py, move || write_report(&out, &runs).map(|_| ()))
}

/// Of evaluated directories the lines of a report's `evaluation.csv`, of its `comparisons.csv` with the models `references` as
/// the baselines, and the two forest plots as SVG.
#[pyfunction]
pub fn gathered<'py>(
    py: Python<'py>,
    runs: Vec<PathBuf>,
    references: Vec<String>,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>, Vec<String>)> {
    let work = move || -> Result<_> {
        let inputs = load(&runs)?;
        let all = against(&inputs.models, |model| references.contains(&model.name))?;
        let shown = all.iter().filter(|row| is_shown(row, inputs.region()));
        let shown: Vec<_> = shown.cloned().collect();
        let figures = overview(&inputs)
            .into_iter()
            .chain(differences(&inputs, &shown));
        let figures = figures.map(|figure| figure.panel.standalone(&figure.title, &figure.legend));
        let figures = figures.collect::<Result<Vec<_>>>()?;
        Ok((
            csv::evaluation(&inputs.rows())?,
            csv::comparisons(&all)?,
            figures,
        ))
    };
    let (rows, differences, figures) = interruptible(py, work)?;
    Ok((
        PyBytes::new(py, &rows),
        PyBytes::new(py, &differences),
        figures,
    ))
}
