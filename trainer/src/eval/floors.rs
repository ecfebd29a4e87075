//! The floors of the protocol, printed beside every result so that nobody is fooled: a model that knows nothing, and
//! one that rejects everything. Neither depends on the model that is judged.

use logodex_schemas::evaluation::EvaluationRow;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::eval::bootstrap::Interval;
use crate::eval::metrics::Metric;
use crate::eval::roster::{Roster, UnitVectors};
use crate::eval::{PAPER, PAPER_ORACLE, Round, evaluation_row};
use crate::random::stream;

/// Name of the floor of Gaussian embeddings.
pub const RANDOM: &str = "random";
/// Name of the floor that accepts nothing.
pub const REJECT_ALL: &str = "reject_all";
/// Size of the random embeddings.
pub const RANDOM_DIM: usize = 128;

/// A Gaussian vector per row, derived from (seed, dataset row), L2-normalised.
pub fn random_vectors(seed: u64, roster: &Roster) -> UnitVectors {
    let mut vectors = UnitVectors::zeros(roster.len(), RANDOM_DIM);
    for (position, &row) in roster.rows.iter().enumerate() {
        let mut rng = stream(seed, "random floor", &[row.cast_unsigned()]);
        let vector: Vec<f32> = (0..RANDOM_DIM).map(|_| gaussian(&mut rng) as f32).collect();
        vectors.set(position, &vector);
    }
    vectors
}

/// The floor that accepts nothing: right about every negative, and no more.
pub(super) fn reject_all(round: &Round) -> Vec<EvaluationRow> {
    let accuracy: Vec<f64> = round
        .test
        .iter()
        .map(|e| e.queries.iter().filter(|q| !q.positive).count() as f64 / e.queries.len() as f64)
        .collect();
    let zero = Interval {
        mean: 0.0,
        low: 0.0,
        high: 0.0,
    };
    [PAPER, PAPER_ORACLE]
        .into_iter()
        .flat_map(|protocol| Metric::THRESHOLDED.map(|metric| (protocol, metric)))
        .filter_map(|(protocol, metric)| {
            let value = match metric {
                Metric::Accuracy => round.by_brand.mean(&accuracy, &round.resamples)?,
                _ => zero,
            };
            Some(evaluation_row(
                REJECT_ALL,
                protocol,
                round.shots,
                metric.name(),
                value,
            ))
        })
        .collect()
}

/// A standard normal number, by ratio of uniforms (Kinderman & Monahan 1977). The logarithm only accepts or rejects,
/// so the numbers do not carry the last bits of a platform's libm, as Box and Muller's would.
fn gaussian(rng: &mut ChaCha8Rng) -> f64 {
    /// √(2 / e): half the height of the region.
    const HALF_HEIGHT: f64 = 0.857_763_884_960_706_8;
    loop {
        let u: f64 = 1.0 - rng.random::<f64>(); // (0, 1]
        let x = rng.random_range(-HALF_HEIGHT..HALF_HEIGHT) / u;
        if x * x <= -4.0 * u.ln() {
            return x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_standard_normal() {
        let mut rng = stream(1, "gaussian", &[]);
        let numbers: Vec<f64> = (0..200_000).map(|_| gaussian(&mut rng)).collect();
        let moment = |k: i32| numbers.iter().map(|x| x.powi(k)).sum::<f64>() / numbers.len() as f64;
        assert!(moment(1).abs() < 0.01, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.015, "{}", moment(2));
        assert!(moment(3).abs() < 0.03, "{}", moment(3));
        assert!((moment(4) - 3.0).abs() < 0.1, "{}", moment(4));
    }
}
