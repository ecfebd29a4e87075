//! What embeddings say of labels: which rows look like another brand, which brands look like one, which rows like nothing.
//!
//! A row is doubted where it is more like another brand than like its own: the mean of its [`EVIDENCE`] largest similarities to
//! rows of the other brand, less that to rows of its own. Rows of the picture that it is from are no evidence. So the score
//! is a margin, as in confident learning's ranking by normalised margin (Northcutt, Jiang, Chuang, 2021), with neighbours
//! in the place of predicted probabilities: no classifier is trained, and a brand of two pictures can be judged.

use std::collections::BTreeMap;
use std::ops::Range;

use logodex_embeddings::nearest::{Neighbour, Vectors, nearest};
use logodex_embeddings::similarity::{Panels, product};
use rayon::prelude::*;

/// The nearest rows, outside a row's own picture, that vote on its brand.
pub const VOTERS: usize = 10;
/// Similarities to one brand that count.
const EVIDENCE: usize = 3;
/// Nearest rows that are looked for: those of other brands among them are the candidates.
const LOOKED_AT: usize = 32;
/// Rows that are searched for between two words about how far it is.
const STEP: usize = 4096;

/// What a model saw: a row for every object, or for every picture, and the labels that are to be doubted.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// `[N, D]`, of length one.
    pub vectors: Vec<f32>,
    /// D.
    pub dim: usize,
    /// The brand of each, numbered from 0.
    pub brands: Vec<u32>,
    /// The picture of each. Rows of one picture lie together.
    pub pictures: Vec<u32>,
}

/// What a row's neighbours say of its label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Doubt {
    /// The row.
    pub row: usize,
    /// Similarity to its own brand; none if no other picture is of that brand.
    pub own: Option<f32>,
    /// The other brand that it is most like.
    pub other_brand: u32,
    /// The row of that brand that it is most like.
    pub like: usize,
    /// Similarity to that brand; negative infinity if only its own is near.
    pub other: f32,
    /// How many of its nearest rows, at most [`VOTERS`], are of another brand.
    pub against: u32,
    /// How many nearest rows voted.
    pub voters: u32,
    /// Similarity to its nearest row.
    pub nearest: f32,
}

impl Doubt {
    /// How much more it is like another brand than like its own, -2 to 2; none without another picture of its brand.
    pub fn score(&self) -> Option<f32> {
        Some(self.other - self.own?)
    }

    /// Whether most of its neighbours are of another brand, and one other brand is more like it than its own.
    pub fn is_suspect(&self) -> bool {
        2 * self.against > self.voters && self.score().is_some_and(|score| score > 0.0)
    }
}

/// Two brands that look like one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alike {
    /// The one of the lower number.
    pub a: u32,
    /// The other.
    pub b: u32,
    /// Cosine of their prototypes.
    pub similarity: f32,
}

