//! Inner products of many vectors with many, in blocks: what exact retrieval spends its time on.
//!
//! Each product is one f32 sum over the dimensions in their order, without fused multiply-add. So a number depends on
//! its two vectors alone, never on block, thread or vector width: equal vectors tie exactly, s(a, b) is s(b, a) to the
//! last bit, and every machine ranks alike.

use crate::unit_vectors::UnitVectors;

/// Gallery vectors that lie side by side in a panel.
pub const WIDTH: usize = 16;
/// Queries that one pass over a panel serves.
pub const TILE: usize = 6;

/// Gallery vectors, repacked: panels of [`WIDTH`] vectors, each `[D, WIDTH]`, so that the kernel reads memory in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Panels {
    len: usize,
    dim: usize,
    values: Vec<f32>,
}

impl Panels {
    /// Packs the vectors at `positions`, in that order. The last panel is filled up with zeros.
    pub fn pack(vectors: &UnitVectors, positions: &[usize]) -> Self {
        let mut panels = Self::empty(vectors.dim());
        panels.refill(positions.iter().map(|&position| vectors.get(position)));
        panels
    }

    /// No vectors of `dim` values yet.
    pub fn empty(dim: usize) -> Self {
        Self {
            len: 0,
            dim,
            values: Vec::new(),
        }
    }

    /// Packs other vectors, `[D]` each, into the same memory.
    pub fn refill<'a>(&mut self, vectors: impl ExactSizeIterator<Item = &'a [f32]>) {
        let size = self.dim * WIDTH;
        self.len = vectors.len();
        // The last panel alone is filled up; whatever else lies there is written over.
        self.values.resize(self.panels() * size, 0.0);
        if let Some(last) = self.panels().checked_sub(1) {
            self.values[last * size..].fill(0.0);
        }
        for (i, vector) in vectors.enumerate() {
            let panel = &mut self.values[i / WIDTH * size..][..size];
            let (lanes, _) = panel.as_chunks_mut::<WIDTH>();
            for (lane, &x) in lanes.iter_mut().zip(vector) {
                lane[i % WIDTH] = x;
            }
        }
    }

    /// Embedding size D.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of panels.
    pub fn panels(&self) -> usize {
        self.len.div_ceil(WIDTH)
    }

    /// Products of each of T queries with the vectors of panels `first..last`: `out` is `[T][(last − first) · WIDTH]`, and
    /// what lies beyond [`Self::len`] is 0. [`TILE`] queries at once are fastest, each taken for itself.
    pub fn products<const T: usize>(
        &self,
        queries: &[&[f32]; T],
        panels: std::ops::Range<usize>,
        out: &mut [Vec<f32>; T],
    ) {
        let size = self.dim * WIDTH;
        let values = &self.values[panels.start * size..panels.end * size];
        let queries = queries.map(|query| &query[..self.dim]);
        for row in out.iter_mut() {
            row.clear();
        }
        #[cfg(target_arch = "x86_64")]
        {
            if std::is_x86_feature_detected!("avx512f") {
                // SAFETY: the processor has the one feature that the function asks for.
                return unsafe { products_avx512(&queries, values, out) };
            }
            if std::is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has the one feature that the function asks for.
                return unsafe { products_avx2(&queries, values, out) };
            }
        }
        products(&queries, values, out);
    }
}

/// The product as the kernel computes it, bit for bit.
pub fn product(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).fold(0.0, |sum, (x, y)| sum + x * y)
}

/// [`products`] on wider registers. Not FMA, which rounds otherwise.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn products_avx2<const T: usize>(queries: &[&[f32]; T], values: &[f32], out: &mut [Vec<f32>; T]) {
    products(queries, values, out);
}

/// As [`products_avx2`]: a panel's lanes are one register.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn products_avx512<const T: usize>(queries: &[&[f32]; T], values: &[f32], out: &mut [Vec<f32>; T]) {
    products(queries, values, out);
}

#[inline(always)]
fn products<const T: usize>(queries: &[&[f32]; T], values: &[f32], out: &mut [Vec<f32>; T]) {
    for panel in values.chunks_exact(queries[0].len() * WIDTH) {
        let mut sums = [[0f32; WIDTH]; T];
        let (lanes, _) = panel.as_chunks::<WIDTH>();
        for (k, lane) in lanes.iter().enumerate() {
            for (sums, query) in sums.iter_mut().zip(queries) {
                let q = query[k];
                for (sum, g) in sums.iter_mut().zip(lane) {
                    *sum += q * g;
                }
            }
        }
        for (row, sums) in out.iter_mut().zip(&sums) {
            row.extend_from_slice(sums);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logodex_schemas::random::stream;
    use rand::Rng;

    fn vectors(n: usize, dim: usize) -> UnitVectors {
        let mut rng = stream(4, "similarity", &[]);
        let mut vectors = UnitVectors::zeros(n, dim);
        for position in 0..n {
            let vector: Vec<f32> = (0..dim).map(|_| rng.random_range(-1.0..1.0)).collect();
            vectors.set(position, &vector);
        }
        vectors
    }

    #[test]
    fn every_product_is_the_plain_sum_bit_for_bit_in_any_block_and_on_any_registers() {
        for (n, dim) in [(1, 1), (37, 13), (64, 128), (17, 200)] {
            let vectors = vectors(n, dim);
            let order: Vec<usize> = (0..n).rev().collect();
            let panels = Panels::pack(&vectors, &order);
            let queries: [&[f32]; TILE] = std::array::from_fn(|i| vectors.get(i * 7 % n));
            let mut out = std::array::from_fn(|_| Vec::new());
            let mut plain = std::array::from_fn(|_| Vec::new());
            for block in 0..panels.panels() {
                panels.products(&queries, block..block + 1, &mut out);
                plain.iter_mut().for_each(Vec::clear);
                products(
                    &queries.map(|q| &q[..dim]),
                    &panels.values[block * dim * WIDTH..][..dim * WIDTH],
                    &mut plain,
                );
                assert_eq!(out, plain);
                let mut alone = [Vec::new()];
                panels.products(&[queries[3]], block..block + 1, &mut alone);
                assert_eq!(alone[0], plain[3], "one query, as among others");
                for (query, row) in queries.iter().zip(&out) {
                    for (lane, found) in row.iter().enumerate() {
                        let expected = order
                            .get(block * WIDTH + lane)
                            .map_or(0.0, |&p| product(vectors.get(p), query));
                        assert_eq!(found.to_bits(), expected.to_bits());
                    }
                }
            }
        }
    }
}
