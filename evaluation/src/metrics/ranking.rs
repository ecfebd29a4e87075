//! Exact retrieval: the rank of every positive of every query, without sorting the gallery.
//!
//! A positive's rank is one plus the number of gallery items before it. So one pass over the similarities of a query,
//! each placed among its few sorted positives, gives all ranks: O(N log P) a query and no memory beyond a block. Equal
//! similarities keep the order of the gallery, as a stable sort would.

use std::collections::HashMap;

use rayon::prelude::*;

use logodex_embeddings::nearest::key;

use logodex_embeddings::similarity::{Panels, TILE, WIDTH, product};
use logodex_embeddings::unit_vectors::UnitVectors;

/// Nearest items kept of each query.
pub const NEAREST: usize = 10;
/// Panels per block: with 128 dimensions half a megabyte, which stays in the cache while all queries of a task pass.
const BLOCK: usize = 64;
/// Queries per task. Fixed, and of no influence on any number.
const TASK: usize = 8 * TILE;

/// What is asked of what: positions of the vectors, with the brand and the source image of each.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// The vectors, `[N, D]`.
    pub vectors: &'a UnitVectors,
    /// Brand of each position, `[N]`.
    pub brands: &'a [u32],
    /// Source image of each position, `[N]`. An item of the query's own image is neither found nor missed.
    pub images: &'a [i64],
    /// Positions asked about.
    pub queries: &'a [usize],
    /// Positions searched, each once. Among equal similarities the earlier comes first.
    pub gallery: &'a [usize],
}

/// What a query found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// 1-based ranks of its positives, ascending; empty when the gallery holds none.
    pub ranks: Vec<u32>,
    /// The nearest items, at most [`NEAREST`]: position and similarity, nearest first.
    pub nearest: Vec<(usize, f32)>,
}

/// Ranks every positive of every query, in the order of the queries.
pub fn rank(search: &Search) -> Vec<Found> {
    let panels = Panels::pack(search.vectors, search.gallery);
    let of_brand = places(search.gallery, |p| search.brands[p]);
    let of_image = places(search.gallery, |p| search.images[p]);
    search
        .queries
        .par_chunks(TASK)
        .flat_map_iter(|queries| {
            let mut counters: Vec<Counter> = queries
                .iter()
                .map(|&query| {
                    let own = of_image.get(&search.images[query]).map_or(&[][..], |v| v);
                    let same = of_brand.get(&search.brands[query]).map_or(&[][..], |v| v);
                    Counter::new(search, query, own, same)
                })
                .collect();
            let mut out: [Vec<f32>; TILE] =
                std::array::from_fn(|_| Vec::with_capacity(BLOCK * WIDTH));
            for block in (0..panels.panels()).step_by(BLOCK) {
                let range = block..(block + BLOCK).min(panels.panels());
                let first = block * WIDTH;
                let count = panels.len().min(range.end * WIDTH) - first;
                for (tile, counters) in queries.chunks(TILE).zip(counters.chunks_mut(TILE)) {
                    // A tile that is not full asks its last query again, and drops the answer.
                    let asked =
                        std::array::from_fn(|i| search.vectors.get(tile[i.min(tile.len() - 1)]));
                    panels.products(&asked, range.clone(), &mut out);
                    for (counter, scores) in counters.iter_mut().zip(&out) {
                        counter.count(first as u32, &scores[..count]);
                    }
                }
            }
            counters.into_iter().map(|counter| counter.found(search))
        })
        .collect()
}

/// Places in the gallery by what `key` says of their positions.
fn places<K: std::hash::Hash + Eq>(
    gallery: &[usize],
    key: impl Fn(usize) -> K,
) -> HashMap<K, Vec<u32>> {
    let mut places: HashMap<K, Vec<u32>> = HashMap::new();
    for (place, &position) in gallery.iter().enumerate() {
        places.entry(key(position)).or_default().push(place as u32);
    }
    places
}

/// The ranking of one query, while its similarities pass by.
struct Counter {
    /// Keys of the positives, ascending.
    positives: Vec<u64>,
    /// Items between one positive and the next, that one included, `[P]`.
    before: Vec<u32>,
    /// The least similarity that can matter: that of the last positive, or of the last of the nearest if lower.
    least: f32,
    least_positive: f32,
    /// Keys of the nearest items, ascending, at most [`NEAREST`].
    nearest: Vec<(u64, f32)>,
    /// Places of the query's own image, ascending.
    own: Vec<u32>,
}

