//! Prototypes: the mean of some supports, which queries are compared with.

use logodex_embeddings::similarity::{Panels, TILE};
use logodex_embeddings::unit_vectors::{UnitVectors, mean, norm};

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
        let mut out: [Vec<f32>; TILE] = std::array::from_fn(|_| Vec::new());
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
pub(crate) fn prototype(vectors: &UnitVectors, supports: &[usize]) -> Vec<f64> {
    mean(
        vectors.dim(),
        supports.iter().map(|&support| vectors.get(support)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use logodex_schemas::random::stream;
    use rand::Rng;

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
}
