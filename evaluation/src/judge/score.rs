//! Scores of an episode's queries against its prototype, and what a threshold makes of them.

use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::{EpisodeRow, SimilarityHistogram};
use rayon::prelude::*;

use crate::judge::episode::Episode;
use crate::judge::metrics::{Confusion, average_precision, ranked, recall_at_precision};
use crate::judge::roster::{Roster, UnitVectors};
use crate::judge::similarity::{Panels, TILE};

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

/// The prototypes of one episode, to be compared with many queries.
#[derive(Debug, Clone, PartialEq)]
pub struct Prototypes {
    /// Each `[D]`.
    means: Vec<Vec<f64>>,
    /// Length of each, at most 1.
    norms: Vec<f64>,
    /// Their directions; zero where supports cancel out.
    panels: Panels,
}

/// The prototype of each list of supports.
pub fn prototypes(vectors: &UnitVectors, supports: &[&[usize]]) -> Prototypes {
    let mut directions = UnitVectors::zeros(supports.len(), vectors.dim());
    let means: Vec<Vec<f64>> = supports.iter().map(|s| prototype(vectors, s)).collect();
    let norms: Vec<f64> = means.iter().map(|mean| norm(mean)).collect();
    for (place, (mean, &norm)) in means.iter().zip(&norms).enumerate() {
        if norm > 0.0 {
            directions.set_unit(place, mean.iter().map(|x| x / norm));
        }
    }
    let all: Vec<usize> = (0..supports.len()).collect();
    Prototypes {
        means,
        norms,
        panels: Panels::pack(&directions, &all),
    }
}

impl Prototypes {
    /// Hands each query and its cosine similarities to all prototypes, `[P]`, to `take`, in the order of the queries.
    pub fn each(
        &self,
        vectors: &UnitVectors,
        queries: &[usize],
        mut take: impl FnMut(usize, &[f32]),
    ) {
        let mut out = std::array::from_fn(|_| Vec::new());
        for tile in queries.chunks(TILE) {
            let asked = std::array::from_fn(|i| vectors.get(tile[i.min(tile.len() - 1)]));
            self.panels
                .products(&asked, 0..self.panels.panels(), &mut out);
            for (&query, row) in tile.iter().zip(&out) {
                take(query, &row[..self.norms.len()]);
            }
        }
    }

    /// The place of the prototype nearest to `query` `[D]` by Euclidean distance, in f64, the first of equals; given the
    /// query's cosine similarities to all, `[P]`. 0 when there is no prototype.
    pub fn nearest(&self, query: &[f32], similarities: &[f32]) -> usize {
        // ‖q − p‖² less ‖q‖², which all have in common. An f32 sum of D products of two unit vectors errs by D times half
        // the machine epsilon at most, and the direction's own rounding makes one more of these.
        let rough = similarities.iter().zip(&self.norms);
        let rough: Vec<f64> = rough.map(|(&s, p)| p * (p - 2.0 * f64::from(s))).collect();
        let error = (query.len() as f64 + 2.0) * f64::from(f32::EPSILON);
        let least = rough.iter().copied().fold(f64::INFINITY, f64::min);
        let mut best = (0, f64::INFINITY);
        for (place, _) in (0..)
            .zip(&rough)
            .filter(|(_, r)| **r <= least + 2.0 * error)
        {
            let mean: &[f64] = &self.means[place];
            let gaps = query.iter().zip(mean).map(|(&q, p)| f64::from(q) - p);
            let distance: f64 = gaps.map(|gap| gap * gap).sum();
            if distance < best.1 {
                best = (place, distance);
            }
        }
        best.0
    }
}

/// The mean of the L2-normalised supports, not normalised again, `[D]`.
fn prototype(vectors: &UnitVectors, supports: &[usize]) -> Vec<f64> {
    let mut prototype = vec![0f64; vectors.dim()];
    for &support in supports {
        for (sum, &x) in prototype.iter_mut().zip(vectors.get(support)) {
            *sum += f64::from(x);
        }
    }
    for value in &mut prototype {
        *value /= supports.len() as f64;
    }
    prototype
}

fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
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
    roster: &Roster,
    episodes: &[Episode],
    scores: &[Scores],
) -> Vec<EpisodeRow> {
    (0u32..)
        .zip(episodes.iter().zip(scores))
        .map(|(number, (episode, scores))| {
            let counts = Confusion::at(tau, &scores.distances, &scores.positive);
            let order = ranked(&scores.distances, &scores.positive);
            EpisodeRow {
                protocol: protocol.to_owned(),
                shots,
                episode: number,
                brand: roster.brands[episode.brand].index,
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
    use crate::judge::episode::Query;
    use logodex_schemas::random::stream;
    use rand::Rng;

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
    fn the_nearest_of_prototypes_that_are_all_but_equal_is_that_of_f64() {
        let mut rng = stream(7, "nearest", &[]);
        let (n, dim) = (120, 512);
        let base: Vec<f32> = (0..dim).map(|_| rng.random_range(-1.0..1.0)).collect();
        let mut vectors = UnitVectors::zeros(n, dim);
        for i in 0..n {
            let moved: Vec<f32> = base
                .iter()
                .map(|x| x + rng.random_range(-1e-3..1e-3))
                .collect();
            vectors.set(i, &moved);
        }
        let supports: Vec<Vec<usize>> = (0..n / 2).map(|i| vec![i, i + 1]).collect();
        let supports: Vec<&[usize]> = supports.iter().map(Vec::as_slice).collect();
        let prototypes = prototypes(&vectors, &supports);
        let queries: Vec<usize> = (n / 2 + 1..n).collect();
        let (mut asked, mut by_f32) = (vec![], 0);
        prototypes.each(&vectors, &queries, |position, similarities| {
            asked.push(position);
            let query = vectors.get(position);
            let first = |distances: Vec<f64>| {
                let all = distances.into_iter().enumerate();
                all.reduce(|a, b| if b.1 < a.1 { b } else { a }).unwrap().0
            };
            let distance = |s: &&[usize]| -> f64 {
                let gaps = query.iter().zip(prototype(&vectors, s));
                gaps.map(|(&q, p)| (f64::from(q) - p).powi(2)).sum()
            };
            let truth = first(supports.iter().map(distance).collect());
            assert_eq!(prototypes.nearest(query, similarities), truth);
            let rough = similarities.iter().zip(&prototypes.norms);
            let rough = rough.map(|(&s, p)| p * (p - 2.0 * f64::from(s))).collect();
            by_f32 += usize::from(first(rough) == truth);
        });
        assert_eq!(asked, queries);
        assert!(by_f32 < queries.len(), "f32 alone would have done");
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