impl Counter {
    fn new(search: &Search, query: usize, own: &[u32], same_brand: &[u32]) -> Self {
        let score = |place: u32| {
            let other = search.vectors.get(search.gallery[place as usize]);
            product(search.vectors.get(query), other)
        };
        let mut positives: Vec<(u64, f32)> = same_brand
            .iter()
            .filter(|place| own.binary_search(place).is_err())
            .map(|&place| (key(score(place), place), score(place)))
            .collect();
        positives.sort_unstable_by_key(|(key, _)| *key);
        let least_positive = positives.last().map_or(f32::INFINITY, |(_, score)| *score);
        let mut counter = Self {
            before: vec![0; positives.len()],
            positives: positives.into_iter().map(|(key, _)| key).collect(),
            least: f32::NEG_INFINITY,
            least_positive,
            nearest: Vec::with_capacity(NEAREST + 1),
            own: own.to_vec(),
        };
        // The pass meets the own image as well: what it will add is taken off beforehand.
        for &place in own {
            let cell = counter.cell(key(score(place), place));
            if let Some(before) = counter.before.get_mut(cell) {
                *before = before.wrapping_sub(1);
            }
        }
        counter
    }

    /// The first positive that does not come before this key.
    fn cell(&self, key: u64) -> usize {
        self.positives.partition_point(|positive| *positive < key)
    }

    /// Takes in the similarities of the gallery's places from `first` on.
    fn count(&mut self, first: u32, scores: &[f32]) {
        for (chunk, scores) in scores.chunks(WIDTH).enumerate() {
            // Most items come after all that matters: seen for a chunk at once.
            if scores.iter().all(|score| *score < self.least) {
                continue;
            }
            for (lane, &score) in scores.iter().enumerate() {
                if score < self.least {
                    continue;
                }
                let place = first + (chunk * WIDTH + lane) as u32;
                let key = key(score, place);
                let cell = self.cell(key);
                if let Some(before) = self.before.get_mut(cell) {
                    *before = before.wrapping_add(1);
                }
                self.offer(key, score, place);
            }
        }
    }

    /// Keeps an item that is among the nearest so far.
    fn offer(&mut self, key: u64, score: f32, place: u32) {
        let full = self.nearest.len() == NEAREST;
        if full && self.nearest[NEAREST - 1].0 < key || self.own.binary_search(&place).is_ok() {
            return;
        }
        let at = self.nearest.partition_point(|(other, _)| *other < key);
        self.nearest.insert(at, (key, score));
        self.nearest.truncate(NEAREST);
        if self.nearest.len() == NEAREST {
            self.least = self.least_positive.min(self.nearest[NEAREST - 1].1);
        }
    }

    fn found(self, search: &Search) -> Found {
        let mut rank = 0u32;
        Found {
            ranks: self
                .before
                .iter()
                .map(|before| {
                    rank = rank.wrapping_add(*before);
                    rank
                })
                .collect(),
            nearest: self
                .nearest
                .iter()
                .map(|&(key, score)| (search.gallery[key as u32 as usize], score))
                .collect(),
        }
    }
}

/// Whether one of the first `k` is a positive: Recall@K as metric learning uses the word.
pub fn recall_at(k: u32, ranks: &[u32]) -> f64 {
    f64::from(u8::from(ranks.first().is_some_and(|rank| *rank <= k)))
}

/// The share of positives among the first R, R the number of positives (Musgrave et al. 2020).
pub fn r_precision(ranks: &[u32]) -> f64 {
    let r = ranks.len() as u32;
    let hits = ranks.iter().filter(|rank| **rank <= r).count();
    hits as f64 / f64::from(r.max(1))
}

/// MAP@R: (1 / R) Σ over the positives within the first R of the precision there (Musgrave et al. 2020). What is
/// missed counts: the sum is divided by R and not by the number of hits.
pub fn average_precision_at_r(ranks: &[u32]) -> f64 {
    let r = ranks.len() as u32;
    precision_sum(ranks.iter().take_while(|rank| **rank <= r)) / f64::from(r.max(1))
}

/// Average precision over the whole ranking.
pub fn average_precision(ranks: &[u32]) -> f64 {
    precision_sum(ranks.iter()) / ranks.len().max(1) as f64
}

/// Σ j / rank of the j-th positive.
fn precision_sum<'a>(ranks: impl Iterator<Item = &'a u32>) -> f64 {
    (1u32..)
        .zip(ranks)
        .map(|(j, rank)| f64::from(j) / f64::from(*rank))
        // Not `sum`, which is −0 over nothing.
        .fold(0.0, |sum, precision| sum + precision)
}

