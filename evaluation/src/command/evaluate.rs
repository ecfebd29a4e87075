//! `evaluate`: embeddings of a dataset's rows, judged. They come from files of any tool ([`evaluate_files`]) or from the
//! caller ([`evaluate_with`]), as those of a run do.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use logodex_dataset::{Dataset, Split};
use logodex_program::Failure;
use logodex_program::output::print;
use logodex_schemas::dataset::Region;
use logodex_schemas::run::history::History;

use crate::command::options::{Options, regions};
use crate::embeddings::matching::{self, Rows};
use crate::evaluate::{Outcome, Subject, evaluate};
use crate::facts::Facts;
use crate::floors::{COLOUR_HISTOGRAM, FLOORS, RANDOM, colour_histograms};
use crate::history;
use crate::settings::{Settings, region_name};
use crate::terminal::{protocols_table, table};

/// What is typed after `evaluate`.
#[derive(Debug, Clone, clap::Args)]
pub struct EvaluateArgs {
    /// What every evaluation is told.
    #[command(flatten)]
    pub options: Options,
    /// An embedding file from any tool: safetensors (`embeddings` [N,D], `brand` I64 [N], `row` I64 [N]), or NumPy's .npy ([N,D])
    /// with its --rows; floats of 16, 32 or 64 bits. Rows of validation brands give the thresholds. Several files are put
    /// together.
    #[arg(long, value_name = "FILE")]
    pub embeddings: Vec<PathBuf>,
    /// For each .npy file the dataset rows of its embeddings: .npy (int64 [N]) or CSV with a column `row`.
    #[arg(long, value_name = "FILE", requires = "embeddings")]
    pub rows: Vec<PathBuf>,
    /// The model's name in the results [default: the run's folder name or the first file's stem].
    #[arg(long)]
    pub name: Option<String>,
}

/// Judges the embedding files, writes the results below `--out` and prints the tables.
///
/// # Errors
/// [`Failure::Usage`] for a path that does not exist, an embedding file that does not fit the dataset, or a region that the
/// dataset does not hold; [`logodex_dataset::DatasetError`] for the dataset; the disk.
pub fn evaluate_files(args: &EvaluateArgs) -> Result<()> {
    let Some(first) = args.embeddings.first() else {
        return Err(Failure::Usage("no embedding file was given".to_owned()).into());
    };
    evaluate_with(args, first, |dataset, split| {
        let all = matching::read(&args.embeddings, &args.rows, dataset, split)?;
        for notice in &all.notices {
            tracing::warn!("{notice}");
        }
        let regions = regions(args.options.region, dataset, Region::Image);
        let of = |region| Some((region, all.of_region(dataset, region)?));
        let history = history::of_embeddings(&args.embeddings)
            .map_err(|e| Failure::Usage(format!("{e:#}")))?;
        Ok((regions.into_iter().filter_map(of).collect(), history))
    })
}

/// As [`evaluate_files`], of what `embeddings` gives, region by region, and of what made them; `source`, where they come
/// from, names the model unless `--name` does. The rows and brands must be those of the dataset.
///
/// # Errors
/// As [`evaluate_files`], and those of `embeddings`.
pub fn evaluate_with(
    args: &EvaluateArgs,
    source: &Path,
    embeddings: impl FnOnce(&Dataset, &Split) -> Result<(Vec<(Region, Rows)>, History)>,
) -> Result<()> {
    let name = || match &args.name {
        Some(name) => Ok(name.clone()),
        None => model_name(source),
    };
    let (outcome, leaks) = judge_and_write(&args.options, name, embeddings)?;
    let (model, rows) = (&outcome.evaluation.model, &outcome.evaluation.rows);
    print(table(rows, std::slice::from_ref(model)));
    print(protocols_table(rows, &[model, RANDOM, COLOUR_HISTOGRAM]));
    args.options.print_footer(&outcome);
    for leak in leaks {
        print(format_args!("{model}: {leak}\n"));
    }
    for region in &outcome.evaluation.collapsed {
        print(format_args!(
            "{model}: its embeddings of {} rows have collapsed, and every number above is an accident\n",
            region_name(*region)
        ));
    }
    Ok(())
}

/// Judges what `embeddings` gives as the model of the name that `name` gives, and writes the results below [`Options::out`]. Returns them, and a
/// sentence for each way in which the model has met its test brands.
///
/// # Errors
/// As [`evaluate_with`].
pub fn judge_and_write(
    options: &Options,
    name: impl FnOnce() -> Result<String>,
    embeddings: impl FnOnce(&Dataset, &Split) -> Result<(Vec<(Region, Rows)>, History)>,
) -> Result<(Outcome, Vec<String>)> {
    let opened = options.open()?;
    let (rows, history) = embeddings(&opened.dataset, &opened.split)?;
    let model = name()?;
    if FLOORS.contains(&model.as_str()) {
        return Err(Failure::Usage(format!(
            "{model:?} is the name of a floor; name the model otherwise with --name"
        ))
        .into());
    }
    let outcome = options.judge(&opened, &rows, |rows, facts, settings| {
        judge(&model, rows, &opened.dataset, facts, settings)
    })?;
    let mut outcome = outcome.ok_or_else(|| {
        Failure::Usage(format!(
            "split {:?} has no test row of that region with an embedding",
            options.split
        ))
    })?;
    let (dataset, split) = (&opened.dataset, &opened.split);
    let trained_on = history::trained_on(&history, dataset, split)?;
    let leaks = history::warnings(&trained_on, dataset, split);
    outcome.evaluation.trained_on = trained_on;
    outcome.notices.extend(leaks.iter().cloned());
    options.write(&opened, &mut outcome)?;
    Ok((outcome, leaks))
}

/// Judges a model, and beside it the floor of colours over the same rows.
fn judge(
    model: &str,
    rows: &Rows,
    dataset: &Dataset,
    facts: &Facts,
    settings: &Settings,
) -> Result<Outcome> {
    let colours = colour_histograms(dataset, &rows.test.row)?;
    let val = rows.val.as_ref();
    let val_colours = val
        .map(|val| colour_histograms(dataset, &val.row))
        .transpose()?;
    let subject = Subject {
        name: model,
        test: &rows.test,
        val,
    };
    let floor = Subject {
        name: COLOUR_HISTOGRAM,
        test: &colours,
        val: val_colours.as_ref(),
    };
    evaluate(subject, &[floor], facts, settings)
        .map_err(|e| Failure::Usage(format!("{e:#}")).into())
}

/// The run's folder name or the file's stem.
fn model_name(path: &Path) -> Result<String> {
    // `runs/a/..` and `.` have no name of their own until they are resolved.
    let resolved = std::fs::canonicalize(path).with_context(|| path.display().to_string())?;
    let name = if resolved.is_dir() {
        resolved.file_name()
    } else {
        resolved.file_stem()
    };
    let name = name.with_context(|| format!("{}: has no name; give --name", path.display()))?;
    Ok(name.to_string_lossy().into_owned())
}
