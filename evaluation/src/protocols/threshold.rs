//! The decision threshold τ: pooled F1 on a grid from 0 to 2, first best.

use crate::metrics::per_episode::Decisions;
use crate::protocols::score::Scores;

/// Steps of the grid per unit of distance.
const PER_UNIT: usize = 100;
/// Grid points: 0, 0.01, …, 2. A prototype lies in the unit ball, so no distance exceeds 2.
pub const GRID: usize = 2 * PER_UNIT + 1;

/// A chosen threshold and how F1 runs over the grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// The first threshold with the highest pooled F1.
    pub tau: f64,
    /// Pooled F1 at each grid point, `[GRID]`.
    pub f1: Vec<f64>,
}

/// The grid point `i`: i / 100, correctly rounded (no accumulated steps).
pub fn grid(i: usize) -> f64 {
    i as f64 / PER_UNIT as f64
}

/// Pools the distances of all episodes, predicts positive when d ≤ τ, and takes the first τ with the highest F1.
pub fn choose(episodes: &[Scores]) -> Chosen {
    let taus: Vec<f64> = (0..GRID).map(grid).collect();
    // accepted[i] counts what grid point i is the first to accept; the last cell what none accepts.
    let mut accepted = vec![[0u64; 2]; GRID + 1];
    for episode in episodes {
        for (&distance, &positive) in episode.distances.iter().zip(&episode.positive) {
            let first = taus.partition_point(|&tau| tau < distance);
            accepted[first][usize::from(positive)] += 1;
        }
    }
    let total = |label: usize| accepted.iter().map(|n| n[label]).sum::<u64>();
    let (negatives, positives) = (total(0), total(1));
    let mut counts = Decisions::default();
    let f1: Vec<f64> = accepted[..GRID]
        .iter()
        .map(|[fp, tp]| {
            counts.false_positives += fp;
            counts.true_positives += tp;
            counts.false_negatives = positives - counts.true_positives;
            counts.true_negatives = negatives - counts.false_positives;
            counts.f1()
        })
        .collect();
    let mut best = 0;
    for (i, value) in f1.iter().enumerate() {
        if *value > f1[best] {
            best = i;
        }
    }
    Chosen {
        tau: grid(best),
        f1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(distances: &[f64], positive: &[bool]) -> Scores {
        Scores {
            distances: distances.to_vec(),
            similarities: vec![0.0; distances.len()],
            positive: positive.to_vec(),
        }
    }

    #[test]
    fn the_curve_equals_counting_at_every_grid_point() {
        let episodes = [
            scores(
                &[0.0, 0.29, 0.291, 1.3, 2.0],
                &[true, true, false, true, false],
            ),
            scores(&[0.57, 0.58, 0.5800001, 1.99], &[false, true, true, false]),
        ];
        let pooled: Vec<(f64, bool)> = episodes
            .iter()
            .flat_map(|e| e.distances.iter().copied().zip(e.positive.iter().copied()))
            .collect();
        let (distances, positive): (Vec<f64>, Vec<bool>) = pooled.into_iter().unzip();
        let chosen = choose(&episodes);
        let brute: Vec<f64> = (0..GRID)
            .map(|i| Decisions::at(grid(i), &distances, &positive).f1())
            .collect();
        assert_eq!(chosen.f1, brute);
        let best = brute.iter().copied().fold(0.0, f64::max);
        assert_eq!(
            chosen.tau,
            grid(brute.iter().position(|&f| f == best).unwrap())
        );
    }

    #[test]
    fn the_first_of_equal_thresholds_wins() {
        let chosen = choose(&[scores(&[0.101, 1.0], &[true, false])]);
        assert_eq!(chosen.tau, 0.11);
        assert_eq!(chosen.f1[11], 1.0);
        assert_eq!(chosen.f1[99], 1.0);
        assert!(
            chosen.f1[100] < 1.0,
            "d ≤ τ accepts the distance 1 at τ = 1"
        );
        assert_eq!(chosen.f1[10], 0.0);
    }
}
