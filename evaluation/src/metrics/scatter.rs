//! The two quantities that the paper calls J, over all L2-normalised test embeddings and independent of episodes.
//!
//! `trace_ratio` is what its Table 5 holds, `distance_ratio` what its text defines. Both are kept as sufficient
//! statistics per brand (and pair of brands), so that a bootstrap over brands costs no second pass over embeddings.

use rayon::prelude::*;

use crate::embeddings::fold_index::{BrandRange, FoldIndex};
use logodex_embeddings::unit_vectors::{LANES, UnitVectors};

/// Below this mean squared (trace) or plain (distance) spread within brands, embeddings of a brand are equal up to the
/// rounding of f32 and the ratio says nothing.
const NO_SPREAD: f64 = 1e-6;

/// Sufficient statistics of both ratios for B brands.
#[derive(Debug, Clone, PartialEq)]
pub struct Scatter {
    /// Embeddings per brand, `[B]`.
    sizes: Vec<f64>,
    /// Σ ‖x − μ_c‖² per brand, `[B]`.
    within: Vec<f64>,
    /// n_c ‖μ_c − μ‖² per brand, `[B]`.
    between: Vec<f64>,
    /// Sum of distances over all pairs of two brands, `[B, B]`, filled for a ≤ b; on the diagonal each pair once.
    distances: Vec<f64>,
}

impl Scatter {
    /// Computes the statistics: exact, N²·D/2 multiplications.
    pub fn new(fold: &FoldIndex, vectors: &UnitVectors) -> Self {
        let means = brand_means(fold, vectors);
        let sizes: Vec<f64> = fold.brands.iter().map(|b| b.len() as f64).collect();
        let overall = weighted_mean(&means, &sizes);
        Self {
            within: fold
                .brands
                .par_iter()
                .zip(&means)
                .map(|(brand, mean)| {
                    let squared =
                        |p| squared_distance(vectors.get(p).iter().map(|&x| x.into()), mean);
                    brand.positions().map(squared).sum()
                })
                .collect(),
            between: means
                .iter()
                .zip(&sizes)
                .map(|(mean, n)| n * squared_distance(mean.iter().copied(), &overall))
                .collect(),
            distances: fold
                .brands
                .par_iter()
                .flat_map_iter(|brand| distance_sums(fold, vectors, brand))
                .collect(),
            sizes,
        }
    }

    /// Number of brands.
    pub fn brands(&self) -> usize {
        self.sizes.len()
    }

    /// Tr(S_b) / Tr(S_w), S_b = Σ_c n_c (μ_c − μ)(μ_c − μ)ᵀ and S_w = Σ_c Σ_x (x − μ_c)(x − μ_c)ᵀ, where brand c
    /// occurs `weights[c]` times. None when embeddings do not spread within their brands.
    ///
    /// μ stays the mean of all embeddings: taken anew from each resample it would follow the brands that happen to be
    /// in it and shrink S_b by (B − 1) / B, and the interval would lie below the value that it belongs to.
    pub fn trace_ratio(&self, weights: &[u32]) -> Option<f64> {
        let total: f64 = self.weighted_sizes(weights).iter().sum();
        let sum = |parts: &[f64]| -> f64 {
            parts
                .iter()
                .zip(weights)
                .map(|(s, &w)| s * f64::from(w))
                .sum()
        };
        let within = sum(&self.within);
        (within > NO_SPREAD * NO_SPREAD * total).then(|| sum(&self.between) / within)
    }

    /// Mean Euclidean distance of pairs of different brands / mean distance of pairs of the same brand, where brand c
    /// occurs `weights[c]` times; a brand and its copy in a resample form no pair. None without a pair of either
    /// kind, or when embeddings do not spread within their brands.
    pub fn distance_ratio(&self, weights: &[u32]) -> Option<f64> {
        let b = self.brands();
        let weighted = self.weighted_sizes(weights);
        let (mut positive, mut positives) = (0.0, 0.0);
        let (mut negative, mut negatives) = (0.0, 0.0);
        for (row, &w) in weights.iter().enumerate().filter(|(_, w)| **w > 0) {
            let (w, n) = (f64::from(w), self.sizes[row]);
            let sums = &self.distances[row * b..(row + 1) * b];
            positive += w * sums[row];
            positives += w * n * (n - 1.0) / 2.0;
            negative += w * sums[row + 1..]
                .iter()
                .zip(&weights[row + 1..])
                .map(|(s, &v)| s * f64::from(v))
                .sum::<f64>();
            negatives += weighted[row] * weighted[row + 1..].iter().sum::<f64>();
        }
        let positive = positive / positives;
        // Also false for the NaN of 0/0.
        (positive > NO_SPREAD && negatives > 0.0).then(|| negative / negatives / positive)
    }