impl Rows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.brands.len()
    }

    fn vector(&self, row: usize) -> &[f32] {
        &self.vectors[row * self.dim..][..self.dim]
    }

    /// The rows of every brand, in order.
    fn of_brands(&self) -> BTreeMap<u32, Vec<usize>> {
        let mut of = BTreeMap::<u32, Vec<usize>>::new();
        for (row, &brand) in self.brands.iter().enumerate() {
            of.entry(brand).or_default().push(row);
        }
        of
    }

    /// The rows of a row's picture.
    fn same_picture(&self, row: usize) -> Range<usize> {
        let picture = self.pictures[row];
        let before = self.pictures[..row].iter().rev();
        let after = self.pictures[row..].iter();
        row - before.take_while(|p| **p == picture).count()
            ..row + after.take_while(|p| **p == picture).count()
    }

    /// What the neighbours of every row say of its label, the most doubtful first; rows without another picture of their brand
    /// come last. `progress(done, total)` counts rows. Takes N · 32 neighbours of 8 bytes each for 4,096 rows at once.
    pub fn doubts(&self, progress: &dyn Fn(u64, u64)) -> Vec<Doubt> {
        let mut panels = Panels::empty(self.dim);
        if self.len() > 0 {
            panels.refill(self.vectors.chunks_exact(self.dim));
        }
        let of_brands = self.of_brands();
        let most = (0..self.len())
            .map(|row| self.same_picture(row).len())
            .max()
            .unwrap_or(0);
        let mut doubts = Vec::with_capacity(self.len());
        for first in (0..self.len()).step_by(STEP) {
            let rows: Vec<usize> = (first..self.len().min(first + STEP)).collect();
            let queries: Vec<&[f32]> = rows.iter().map(|&row| self.vector(row)).collect();
            let found = nearest(Vectors::Packed(&panels), &queries, LOOKED_AT + most);
            let of_rows = rows.par_iter().zip(&found);
            let of_rows = of_rows.filter_map(|(&row, found)| self.doubt(row, found, &of_brands));
            doubts.extend(of_rows.collect::<Vec<_>>());
            progress(doubts.len() as u64, self.len() as u64);
        }
        doubts.sort_by(|a, b| {
            let score = |doubt: &Doubt| doubt.score().unwrap_or(f32::NEG_INFINITY);
            score(b).total_cmp(&score(a)).then(a.row.cmp(&b.row))
        });
        doubts
    }

    /// None where every other row is of the same picture.
    fn doubt(
        &self,
        row: usize,
        found: &[Neighbour],
        of_brands: &BTreeMap<u32, Vec<usize>>,
    ) -> Option<Doubt> {
        let (picture, brand) = (self.same_picture(row), self.brands[row]);
        let found: Vec<&Neighbour> = found
            .iter()
            .filter(|n| !picture.contains(&(n.place as usize)))
            .take(LOOKED_AT)
            .collect();
        let (first, last) = (found.first()?, found.last()?);
        let mut own: Vec<f32> = of_brands[&brand]
            .iter()
            .filter(|other| !picture.contains(other))
            .map(|&other| product(self.vector(row), self.vector(other)))
            .collect();
        own.sort_unstable_by(|a, b| b.total_cmp(a));
        own.truncate(EVIDENCE);
        let mut others = BTreeMap::<u32, Vec<&Neighbour>>::new();
        for neighbour in found
            .iter()
            .filter(|n| self.brands[n.place as usize] != brand)
        {
            let similar = others
                .entry(self.brands[neighbour.place as usize])
                .or_default();
            if similar.len() < EVIDENCE {
                similar.push(neighbour);
            }
        }
        // What was not found is no more similar than the last that was.
        let mean = |similar: &[&Neighbour]| {
            let missing = (EVIDENCE - similar.len()) as f32 * last.similarity;
            (similar.iter().map(|n| n.similarity).sum::<f32>() + missing) / EVIDENCE as f32
        };
        let voters = &found[..found.len().min(VOTERS)];
        let against = voters
            .iter()
            .filter(|n| self.brands[n.place as usize] != brand);
        let (similar, other) = others
            .values()
            .map(|similar| (similar[0], mean(similar)))
            .max_by(|(a, x), (b, y)| x.total_cmp(y).then(b.place.cmp(&a.place)))
            .unwrap_or((last, f32::NEG_INFINITY));
        Some(Doubt {
            row,
            own: (!own.is_empty()).then(|| own.iter().sum::<f32>() / own.len() as f32),
            other_brand: self.brands[similar.place as usize],
            like: similar.place as usize,
            other,
            against: against.count() as u32,
            voters: voters.len() as u32,
            nearest: first.similarity,
        })
    }

    /// Pairs of brands that look like one brand under two names, the most alike first: each is nearest to the other or the other
    /// to it, and their prototypes are as alike as those of the two halves of one brand are, in the median brand. None where no
    /// brand has four pictures.
    pub fn alike_brands(&self) -> Vec<Alike> {
        let of_brands = self.of_brands();
        let mut halves: Vec<f32> = of_brands
            .values()
            .filter_map(|rows| self.halves(rows))
            .collect();
        if halves.is_empty() {
            return Vec::new();
        }
        halves.sort_unstable_by(f32::total_cmp);
        let median = halves[halves.len() / 2];
        let prototypes: Vec<(u32, Vec<f32>)> = of_brands
            .iter()
            .filter_map(|(&brand, rows)| Some((brand, self.prototype(rows.iter().copied())?)))
            .collect();
        let nearest_to = |i: usize| {
            let others = prototypes.iter().enumerate().filter(|(j, _)| *j != i);
            let others = others.map(|(j, (_, other))| (j, product(&prototypes[i].1, other)));
            others.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
        };
        let mut pairs: Vec<Alike> = (0..prototypes.len())
            .into_par_iter()
            .filter_map(|i| {
                let (j, similarity) = nearest_to(i)?;
                (similarity >= median).then(|| Alike {
                    a: prototypes[i.min(j)].0,
                    b: prototypes[i.max(j)].0,
                    similarity,
                })
            })
            .collect();
        pairs.sort_unstable_by_key(|pair| (pair.a, pair.b));
        pairs.dedup_by_key(|pair| (pair.a, pair.b));
        pairs.sort_by(|x, y| y.similarity.total_cmp(&x.similarity));
        pairs
    }

    /// How alike the prototypes of every other picture of a brand and of the rest are; none of fewer than four pictures.
    fn halves(&self, rows: &[usize]) -> Option<f32> {
        let mut parts = [Vec::new(), Vec::new()];
        let (mut pictures, mut last) = (0, None);
        for &row in rows {
            if last != Some(self.pictures[row]) {
                last = Some(self.pictures[row]);
                pictures += 1;
            }
            parts[pictures % 2].push(row);
        }
        let [even, odd] = parts.map(|part| self.prototype(part.into_iter()));
        (pictures >= 4).then_some(product(&even?, &odd?))
    }

    /// The mean of rows, of length one; none if it has no direction.
    fn prototype(&self, rows: impl Iterator<Item = usize>) -> Option<Vec<f32>> {
        let mut sum = vec![0f64; self.dim];
        for row in rows {
            for (sum, x) in sum.iter_mut().zip(self.vector(row)) {
                *sum += f64::from(*x);
            }
        }
        let length = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
        (length > 0.0).then(|| sum.iter().map(|x| (x / length) as f32).collect())
    }
}

