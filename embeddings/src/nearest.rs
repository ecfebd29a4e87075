//! The vectors of a gallery that are most similar to a query, exactly: the gallery passes by in blocks that stay in a core's
//! cache while all queries ask them, every thread with a part of it.
//!
//! Similarities are the kernel's, which depend on no block or thread, and equal ones keep the order of the gallery. A
//! similarity that is no number is none: it is found nowhere. So the answer is one, on any machine.

use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use crate::similarity::{Panels, TILE, WIDTH};

/// Panels per block: with 128 dimensions half a megabyte.
const BLOCK: usize = 64;
/// Queries that pass over the gallery together: each keeps its nearest for every part of it.
const TOGETHER: usize = 160 * TILE;
/// Parts of the gallery for each thread, so that none waits long for another.
const PARTS: usize = 4;

/// What is searched: N vectors of length one.
#[derive(Debug, Clone, Copy)]
pub enum Vectors<'a> {
    /// In memory, packed for the kernel.
    Packed(&'a Panels),
    /// `[N, D]`, row by row, as a file holds them; packed block by block on the way.
    F32 {
        /// D.
        dim: usize,
        /// The N · D values.
        values: &'a [f32],
    },
    /// As F32, of 16 bits: half the memory to read, and the kernel computes with what they are worth as f32.
    F16 {
        /// D.
        dim: usize,
        /// The N · D values.
        values: &'a [f16],
    },
}

/// What a query found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Place in the gallery, from 0.
    pub place: u32,
    /// Inner product with the query: of vectors of length one, the cosine.
    pub similarity: f32,
}

/// The `k` most similar vectors to each query `[D]`, in the order of the queries, most similar first; of equal ones that of
/// the lower place. Fewer where the gallery holds fewer. Runs on the current rayon pool.
///
/// # Panics
/// If a query has another number of dimensions than the gallery: a mistake of the caller.
pub fn nearest(vectors: Vectors<'_>, queries: &[&[f32]], k: usize) -> Vec<Vec<Neighbour>> {
    let dim = vectors.dim();
    assert!(queries.iter().all(|query| query.len() == dim));
    let panels = vectors.len().div_ceil(WIDTH);
    if k == 0 || panels == 0 {
        return vec![Vec::new(); queries.len()];
    }
    let parts = (rayon::current_num_threads() * PARTS).min(panels.div_ceil(BLOCK));
    let size = panels.div_ceil(parts);
    let parts: Vec<_> = (0..panels)
        .step_by(size)
        .map(|first| first..panels.min(first + size))
        .collect();
    let mut all = Vec::with_capacity(queries.len());
    for queries in queries.chunks(TOGETHER) {
        let found: Vec<Vec<Best>> = parts
            .par_iter()
            .map(|part| in_part(vectors, part.clone(), queries, k))
            .collect();
        let merged = (0..queries.len()).into_par_iter().map(|query| {
            let mut merged: Vec<(u64, f32)> = found
                .iter()
                .flat_map(|part| part[query].found.iter().copied())
                .collect();
            merged.sort_unstable_by_key(|(key, _)| *key);
            merged.truncate(k);
            let neighbours = merged.into_iter().map(|(key, similarity)| Neighbour {
                place: key as u32,
                similarity,
            });
            neighbours.collect()
        });
        all.extend(merged.collect::<Vec<Vec<Neighbour>>>());
    }
    all
}