    fn weighted_sizes(&self, weights: &[u32]) -> Vec<f64> {
        self.sizes
            .iter()
            .zip(weights)
            .map(|(n, &w)| n * f64::from(w))
            .collect()
    }
}

/// The mean of each brand's vectors, `[B][D]`.
fn brand_means(fold: &FoldIndex, vectors: &UnitVectors) -> Vec<Vec<f64>> {
    fold.brands
        .par_iter()
        .map(|brand| {
            let mut mean = vec![0.0; vectors.dim()];
            for position in brand.positions() {
                for (sum, &x) in mean.iter_mut().zip(vectors.get(position)) {
                    *sum += f64::from(x);
                }
            }
            mean.iter_mut().for_each(|sum| *sum /= brand.len() as f64);
            mean
        })
        .collect()
}

/// The mean of all vectors, `[D]`, from those of the brands.
fn weighted_mean(means: &[Vec<f64>], sizes: &[f64]) -> Vec<f64> {
    let total: f64 = sizes.iter().sum();
    (0..means[0].len())
        .map(|d| {
            means
                .iter()
                .zip(sizes)
                .map(|(mean, n)| mean[d] * n)
                .sum::<f64>()
                / total
        })
        .collect()
}

fn squared_distance(x: impl Iterator<Item = f64>, mean: &[f64]) -> f64 {
    x.zip(mean).map(|(x, m)| (x - m) * (x - m)).sum()
}

/// Rows of a brand that one pass over another row serves.
const TILE: usize = 4;

/// Sums of distances from a brand's rows to the rows of each brand from itself on, `[B]`.
///
/// The brand's rows (some hundred KB) stay in the cache while every later row passes by once.
fn distance_sums(fold: &FoldIndex, vectors: &UnitVectors, brand: &BrandRange) -> Vec<f64> {
    let own: Vec<usize> = brand.positions().collect();
    fold.brands
        .iter()
        .map(|other| {
            if other.first < brand.first {
                return 0.0;
            }
            let mut sum = 0.0;
            for position in other.positions() {
                // Within the brand each pair once: the rows before this one. Position order is the row order.
                let rows = match other.first == brand.first {
                    true => &own[..position - brand.first],
                    false => &own[..],
                };
                let (tiles, rest) = rows.as_chunks::<TILE>();
                for tile in tiles {
                    let squared = squared_distances(
                        tile.map(|p| vectors.chunks(p)),
                        vectors.chunks(position),
                    );
                    sum += squared.iter().map(|&s| f64::from(s).sqrt()).sum::<f64>();
                }
                for &p in rest {
                    let [squared] =
                        squared_distances([vectors.chunks(p)], vectors.chunks(position));
                    sum += f64::from(squared).sqrt();
                }
            }
            sum
        })
        .collect()
}

