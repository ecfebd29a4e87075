//! Scores of an episode's queries against its prototype, and what a threshold makes of them.

use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::{EpisodeRow, SimilarityHistogram};
use rayon::prelude::*;

use crate::embeddings::fold_index::FoldIndex;
use crate::embeddings::prototypes::prototype;
use crate::metrics::per_episode::{Decisions, average_precision, ranked, recall_at_precision};
use crate::protocols::episode::Episode;
use logodex_embeddings::unit_vectors::UnitVectors;
use logodex_embeddings::unit_vectors::norm;

/// Bins of a similarity histogram, from −1 to 1.
pub const BINS: usize = 40;

/// One episode's scores, each in the order of its queries.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Euclidean distance of each query to the prototype, 0 to 2.
    pub distances: Vec<f64>,
    /// Cosine similarity of each query and the prototype, −1 to 1; 0 where supports cancel out to a zero prototype.
    pub similarities: Vec<f64>,
    /// Whether each query shows the support brand.
    pub positive: Vec<bool>,
}

impl Scores {
    /// Each query's distance and whether it is a positive.
    pub fn labelled(&self) -> impl Iterator<Item = (f64, bool)> {
        let distances = self.distances.iter().copied();
        distances.zip(self.positive.iter().copied())
    }

    /// The same queries by 1 − cosine similarity, 0 to 2: what protocol `paper_cosine` thresholds. Below 1e-12 it is 0:
    /// equal directions are at no distance, whatever their last bits.
    pub fn by_cosine(&self) -> Self {
        let distance = |similarity: &f64| match 1.0 - similarity {
            distance if distance < 1e-12 => 0.0,
            distance => distance,
        };
        Self {
            distances: self.similarities.iter().map(distance).collect(),
            ..self.clone()
        }
    }
}

/// Scores every episode: the prototype is the mean of the L2-normalised supports, not normalised again.
pub fn score(vectors: &UnitVectors, episodes: &[Episode]) -> Vec<Scores> {
    episodes
        .par_iter()
        .map(|episode| score_one(vectors, episode))
        .collect()
}

fn score_one(vectors: &UnitVectors, episode: &Episode) -> Scores {
    let prototype = prototype(vectors, &episode.supports);
    let norm = norm(&prototype);
    let (distances, similarities) = episode
        .queries
        .iter()
        .map(|query| {
            let (mut squared, mut dot, mut length) = (0.0, 0.0, 0.0);
            for (&p, &q) in prototype.iter().zip(vectors.get(query.position)) {
                let q = f64::from(q);
                squared += (p - q) * (p - q);
                dot += p * q;
                length += q * q;
            }
            let similarity = if norm > 0.0 {
                dot / (norm * length.sqrt())
            } else {
                0.0
            };
            (squared.sqrt(), similarity.clamp(-1.0, 1.0))
        })
        .unzip();
    Scores {
        distances,
        similarities,
        positive: episode.queries.iter().map(|q| q.positive).collect(),
    }
}

/// The lines of `episodes.csv` under one protocol: every episode judged with the threshold `tau`.
pub fn judge(
    region: Region,
    protocol: &str,
    shots: u32,
    tau: f64,
    fold: &FoldIndex,
    episodes: &[Episode],
    scores: &[Scores],
) -> Vec<EpisodeRow> {
    (0u32..)
        .zip(episodes.iter().zip(scores))
        .map(|(number, (episode, scores))| {
            let counts = Decisions::at(tau, &scores.distances, &scores.positive);
            let order = ranked(&scores.distances, &scores.positive);
            EpisodeRow {
                protocol: protocol.to_owned(),
                shots,
                episode: number,
                brand: fold.brands[episode.brand].index,
                accuracy: counts.accuracy(),
                precision: counts.precision(),
                recall: counts.recall(),
                f1: counts.f1(),
                r_at_95p: recall_at_precision(&order, 0.95),
                map: average_precision(&order),
                region,
            }
        })
        .collect()
}

/// Counts similarities in [`BINS`] equal bins from −1 to 1, the last one closed.
pub fn histogram(region: Region, shots: u32, scores: &[Scores]) -> SimilarityHistogram {
    let mut bins = [vec![0u64; BINS], vec![0u64; BINS]];
    for episode in scores {
        for (&similarity, &positive) in episode.similarities.iter().zip(&episode.positive) {
            let bin = ((similarity + 1.0) / 2.0 * BINS as f64) as usize;
            bins[usize::from(positive)][bin.min(BINS - 1)] += 1;
        }
    }
    let [negatives, positives] = bins;
    SimilarityHistogram {
        region,
        shots,
        positives,
        negatives,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::episode::Query;

    fn vectors(rows: &[[f32; 2]]) -> UnitVectors {
        let mut vectors = UnitVectors::zeros(rows.len(), 2);
        for (i, row) in rows.iter().enumerate() {
            vectors.set(i, row);
        }
        vectors
    }

    fn episode(supports: &[usize], queries: &[(usize, bool)]) -> Episode {
        Episode {
            brand: 0,
            supports: supports.to_vec(),
            queries: queries
                .iter()
                .map(|&(position, positive)| Query { position, positive })
                .collect(),
        }
    }

    #[test]
    fn the_prototype_is_a_mean_that_is_not_normalised_again() {
        let vectors = vectors(&[[3.0, 0.0], [0.0, 0.5], [7.0, 0.0], [-1.0, 0.0]]);
        let scores = &score(&vectors, &[episode(&[0, 1], &[(2, true), (3, false)])])[0];
        // Prototype (½, ½): √½ from (1, 0) and √2.5 from (−1, 0).
        assert!((scores.distances[0] - 0.5f64.sqrt()).abs() < 1e-12);
        assert!((scores.distances[1] - 2.5f64.sqrt()).abs() < 1e-12);
        assert!((scores.similarities[0] - 0.5f64.sqrt()).abs() < 1e-12);
        assert_eq!(scores.positive, [true, false]);
    }

    #[test]
    fn supports_that_cancel_out_give_no_undefined_similarity() {
        let vectors = vectors(&[[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]);
        let scores = &score(&vectors, &[episode(&[0, 1], &[(2, true)])])[0];
        assert_eq!((scores.distances[0], scores.similarities[0]), (1.0, 0.0));
    }

    #[test]
    fn the_ends_of_the_histogram_are_inside() {
        let scores = Scores {
            distances: vec![0.0; 4],
            similarities: vec![-1.0, 1.0, 0.0, 0.999],
            positive: vec![false, true, true, true],
        };
        let histogram = histogram(Region::Image, 1, &[scores]);
        assert_eq!(histogram.negatives[0], 1);
        assert_eq!(
            (histogram.positives[BINS - 1], histogram.positives[BINS / 2]),
            (2, 1)
        );
        assert_eq!(histogram.positives.iter().sum::<u64>(), 3);
    }
}