/// The rows that are far from everything, the farthest first: of which the nearest row is less similar than Tukey's lower fence,
/// the first quartile less 1.5 times the distance between the quartiles of all rows' nearest similarities.
pub fn far(doubts: &[Doubt]) -> Vec<Doubt> {
    let mut sorted: Vec<f32> = doubts.iter().map(|doubt| doubt.nearest).collect();
    if sorted.is_empty() {
        return Vec::new();
    }
    sorted.sort_unstable_by(f32::total_cmp);
    let quartile = |q: usize| sorted[(sorted.len() - 1) * q / 4];
    let fence = quartile(1) - 1.5 * (quartile(3) - quartile(1));
    let mut far: Vec<Doubt> = doubts
        .iter()
        .filter(|doubt| doubt.nearest < fence)
        .copied()
        .collect();
    far.sort_by(|a, b| a.nearest.total_cmp(&b.nearest).then(a.row.cmp(&b.row)));
    far
}

#[cfg(test)]
mod tests {
    use super::*;
    use logodex_schemas::random::stream;
    use rand::Rng;

    /// `brands` clusters of `pictures` pictures with two rows each, noise of the given size around directions of their own.
    fn clusters(brands: u32, pictures: u32, noise: f32) -> Rows {
        let (dim, mut rng) = (24, stream(7, "seen", &[]));
        let mut rows = Rows {
            dim,
            ..Rows::default()
        };
        for brand in 0..brands {
            let centre: Vec<f32> = (0..dim).map(|_| rng.random_range(-1.0..1.0)).collect();
            for picture in 0..pictures {
                for _ in 0..2 {
                    let mut row: Vec<f32> = centre.clone();
                    row.iter_mut()
                        .for_each(|x| *x += noise * rng.random_range(-1.0..1.0f32));
                    let length = product(&row, &row).sqrt();
                    rows.vectors.extend(row.iter().map(|x| x / length));
                    rows.brands.push(brand);
                    rows.pictures.push(brand * pictures + picture);
                }
            }
        }
        rows
    }

