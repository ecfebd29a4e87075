//! Paired differences of two models in any metric: the bootstrap drew the same brands for both, so the difference of
//! their values in each resample is a difference over the same brands.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use logodex_schemas::evaluation::{EpisodeRow, EvaluationRow};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::intervals::bootstrap::{ByBrand, Interval, RESAMPLES, Resamples, interval};
use crate::metrics::per_episode::Metric;
use crate::protocols::paper::PAPER_ORACLE;
use logodex_program::durable::write_whole;

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

/// The mean of `a` − `b` per episode with its interval, over the same episodes of two models.
///
/// Metrics that no threshold enters (`map`, `r_at_95p`) are the same under both protocols, so that for them
/// `paper_oracle` stands in where a model was judged without validation brands and has no `paper` episodes.
///
/// # Errors
/// An unknown or not per-episode metric, no episodes of that protocol and number of shots, or episodes that differ
/// (another seed, split, or set of rows).
pub fn paired_difference(
    a: &[EpisodeRow],
    b: &[EpisodeRow],
    protocol: &str,
    shots: u32,
    metric: &str,
    seed: u64,
) -> Result<Interval> {
    let metric = Metric::from_name(metric)?;
    let (a, b) = (
        select(a, protocol, shots, metric)?,
        select(b, protocol, shots, metric)?,
    );
    ensure!(
        a.len() == b.len()
            && a.iter()
                .zip(&b)
                .all(|(x, y)| x.episode == y.episode && x.brand == y.brand),
        "the two models were not judged on the same {shots}-shot episodes; evaluate both with the same seed, dataset, split and rows"
    );
    let brands: Vec<u32> = a.iter().map(|row| row.brand).collect();
    let differences: Vec<f64> = a
        .iter()
        .zip(&b)
        .map(|(x, y)| metric.of(x) - metric.of(y))
        .collect();
    let by_brand = ByBrand::new(&brands);
    let resamples = Resamples::draw(seed, by_brand.brands(), RESAMPLES);
    by_brand
        .mean(&differences, &resamples)
        .map(|estimate| estimate.interval)
        .ok_or_else(|| anyhow::anyhow!("there are no {shots}-shot episodes"))
}

fn select<'a>(
    rows: &'a [EpisodeRow],
    protocol: &str,
    shots: u32,
    metric: Metric,
) -> Result<Vec<&'a EpisodeRow>> {
    let of = |protocol: &str| -> Vec<&'a EpisodeRow> {
        rows.iter()
            .filter(|row| row.protocol == protocol && row.shots == shots)
            .collect()
    };
    let mut found = of(protocol);
    if found.is_empty() && Metric::RANKED.contains(&metric) {
        found = of(PAPER_ORACLE);
    }
    ensure!(
        !found.is_empty(),
        "there are no {shots}-shot episodes under protocol {protocol:?}"
    );
    found.sort_by_key(|row| row.episode);
    ensure!(
        found
            .windows(2)
            .all(|pair| pair[0].episode != pair[1].episode),
        "a {shots}-shot episode is listed twice under protocol {protocol:?}"
    );
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use logodex_schemas::dataset::Region;

    fn episode(number: u32, brand: u32, map: f64) -> EpisodeRow {
        EpisodeRow {
            protocol: "paper".to_owned(),
            shots: 1,
            episode: number,
            brand,
            accuracy: 0.9,
            precision: 0.5,
            recall: 0.5,
            f1: 0.5,
            r_at_95p: 0.1,
            map,
            region: Region::Image,
        }
    }

    fn line(model: &str, mean: f64, brands: u32) -> EvaluationRow {
        EvaluationRow {
            model: model.to_owned(),
            protocol: "open_set".to_owned(),
            shots: 1,
            metric: "auroc".to_owned(),
            mean,
            ci_low: 0.0,
            ci_high: 1.0,
            region: Region::Image,
            slice: "all".to_owned(),
            brands,
        }
    }

    #[test]
    fn replicates_come_back_and_their_difference_is_paired() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let a: Vec<f32> = (0..400)
            .map(|i| 0.5 + (i * 37 % 100) as f32 / 200.0)
            .collect();
        let b: Vec<f32> = a.iter().map(|value| value - 0.125).collect();
        write(&path, &[a, b]).unwrap();
        let read = read(&path, 2).unwrap();
        assert!(super::read(&path, 3).is_err());
        let (one, other) = (line("one", 0.75, 40), line("other", 0.625, 40));
        let found = difference((&one, &read[0]), (&other, &read[1])).unwrap();
        assert_eq!((found.mean, found.low, found.high), (0.125, 0.125, 0.125));
        let fewer = line("other", 0.625, 39);
        assert!(difference((&one, &read[0]), (&fewer, &read[1])).is_err());
    }

    #[test]
    fn a_difference_is_paired() {
        let brands = 30;
        let a: Vec<EpisodeRow> = (0..120)
            .map(|e| {
                episode(
                    e,
                    e % brands,
                    f64::from(e * 7 % 31) / 31.0 + 0.01 * f64::from(e % 3),
                )
            })
            .collect();
        let b: Vec<EpisodeRow> = a
            .iter()
            .map(|r| episode(r.episode, r.brand, r.map - 0.05))
            .collect();
        let shuffled: Vec<EpisodeRow> = b.iter().rev().cloned().collect();
        let d = paired_difference(&a, &shuffled, "paper", 1, "map", 3).unwrap();
        assert!((d.mean - 0.05).abs() < 1e-12);
        assert!(
            (d.low - 0.05).abs() < 1e-9 && (d.high - 0.05).abs() < 1e-9,
            "{d:?}"
        );
        assert_eq!(
            paired_difference(&a, &a, "paper", 1, "f1", 3).unwrap().mean,
            0.0
        );
    }

    #[test]
    fn episodes_that_differ_cannot_be_paired() {
        let a = [episode(0, 1, 0.5), episode(1, 2, 0.5)];
        let other_brand = [episode(0, 1, 0.5), episode(1, 3, 0.5)];
        let error = |b: &[EpisodeRow], protocol, metric| {
            paired_difference(&a, b, protocol, 1, metric, 3)
                .unwrap_err()
                .to_string()
        };
        assert!(error(&other_brand, "paper", "map").contains("same 1-shot episodes"));
        assert!(error(&a[..1], "paper", "map").contains("same 1-shot episodes"));
        assert!(error(&a, "paper_oracle", "f1").contains("no 1-shot episodes"));
        assert!(error(&a, "paper", "trace_ratio").contains("no per-episode metric"));
    }

    #[test]
    fn a_ranking_metric_needs_no_transferred_threshold() {
        let a = [episode(0, 1, 0.5), episode(1, 2, 0.75)];
        let mut b = a.clone();
        for row in &mut b {
            row.protocol = "paper_oracle".to_owned();
            row.map -= 0.25;
        }
        assert_eq!(
            paired_difference(&a, &b, "paper", 1, "map", 3)
                .unwrap()
                .mean,
            0.25
        );
        assert!(paired_difference(&a, &b, "paper", 1, "f1", 3).is_err());
    }
}