impl Vectors<'_> {
    /// Number of vectors N.
    pub fn len(&self) -> usize {
        match self {
            Self::Packed(panels) => panels.len(),
            Self::F32 { dim, values } => values.len() / dim,
            Self::F16 { dim, values } => values.len() / dim,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn dim(&self) -> usize {
        match self {
            Self::Packed(panels) => panels.dim(),
            Self::F32 { dim, .. } | Self::F16 { dim, .. } => *dim,
        }
    }
}

/// What every query finds in a range of panels.
fn in_part(
    vectors: Vectors<'_>,
    part: std::ops::Range<usize>,
    queries: &[&[f32]],
    k: usize,
) -> Vec<Best> {
    let dim = vectors.dim();
    let mut best: Vec<Best> = queries.iter().map(|_| Best::new(k)).collect();
    let mut packed = Panels::empty(dim);
    let mut floats = Vec::new();
    for block in part.clone().step_by(BLOCK) {
        let range = block..part.end.min(block + BLOCK);
        let first = block * WIDTH;
        let count = vectors.len().min(range.end * WIDTH) - first;
        match vectors {
            Vectors::Packed(panels) => ask(panels, range, (first, count), queries, &mut best),
            Vectors::F32 { values, .. } => {
                packed.refill(values[first * dim..][..count * dim].chunks_exact(dim));
                ask(&packed, 0..range.len(), (first, count), queries, &mut best);
            }
            Vectors::F16 { values, .. } => {
                floats.resize(count * dim, 0.0);
                values[first * dim..][..count * dim].convert_to_f32_slice(&mut floats);
                packed.refill(floats.chunks_exact(dim));
                ask(&packed, 0..range.len(), (first, count), queries, &mut best);
            }
        }
    }
    best
}

/// Every query asks a range of panels, whose vectors are the `count` from place `first` on.
fn ask(
    panels: &Panels,
    range: std::ops::Range<usize>,
    (first, count): (usize, usize),
    queries: &[&[f32]],
    best: &mut [Best],
) {
    if let (&[query], [best]) = (queries, &mut *best) {
        let mut out = [Vec::with_capacity(range.len() * WIDTH)];
        panels.products(&[query], range, &mut out);
        return best.offer(first as u32, &out[0][..count]);
    }
    let mut out: [Vec<f32>; TILE] =
        std::array::from_fn(|_| Vec::with_capacity(range.len() * WIDTH));
    for (tile, best) in queries.chunks(TILE).zip(best.chunks_mut(TILE)) {
        // A tile that is not full asks its last query again, and drops the answer.
        let asked = std::array::from_fn(|i| tile[i.min(tile.len() - 1)]);
        panels.products(&asked, range.clone(), &mut out);
        for (best, scores) in best.iter_mut().zip(&out) {
            best.offer(first as u32, &scores[..count]);
        }
    }
}

/// A place in a ranking as one number: similarity, highest first, then place in the gallery, lowest first.
pub fn key(score: f32, place: u32) -> u64 {
    let bits = score.to_bits();
    // The bits of a float, made to ascend with it; then turned about, so that the greatest comes first.
    let ascending = bits ^ (((bits as i32 >> 31) as u32) | 0x8000_0000);
    u64::from(!ascending) << 32 | u64::from(place)
}

/// The most similar of what a query has met.
struct Best {
    k: usize,
    /// What a similarity must reach to matter.
    least: f32,
    /// By key, ascending, at most `k`.
    found: Vec<(u64, f32)>,
}

impl Best {
    fn new(k: usize) -> Self {
        Self {
            k,
            least: f32::NEG_INFINITY,
            found: Vec::new(),
        }
    }

    /// Takes in the similarities of the places from `first` on.
    fn offer(&mut self, first: u32, scores: &[f32]) {
        for (chunk, scores) in scores.chunks(WIDTH).enumerate() {
            // Most do not matter: seen for a chunk at once.
            if scores.iter().all(|score| *score < self.least) {
                continue;
            }
            for (lane, &score) in scores.iter().enumerate() {
                // No number compares with anything.
                if score >= self.least {
                    self.insert(key(score, first + (chunk * WIDTH + lane) as u32), score);
                }
            }
        }
    }

    fn insert(&mut self, key: u64, score: f32) {
        if self.found.len() == self.k {
            if self.found[self.k - 1].0 < key {
                return;
            }
            self.found.pop();
        }
        let at = self.found.partition_point(|(other, _)| *other < key);
        self.found.insert(at, (key, score));
        if self.found.len() == self.k {
            self.least = self.found[self.k - 1].1;
        }
    }
}

#[cfg(test)]
mod tests {
    use logodex_schemas::random::stream;
    use rand::Rng;

    use super::*;
    use crate::similarity::product;

    /// Values on a coarse grid, so that many similarities are equal.
    fn rows(n: usize, dim: usize, levels: i32) -> Vec<f32> {
        let mut rng = stream(8, "nearest", &[n as u64, levels.unsigned_abs().into()]);
        (0..n * dim)
            .map(|_| rng.random_range(-levels..=levels) as f32 / 8.0)
            .collect()
    }

    /// By sorting everything.
    fn by_sorting(values: &[f32], query: &[f32], k: usize) -> Vec<Neighbour> {
        let mut all: Vec<Neighbour> = (0..)
            .zip(values.chunks_exact(query.len()))
            .map(|(place, vector)| Neighbour {
                place,
                similarity: product(vector, query),
            })
            .filter(|neighbour| !neighbour.similarity.is_nan())
            .collect();
        all.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        all.truncate(k);
        all
    }

    fn on<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(work)
    }

    #[test]
    fn the_nearest_are_those_of_a_stable_sort_in_every_form_and_on_any_threads() {
        for (n, dim, levels) in [(1, 3, 2), (17, 5, 2), (5_000, 3, 2), (3_000, 20, 40)] {
            let values = rows(n, dim, levels);
            // Multiples of an eighth are exact in 16 bits, too.
            let halves: Vec<f16> = values.iter().map(|x| f16::from_f32(*x)).collect();
            let mut panels = Panels::empty(dim);
            panels.refill(values.chunks_exact(dim));
            let asked = rows(13, dim, levels + 1);
            let queries: Vec<&[f32]> = asked.chunks_exact(dim).collect();
            for k in [1, 10, 40] {
                let expected: Vec<_> = queries.iter().map(|q| by_sorting(&values, q, k)).collect();
                for form in [
                    Vectors::Packed(&panels),
                    Vectors::F32 {
                        dim,
                        values: &values,
                    },
                    Vectors::F16 {
                        dim,
                        values: &halves,
                    },
                ] {
                    for threads in [1, 3] {
                        assert!(on(threads, || nearest(form, &queries, k)) == expected);
                        let alone = on(threads, || nearest(form, &queries[..1], k));
                        assert_eq!(alone[0], expected[0]);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_is_found_nowhere_and_equal_ones_keep_their_order() {
        let values = [f32::NAN, 0.5, 1.0, f32::NEG_INFINITY, 1.0, f32::NAN, 0.5];
        let found = nearest(
            Vectors::F32 {
                dim: 1,
                values: &values,
            },
            &[&[1.0]],
            9,
        );
        let places: Vec<u32> = found[0].iter().map(|n| n.place).collect();
        assert_eq!(places, [2, 4, 1, 6, 3]);
        let none = nearest(
            Vectors::F32 {
                dim: 1,
                values: &values,
            },
            &[&[f32::NAN]],
            9,
        );
        assert!(none[0].is_empty());
        let empty = nearest(
            Vectors::F32 {
                dim: 1,
                values: &[],
            },
            &[&[1.0]],
            9,
        );
        assert!(empty[0].is_empty());
    }

    #[test]
    fn keys_order_similarities_of_either_sign() {
        let scores = [1.0f32, 0.5, 1e-30, 0.0, -1e-30, -0.5, -1.0];
        let keys: Vec<u64> = scores.iter().map(|s| key(*s, 3)).collect();
        assert!(keys.is_sorted());
        assert!(key(0.5, 1) < key(0.5, 2));
    }
}