    #[test]
    fn wrong_labels_are_the_first_and_rows_of_one_picture_are_no_evidence() {
        let mut rows = clusters(30, 10, 0.5);
        // Every twentieth picture, both rows of it, is said to be another brand.
        let wrong: Vec<usize> = (0..rows.len()).filter(|row| row / 2 % 20 == 3).collect();
        for &row in &wrong {
            rows.brands[row] = (rows.brands[row] + 7) % 30;
        }
        let doubts = rows.doubts(&|_, _| {});
        assert_eq!(doubts.len(), rows.len());
        let mut first: Vec<usize> = doubts[..wrong.len()].iter().map(|d| d.row).collect();
        first.sort_unstable();
        assert_eq!(first, wrong);
        for doubt in &doubts[..wrong.len()] {
            assert!(doubt.is_suspect());
            assert_eq!(doubt.other_brand, (rows.brands[doubt.row] + 23) % 30);
            assert_eq!(rows.brands[doubt.like], doubt.other_brand);
            assert_ne!(rows.pictures[doubt.like], rows.pictures[doubt.row]);
        }
        let certain = doubts[wrong.len()..].iter();
        assert_eq!(certain.filter(|doubt| doubt.is_suspect()).count(), 0);
    }

    #[test]
    fn a_brand_of_one_picture_is_not_doubted_and_comes_last() {
        let mut rows = clusters(4, 6, 0.2);
        rows.brands[10..12].fill(9);
        let doubts = rows.doubts(&|_, _| {});
        let last = doubts[doubts.len() - 2..].iter();
        assert_eq!(
            last.map(|d| (d.row, d.own)).collect::<Vec<_>>(),
            [(10, None), (11, None)]
        );
        assert!(doubts[doubts.len() - 2..].iter().all(|d| !d.is_suspect()));
        assert!(Rows::default().doubts(&|_, _| {}).is_empty());
        // Nothing but one picture: no neighbour, no word.
        let mut one = clusters(1, 1, 0.2);
        one.pictures.fill(0);
        assert!(one.doubts(&|_, _| {}).is_empty());
    }

    #[test]
    fn a_brand_cut_in_two_is_the_pair_that_looks_like_one() {
        let mut rows = clusters(20, 12, 0.6);
        for row in 0..rows.len() {
            // Half of the pictures of brand 4 bear another name.
            if rows.brands[row] == 4 && rows.pictures[row] % 2 == 1 {
                rows.brands[row] = 20;
            }
        }
        let pairs = rows.alike_brands();
        assert_eq!(
            pairs.iter().map(|p| (p.a, p.b)).collect::<Vec<_>>(),
            [(4, 20)]
        );
        assert!(clusters(20, 12, 0.6).alike_brands().is_empty());
    }

    #[test]
    fn what_is_far_from_everything_lies_below_the_fence() {
        let mut rows = clusters(20, 10, 0.3);
        let (dim, mut rng) = (rows.dim, stream(8, "far", &[]));
        for x in &mut rows.vectors[40 * dim..42 * dim] {
            *x = rng.random_range(-1.0..1.0);
        }
        for row in 40..42 {
            let vector = &mut rows.vectors[row * dim..][..dim];
            let length = product(vector, vector).sqrt();
            vector.iter_mut().for_each(|x| *x /= length);
        }
        let far = far(&rows.doubts(&|_, _| {}));
        let mut found: Vec<usize> = far.iter().map(|d| d.row).collect();
        found.sort_unstable();
        assert_eq!(found, [40, 41]);
    }
}
