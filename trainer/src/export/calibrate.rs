//! What is learnt of a graph by running it on a dataset's rows: the range of its activations, how near it is to the run's own
//! weights, and its thresholds. Test brands are never looked at.

use anyhow::Result;
use logodex_dataset::{Dataset, Split};
use logodex_evaluation::command::options;
use logodex_evaluation::embeddings::set::EmbeddingSet;
use logodex_evaluation::history;
use logodex_evaluation::protocols::calibration::calibrate;
use logodex_evaluation::protocols::open_set::DRAWS;
use logodex_evaluation::settings::Settings;
use logodex_program::progress::ImageProgress;
use logodex_program::usage;
use logodex_schemas::dataset::{BrandRow, Region};
use logodex_schemas::onnx::{Agreement, Calibration};
use logodex_schemas::split::Fold;

use crate::data::loader::Source;
use crate::onnx::graph::Graph;
use crate::onnx::int8::Ranges;
use crate::onnx::interpreter::Interpreter;
use crate::train::embed::{OpenedRun, embed_rows_with};

/// Training rows whose activations are looked at.
const RANGE_ROWS: usize = 256;
/// Validation rows that the precisions are compared on, at most.
const AGREEMENT_ROWS: usize = 1024;

/// What the run was trained on, of what the dataset holds; of both kinds thresholds are set on whole images.
pub(super) fn regions(run: &OpenedRun, dataset: &Dataset) -> (Region, Region) {
    match options::regions(Some(run.region), dataset, run.region).as_slice() {
        [one] => (*one, *one),
        _ => (Region::Both, Region::Image),
    }
}

/// The rows of the validation brands that thresholds are set on.
pub(super) fn validation_rows(run: &OpenedRun, dataset: &Dataset, split: &Split) -> Vec<u64> {
    let (_, region) = regions(run, dataset);
    dataset.rows(&dataset.fold(split, Fold::Val), region)
}

fn training_rows(run: &OpenedRun, dataset: &Dataset, split: &Split) -> Vec<u64> {
    dataset.rows(&dataset.fold(split, Fold::Train), run.region)
}

/// At most `most` of `rows`, evenly taken.
fn evenly(rows: &[u64], most: usize) -> Vec<u64> {
    let count = rows.len().min(most);
    (0..count).map(|i| rows[i * rows.len() / count]).collect()
}

/// The embeddings of `rows` by a graph, `[rows.len(), D]`, row-major.
fn embed(
    what: &'static str,
    graph: &Graph,
    run: &OpenedRun,
    dataset: &Dataset,
    rows: &[u64],
) -> Result<Vec<f32>> {
    let interpreter = Interpreter::new(graph, run.runtime.device);
    let mut progress = ImageProgress::start(what, rows.len() as u64, 0);
    let dim = run.net.embedding_dim() as usize;
    let bar = Some(&mut progress);
    let embeddings = embed_rows_with(
        dim,
        &run.runtime,
        Source::Host(dataset),
        rows,
        bar,
        |images| interpreter.run(images, |_, _| Ok(())),
    )?;
    progress.finish();
    Ok(embeddings)
}

/// The activations of a graph on training rows.
pub(super) fn ranges(
    graph: &Graph,
    run: &OpenedRun,
    dataset: &Dataset,
    split: &Split,
) -> Result<Ranges> {
    let rows = training_rows(run, dataset, split);
    if rows.is_empty() {
        return Err(usage(format!(
            "split {:?} has no training rows, on which int8 has to see what activations are like; export with --precision fp16",
            split.info.name
        )));
    }
    let rows = evenly(&rows, RANGE_ROWS);
    let wanted = Ranges::wanted(graph);
    let mut ranges = Ranges::default();
    let interpreter = Interpreter::new(graph, run.runtime.device);
    let mut progress = ImageProgress::start("activations", rows.len() as u64, 0);
    let dim = run.net.embedding_dim() as usize;
    let bar = Some(&mut progress);
    embed_rows_with(
        dim,
        &run.runtime,
        Source::Host(dataset),
        &rows,
        bar,
        |images| {
            interpreter.run(images, |name, value| match wanted.contains(&name) {
                true => ranges.observe(name, value),
                false => Ok(()),
            })
        },
    )?;
    progress.finish();
    Ok(ranges)
}