#[cfg(test)]
mod tests {
    use super::*;
    use logodex_schemas::random::stream;
    use rand::Rng;
    use rand::seq::SliceRandom;

    struct Data {
        vectors: UnitVectors,
        brands: Vec<u32>,
        images: Vec<i64>,
    }

    /// Values on a coarse grid, so that many similarities are equal.
    fn data(n: usize, dim: usize, levels: i32) -> Data {
        let mut rng = stream(6, "ranking", &[n as u64, levels.unsigned_abs().into()]);
        let mut vectors = UnitVectors::zeros(n, dim);
        for position in 0..n {
            let mut vector: Vec<f32> = (0..dim)
                .map(|_| rng.random_range(-levels..=levels) as f32)
                .collect();
            vector[0] = levels as f32 + 1.0;
            vectors.set(position, &vector);
        }
        Data {
            vectors,
            brands: (0..n).map(|_| rng.random_range(0..n as u32 / 9)).collect(),
            images: (0..n).map(|p| p as i64 / 2).collect(),
        }
    }

    /// By sorting everything.
    fn by_sorting(search: &Search, query: usize) -> Found {
        let mut order: Vec<(usize, f32)> = search
            .gallery
            .iter()
            .filter(|&&p| search.images[p] != search.images[query])
            .map(|&p| (p, product(search.vectors.get(query), search.vectors.get(p))))
            .collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        let positive = |p: usize| search.brands[p] == search.brands[query];
        Found {
            ranks: (1..)
                .zip(&order)
                .filter(|(_, (p, _))| positive(*p))
                .map(|(rank, _)| rank)
                .collect(),
            nearest: order.into_iter().take(NEAREST).collect(),
        }
    }

    #[test]
    fn counting_ranks_as_a_stable_sort_does_ties_and_own_images_included() {
        for (n, levels) in [(40, 1), (700, 1), (1500, 40)] {
            let data = data(n, 3, levels);
            let mut gallery: Vec<usize> = (0..n).collect();
            gallery.shuffle(&mut stream(1, "gallery", &[]));
            for (queries, gallery) in [
                (gallery.clone(), gallery.clone()),
                (gallery[..n / 3].to_vec(), gallery[n / 3..].to_vec()),
            ] {
                let search = Search {
                    vectors: &data.vectors,
                    brands: &data.brands,
                    images: &data.images,
                    queries: &queries,
                    gallery: &gallery,
                };
                for (found, &query) in rank(&search).iter().zip(&queries) {
                    assert_eq!(*found, by_sorting(&search, query));
                }
            }
        }
    }

    #[test]
    fn threads_change_nothing() {
        let data = data(500, 20, 9);
        let all: Vec<usize> = (0..500).collect();
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let search = Search {
                vectors: &data.vectors,
                brands: &data.brands,
                images: &data.images,
                queries: &all,
                gallery: &all,
            };
            pool.install(|| rank(&search))
        };
        assert_eq!(on(1), on(2));
    }

    #[test]
    fn map_at_r_does_not_forgive_misses() {
        // Three positives, one within the first three, at rank 1. Divided by the hits it would be 1.
        assert_eq!(average_precision_at_r(&[1, 7, 9]), 1.0 / 3.0);
        assert_eq!(
            average_precision_at_r(&[2, 3, 9]),
            (1.0 / 2.0 + 2.0 / 3.0) / 3.0
        );
        assert_eq!(average_precision_at_r(&[4, 5, 6]), 0.0);
        assert_eq!(r_precision(&[1, 7, 9]), 1.0 / 3.0);
        assert_eq!(average_precision(&[1, 4]), (1.0 + 2.0 / 4.0) / 2.0);
        assert_eq!((recall_at(1, &[2]), recall_at(5, &[2])), (0.0, 1.0));
    }

    #[test]
    fn a_perfect_ranking_scores_one_in_every_metric_however_few_its_positives() {
        for r in 1..30 {
            let ranks: Vec<u32> = (1..=r).collect();
            let metrics = [
                recall_at(1, &ranks),
                recall_at(10, &ranks),
                r_precision(&ranks),
                average_precision_at_r(&ranks),
                average_precision(&ranks),
            ];
            assert_eq!(metrics, [1.0; 5], "{r} positives");
        }
    }
}
