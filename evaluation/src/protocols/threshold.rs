//! The decision threshold τ: the lowest with the highest F1 over the queries of all episodes together; on a grid from 0
//! to 2, as the paper has it, or anywhere between two distances.

use crate::metrics::per_episode::Decisions;
use crate::protocols::score::Scores;

/// Steps of the grid per unit of distance.
const PER_UNIT: usize = 100;
/// Grid points: 0, 0.01, …, 2. A prototype lies in the unit ball, so no distance exceeds 2.
pub const GRID: usize = 2 * PER_UNIT + 1;

/// Distances that differ by no more are equal but for rounding, and no threshold comes between them.
const EQUAL: f64 = 1e-12;

/// Where a threshold may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidates {
    /// On the grid: the paper's.
    Grid,
    /// Halfway between any two neighbours of the sorted distances. A cosine distance goes with the square of a Euclidean
    /// one, so that a collapsed or a very good model has most of its distances below the first step of a grid.
    Distances,
}

/// A chosen threshold and how F1 runs over the grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// The lowest threshold with the highest pooled F1.
    pub tau: f64,
    /// Pooled F1 at each grid point, `[GRID]`.
    pub f1: Vec<f64>,
}

/// The grid point `i`: i / 100, correctly rounded (no accumulated steps).
pub fn grid(i: usize) -> f64 {
    i as f64 / PER_UNIT as f64
}

/// Pools the distances of all episodes, predicts positive when d ≤ τ, and takes the lowest τ with the highest F1.
pub fn choose(episodes: &[Scores], candidates: Candidates) -> Chosen {
    let f1 = f1_over_grid(episodes);
    let tau = match candidates {
        Candidates::Grid => grid(first_best(&f1)),
        Candidates::Distances => among_distances(episodes),
    };
    Chosen { tau, f1 }
}

fn first_best(f1: &[f64]) -> usize {
    let mut best = 0;
    for (i, value) in f1.iter().enumerate() {
        if *value > f1[best] {
            best = i;
        }
    }
    best
}

/// Halfway between the farthest distance that is best accepted and the next one, or that distance where none follows.
fn among_distances(episodes: &[Scores]) -> f64 {
    let mut pooled: Vec<(f64, bool)> = episodes.iter().flat_map(Scores::labelled).collect();
    pooled.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = pooled.iter().filter(|(_, positive)| *positive).count() as u64;
    let mut counts = Decisions {
        false_negatives: positives,
        true_negatives: pooled.len() as u64 - positives,
        ..Decisions::default()
    };
    let (mut accepted, mut ends, mut f1) = (0, Vec::new(), Vec::new());
    for ties in pooled.chunk_by(|a, b| b.0 - a.0 <= EQUAL) {
        let hits = ties.iter().filter(|(_, positive)| *positive).count() as u64;
        let misses = ties.len() as u64 - hits;
        counts.true_positives += hits;
        counts.false_negatives -= hits;
        counts.false_positives += misses;
        counts.true_negatives -= misses;
        accepted += ties.len();
        ends.push(accepted);
        f1.push(counts.f1());
    }
    let Some(&end) = ends.get(first_best(&f1)) else {
        return 0.0;
    };
    let last = pooled[end - 1].0;
    pooled
        .get(end)
        .map_or(last, |(next, _)| f64::midpoint(last, *next))
}

/// Pooled F1 at every point of the grid.
fn f1_over_grid(episodes: &[Scores]) -> Vec<f64> {
    let taus: Vec<f64> = (0..GRID).map(grid).collect();
    // accepted[i] counts what grid point i is the first to accept; the last cell what none accepts.
    let mut accepted = vec![[0u64; 2]; GRID + 1];
    for episode in episodes {
        for (distance, positive) in episode.labelled() {
            let first = taus.partition_point(|&tau| tau < distance);
            accepted[first][usize::from(positive)] += 1;
        }
    }
    let total = |label: usize| accepted.iter().map(|n| n[label]).sum::<u64>();
    let (negatives, positives) = (total(0), total(1));
    let mut counts = Decisions::default();
    accepted[..GRID]
        .iter()
        .map(|[fp, tp]| {
            counts.false_positives += fp;
            counts.true_positives += tp;
            counts.false_negatives = positives - counts.true_positives;
            counts.true_negatives = negatives - counts.false_positives;
            counts.f1()
        })
        .collect()
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
        let chosen = choose(&episodes, Candidates::Grid);
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
        let chosen = choose(&[scores(&[0.101, 1.0], &[true, false])], Candidates::Grid);
        assert_eq!(chosen.tau, 0.11);
        assert_eq!(chosen.f1[11], 1.0);
        assert_eq!(chosen.f1[99], 1.0);
        assert!(
            chosen.f1[100] < 1.0,
            "d ≤ τ accepts the distance 1 at τ = 1"
        );
        assert_eq!(chosen.f1[10], 0.0);
    }

    #[test]
    fn a_threshold_among_the_distances_is_the_best_there_is() {
        let tau = |distances: &[f64], positive: &[bool]| {
            let halves = distances.len() / 2;
            let episodes = [
                scores(&distances[..halves], &positive[..halves]),
                scores(&distances[halves..], &positive[halves..]),
            ];
            choose(&episodes, Candidates::Distances).tau
        };
        // All below the first step of the grid.
        assert_eq!(
            tau(&[0.004, 0.001, 0.002, 0.008], &[false, true, true, false]),
            0.003
        );
        // Equal distances are accepted together: with 0.25 come its negatives.
        let (distances, positive) = ([0.25, 0.5, 0.25, 0.25], [false, true, false, true]);
        assert_eq!(tau(&distances, &positive), 0.5);
        // The lowest of equals, and nothing beyond the last.
        assert_eq!(tau(&[0.5, 0.5], &[true, true]), 0.5);
        assert_eq!(
            tau(&[0.25, 0.5, 0.75, 1.0], &[true, false, false, true]),
            0.375
        );

        let mut rng = logodex_schemas::random::stream(1, "distances", &[]);
        let distances: Vec<f64> = (0..400)
            .map(|_| rand::Rng::random_range(&mut rng, 0.0..0.02))
            .collect();
        let positive: Vec<bool> = distances
            .iter()
            .map(|d| rand::Rng::random_range(&mut rng, 0.0..0.02) > *d)
            .collect();
        let f1 = |tau| Decisions::at(tau, &distances, &positive).f1();
        let best = distances.iter().map(|d| f1(*d)).fold(0.0, f64::max);
        let lowest = distances.iter().copied().filter(|d| f1(*d) == best);
        let lowest = lowest.fold(f64::INFINITY, f64::min);
        let chosen = tau(&distances, &positive);
        assert_eq!(f1(chosen), best);
        assert!(chosen >= lowest && distances.iter().all(|d| *d <= lowest || *d > chosen));
        assert!(best > f1(0.01) && best > f1(0.02), "the grid had less");
    }
}