/// How near the second graph's embeddings are to the first's, over validation rows or else training rows; none without either.
pub(super) fn agreement(
    (full, other): (&Graph, &Graph),
    run: &OpenedRun,
    dataset: &Dataset,
    split: &Split,
    val: &[u64],
) -> Result<Option<Agreement>> {
    let rows = match val.is_empty() {
        false => evenly(val, AGREEMENT_ROWS),
        true => evenly(&training_rows(run, dataset, split), AGREEMENT_ROWS),
    };
    if rows.is_empty() {
        return Ok(None);
    }
    let full = embed("fp32", full, run, dataset, &rows)?;
    let other = embed("comparing", other, run, dataset, &rows)?;
    let dim = run.net.embedding_dim() as usize;
    let pairs = full.chunks(dim).zip(other.chunks(dim));
    let similarities: Vec<f64> = pairs
        .map(|(a, b)| {
            let product = |(x, y): (&f32, &f32)| f64::from(*x) * f64::from(*y);
            a.iter().zip(b).map(product).sum()
        })
        .collect();
    Ok(Some(Agreement {
        rows: rows.len() as u64,
        mean: similarities.iter().sum::<f64>() / rows.len() as f64,
        lowest: similarities.iter().copied().fold(1.0, f64::min),
    }))
}

/// Thresholds from the validation brands; none, and said so, where there are too few.
pub(super) fn calibration(
    graph: &Graph,
    run: &OpenedRun,
    dataset: &Dataset,
    split: &Split,
    val: &[u64],
) -> Result<Option<Calibration>> {
    let without = || {
        tracing::warn!(
            "split {:?} has too few validation brands to set thresholds on (four, with two pictures each, are the least): the model will name the nearest brand, but not know a stranger until it is calibrated",
            split.info.name
        );
        None
    };
    let brand_of = |row: &u64| i64::from(dataset.brand_of(*row));
    let set = EmbeddingSet {
        dim: run.net.embedding_dim() as usize,
        brand: val.iter().map(brand_of).collect(),
        row: val.iter().map(|row| *row as i64).collect(),
        embeddings: match val.is_empty() {
            true => return Ok(without()),
            false => embed("embedding", graph, run, dataset, val)?,
        },
    };
    let brands: Vec<&BrandRow> = dataset
        .fold(split, Fold::Val)
        .into_iter()
        .filter(|brand| set.brand.contains(&i64::from(brand.index)))
        .collect();
    if brands.len() < 2 {
        return Ok(without());
    }
    let settings = Settings::default();
    let image_of_row = |row: i64| dataset.image_of(row.cast_unsigned());
    let galleries = calibrate(&set, &image_of_row, settings.seed, &settings.shots)?;
    if galleries.is_empty() {
        return Ok(without());
    }
    let keys = |brands: &[&BrandRow]| brands.iter().map(|b| b.key.clone()).collect::<Vec<_>>();
    let seen_brands = keys(&history::seen(&run.history, dataset, &brands)?);
    if !seen_brands.is_empty() {
        tracing::warn!(
            "{} of {} validation brands were trained on, so thresholds set on them are too strict or too loose for brands never seen: {}",
            seen_brands.len(),
            brands.len(),
            seen_brands.join(", ")
        );
    }
    Ok(Some(Calibration {
        region: regions(run, dataset).1,
        split: split.info.name.clone(),
        split_blake3: split.blake3().to_owned(),
        seed: settings.seed,
        draws: DRAWS as u32,
        rows: val.len() as u64,
        brands: keys(&brands),
        seen_brands,
        galleries,
    }))
}