/// ‖aᵢ − b‖² in f32, [`LANES`] independent sums each: differences first, so that near vectors do not cancel.
fn squared_distances<const N: usize>(a: [&[[f32; LANES]]; N], b: &[[f32; LANES]]) -> [f32; N] {
    let a = a.map(|a| &a[..b.len()]);
    let mut sums = [[0f32; LANES]; N];
    for (k, b) in b.iter().enumerate() {
        for i in 0..N {
            for lane in 0..LANES {
                let difference = a[i][k][lane] - b[lane];
                sums[i][lane] += difference * difference;
            }
        }
    }
    sums.map(|lanes| lanes.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use logodex_embeddings::set::EmbeddingSet;
    use logodex_schemas::random::stream;
    use rand::Rng;

    /// Brands of 3, 4, …: brand b lies around its own point.
    fn example(brands: usize, dim: usize) -> (FoldIndex, UnitVectors) {
        let mut rng = stream(1, "scatter", &[]);
        let mut set = EmbeddingSet {
            dim,
            embeddings: vec![],
            brand: vec![],
            row: vec![],
        };
        for b in 0..brands {
            let centre: Vec<f32> = (0..dim).map(|_| rng.random_range(-1.0..1.0)).collect();
            for _ in 0..3 + b {
                set.embeddings
                    .extend(centre.iter().map(|c| c + rng.random_range(-0.5f32..0.5)));
                set.brand.push(b as i64);
                set.row.push(set.row.len() as i64);
            }
        }
        let fold = FoldIndex::new(&set, &|row| row).unwrap();
        let vectors = fold.unit_vectors(&set);
        (fold, vectors)
    }

    /// Both ratios by their definitions, each brand repeated `weights` times as a class of its own, around the
    /// mean of all embeddings; copies of one brand form no negative pair.
    fn by_definition(fold: &FoldIndex, vectors: &UnitVectors, weights: &[u32]) -> (f64, f64) {
        let mut classes: Vec<(usize, Vec<Vec<f64>>)> = Vec::new();
        for (b, brand) in fold.brands.iter().enumerate() {
            for _ in 0..weights[b] {
                let rows = brand
                    .positions()
                    .map(|p| vectors.get(p).iter().map(|&x| f64::from(x)).collect())
                    .collect();
                classes.push((b, rows));
            }
        }
        let mean = |rows: &[&Vec<f64>]| -> Vec<f64> {
            (0..rows[0].len())
                .map(|d| rows.iter().map(|r| r[d]).sum::<f64>() / rows.len() as f64)
                .collect()
        };
        let squared =
            |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f64>();
        let rows: Vec<Vec<f64>> = (0..fold.len())
            .map(|p| vectors.get(p).iter().map(|&x| f64::from(x)).collect())
            .collect();
        let all = mean(&rows.iter().collect::<Vec<_>>());
        let (mut between, mut within) = (0.0, 0.0);
        let (mut positive, mut negative) = (vec![], vec![]);
        for (i, (brand, rows)) in classes.iter().enumerate() {
            let centre = mean(&rows.iter().collect::<Vec<_>>());
            between += rows.len() as f64 * squared(&centre, &all);
            within += rows.iter().map(|r| squared(r, &centre)).sum::<f64>();
            for (k, a) in rows.iter().enumerate() {
                positive.extend(rows[..k].iter().map(|b| squared(a, b).sqrt()));
                for (other, others) in &classes[..i] {
                    if other != brand {
                        negative.extend(others.iter().map(|b| squared(a, b).sqrt()));
                    }
                }
            }
        }
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        (between / within, mean(&negative) / mean(&positive))
    }

    #[test]
    fn both_ratios_equal_their_definitions_under_any_weights() {
        let (fold, vectors) = example(6, 13);
        let scatter = Scatter::new(&fold, &vectors);
        for weights in [[1, 1, 1, 1, 1, 1], [0, 2, 1, 0, 3, 0], [1, 0, 0, 0, 0, 5]] {
            let (trace, distance) = by_definition(&fold, &vectors, &weights);
            let (t, d) = (
                scatter.trace_ratio(&weights).unwrap(),
                scatter.distance_ratio(&weights).unwrap(),
            );
            assert!((t / trace - 1.0).abs() < 1e-10, "{t} {trace}");
            assert!((d / distance - 1.0).abs() < 1e-6, "{d} {distance}");
        }
    }

    #[test]
    fn equal_embeddings_within_brands_have_no_ratio() {
        let set = EmbeddingSet {
            dim: 3,
            embeddings: [[0.3, 0.1, 0.7], [0.1, -0.9, 0.2]].repeat(3).concat(),
            brand: vec![0, 1, 0, 1, 0, 1],
            row: (0..6).collect(),
        };
        let fold = FoldIndex::new(&set, &|row| row).unwrap();
        let scatter = Scatter::new(&fold, &fold.unit_vectors(&set));
        assert_eq!(scatter.trace_ratio(&[1, 1]), None);
        assert_eq!(scatter.distance_ratio(&[1, 1]), None);
    }

    #[test]
    fn brands_of_one_picture_have_no_positive_pair() {
        let set = EmbeddingSet {
            dim: 1,
            embeddings: vec![1.0, -1.0],
            brand: vec![0, 1],
            row: vec![0, 1],
        };
        let fold = FoldIndex::new(&set, &|row| row).unwrap();
        assert_eq!(
            Scatter::new(&fold, &fold.unit_vectors(&set)).distance_ratio(&[1, 1]),
            None
        );
    }

    #[test]
    fn threads_change_no_bit() {
        let (fold, vectors) = example(9, 20);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| Scatter::new(&fold, &vectors))
        };
        assert_eq!(on(1), on(2));
    }
}
