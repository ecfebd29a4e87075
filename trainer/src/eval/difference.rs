//! Paired differences of two models in any metric: the bootstrap drew the same brands for both, so the difference of
//! their values in each resample is a difference over the same brands.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use logodex_schemas::evaluation::EvaluationRow;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::durable::write_whole;
use crate::eval::bootstrap::{Interval, interval};

/// The file of a model's replicates, beside its `evaluation.csv`.
pub const FILE: &str = "bootstrap.safetensors";

/// Writes `replicates` F32 `[lines, resamples]`: the value in every resample of each of the model's own lines of
/// `evaluation.csv`, in their order, NaN where it is not defined.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, replicates: &[Vec<f32>]) -> Result<()> {
    let shape = vec![replicates.len(), replicates.first().map_or(0, Vec::len)];
    let bytes: Vec<u8> = replicates
        .iter()
        .flatten()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let tensor = TensorView::new(Dtype::F32, shape, &bytes)?;
    write_whole(
        path,
        &safetensors::serialize([("replicates", tensor)], None)?,
    )
}

/// Reads what [`write`] wrote, of a model with so many lines.
///
/// # Errors
/// Names the file when it cannot be read or does not fit.
pub fn read(path: &Path, lines: usize) -> Result<Vec<Vec<f32>>> {
    let context = || format!("{}: evaluate again", path.display());
    let bytes = std::fs::read(path).with_context(context)?;
    let file = SafeTensors::deserialize(&bytes).with_context(context)?;
    let tensor = file.tensor("replicates").with_context(context)?;
    let &[found, resamples] = tensor.shape() else {
        anyhow::bail!("{}", context());
    };
    ensure!(
        tensor.dtype() == Dtype::F32 && found == lines,
        "{}: it holds {found} lines, evaluation.csv beside it {lines}",
        context()
    );
    let values: Vec<f32> = tensor
        .data()
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect();
    Ok(match resamples {
        0 => vec![Vec::new(); lines],
        _ => values.chunks(resamples).map(<[f32]>::to_vec).collect(),
    })
}

/// A line of one model and its replicates.
pub type Line<'a> = (&'a EvaluationRow, &'a [f32]);

/// `a` − `b` with its interval.
///
/// # Errors
/// The lines are of different metrics, brands or resamples.
pub fn difference(a: Line, b: Line) -> Result<Interval> {
    let key = |row: &EvaluationRow| {
        let (protocol, metric, slice) = (&row.protocol, &row.metric, &row.slice);
        (
            protocol.clone(),
            row.shots,
            metric.clone(),
            row.region,
            slice.clone(),
            row.brands,
        )
    };
    ensure!(
        key(a.0) == key(b.0) && a.1.len() == b.1.len(),
        "{} of {} and {} of {} were not measured over the same brands and resamples; evaluate both with the same seed, dataset, split and rows",
        a.0.metric,
        a.0.model,
        b.0.metric,
        b.0.model
    );
    let differences: Vec<f64> =
        a.1.iter()
            .zip(b.1)
            .map(|(a, b)| f64::from(*a) - f64::from(*b))
            .collect();
    let mean = a.0.mean - b.0.mean;
    Ok(interval(mean, &differences, a.0.brands as usize))
}
