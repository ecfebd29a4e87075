//! Which rows there are, by brand and source image, without their vectors: all that an episode may depend on.
//!
//! Everything is put into one canonical order (brand, then row), so that the order of the rows in an embedding file
//! changes nothing.

use anyhow::{Result, ensure};

use logodex_embeddings::set::EmbeddingSet;
use logodex_embeddings::unit_vectors::UnitVectors;

/// The rows of one fold in canonical order. A *position* is an index into this order.
#[derive(Debug, Clone, PartialEq)]
pub struct FoldIndex {
    /// Dataset row at each position, `[N]`.
    pub rows: Vec<i64>,
    /// Number of the source image at each position, `[N]`.
    pub images: Vec<i64>,
    /// The brands, sorted by index; each is a range of positions.
    pub brands: Vec<BrandRange>,
    /// Position in the embedding set of each position here, `[N]`.
    source: Vec<usize>,
}

/// The positions of one brand.
#[derive(Debug, Clone, PartialEq)]
pub struct BrandRange {
    /// Brand index.
    pub index: u32,
    /// First position.
    pub first: usize,
    /// Positions grouped by source image, the images in ascending order.
    pub images: Vec<Vec<usize>>,
}

impl BrandRange {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.images.iter().map(Vec::len).sum()
    }

    /// Whether it has no row; the index never holds such a brand.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Its positions.
    pub fn positions(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.len()
    }
}

impl FoldIndex {
    /// Sorts the rows of `set`.
    ///
    /// # Errors
    /// Fewer than two brands: there is nothing to tell apart.
    pub fn new(set: &EmbeddingSet, image_of_row: &dyn Fn(i64) -> i64) -> Result<Self> {
        let mut source: Vec<usize> = (0..set.len()).collect();
        source.sort_unstable_by_key(|&i| (set.brand[i], set.row[i]));
        let rows: Vec<i64> = source.iter().map(|&i| set.row[i]).collect();
        let images: Vec<i64> = rows.iter().map(|&row| image_of_row(row)).collect();
        let mut brands: Vec<BrandRange> = Vec::new();
        let mut first = 0;
        for group in source.chunk_by(|&a, &b| set.brand[a] == set.brand[b]) {
            let mut positions: Vec<usize> = (first..first + group.len()).collect();
            positions.sort_by_key(|&p| images[p]);
            brands.push(BrandRange {
                index: u32::try_from(set.brand[group[0]])?,
                first,
                images: positions
                    .chunk_by(|&a, &b| images[a] == images[b])
                    .map(<[usize]>::to_vec)
                    .collect(),
            });
            first += group.len();
        }
        ensure!(
            brands.len() >= 2,
            "{} brand(s) have embeddings; few-shot episodes need at least two",
            brands.len()
        );
        Ok(Self {
            rows,
            images,
            brands,
            source,
        })
    }

    /// Number of rows N.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it holds no row; [`Self::new`] makes no such index.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Place in [`Self::brands`] of each position's brand, `[N]`.
    pub fn brand_of_position(&self) -> Vec<u32> {
        (0..)
            .zip(&self.brands)
            .flat_map(|(place, brand)| std::iter::repeat_n(place, brand.len()))
            .collect()
    }

    /// The L2-normalised vectors of `set`, the set that this index was made from, in canonical order.
    pub fn unit_vectors(&self, set: &EmbeddingSet) -> UnitVectors {
        let mut vectors = UnitVectors::zeros(self.len(), set.dim);
        for (position, &i) in self.source.iter().enumerate() {
            vectors.set(position, set.embedding(i));
        }
        vectors
    }
}

/// The test brands' rows, which are judged, and the validation brands', on which thresholds are chosen.
#[derive(Debug)]
pub struct Folds {
    /// Test rows.
    pub test: FoldIndex,
    /// Validation rows.
    pub val: Option<FoldIndex>,
}

impl Folds {
    /// The L2-normalised vectors of the sets that these were made from.
    pub fn vectors(
        &self,
        test: &EmbeddingSet,
        val: Option<&EmbeddingSet>,
    ) -> (UnitVectors, Option<UnitVectors>) {
        let val = val.zip(self.val.as_ref());
        (
            self.test.unit_vectors(test),
            val.map(|(val, fold)| fold.unit_vectors(val)),
        )
    }
}

/// For tests: brand b has `sizes[b]` rows; `per_image` neighbouring rows share a source image.
#[cfg(test)]
pub(crate) fn of_sizes(sizes: &[usize], per_image: i64) -> FoldIndex {
    let brand: Vec<i64> = sizes
        .iter()
        .enumerate()
        .flat_map(|(b, &n)| vec![b as i64; n])
        .collect();
    let n = brand.len();
    let set = EmbeddingSet {
        dim: 1,
        embeddings: vec![1.0; n],
        brand,
        row: (0..n as i64).collect(),
    };
    FoldIndex::new(&set, &|row| row / per_image).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(brand: &[i64], row: &[i64]) -> EmbeddingSet {
        EmbeddingSet {
            dim: 3,
            embeddings: row
                .iter()
                .flat_map(|&r| [r as f32 + 1.0, 2.0, -1.0])
                .collect(),
            brand: brand.to_vec(),
            row: row.to_vec(),
        }
    }

    #[test]
    fn the_order_of_the_file_does_not_matter() {
        let (a, b) = (
            set(&[5, 2, 5, 2], &[9, 3, 8, 4]),
            set(&[2, 2, 5, 5], &[4, 3, 8, 9]),
        );
        let image = |row: i64| row / 2;
        let (ra, rb) = (
            FoldIndex::new(&a, &image).unwrap(),
            FoldIndex::new(&b, &image).unwrap(),
        );
        assert_eq!(ra.rows, [3, 4, 8, 9]);
        assert_eq!(ra.rows, rb.rows);
        assert_eq!(ra.brands, rb.brands);
        assert_eq!(ra.unit_vectors(&a), rb.unit_vectors(&b));
    }

    #[test]
    fn rows_of_one_picture_are_one_image() {
        let fold = FoldIndex::new(&set(&[0, 0, 0, 1], &[0, 1, 2, 3]), &|row| {
            [7, 5, 7, 1][row as usize]
        })
        .unwrap();
        assert_eq!(fold.brands[0].images, [vec![1], vec![0, 2]]);
        assert_eq!(fold.brands[0].positions(), 0..3);
    }

    #[test]
    fn vectors_have_length_one_and_keep_their_direction() {
        let set = set(&[0, 1], &[0, 1]);
        let vectors = FoldIndex::new(&set, &|r| r).unwrap().unit_vectors(&set);
        let v = vectors.get(1);
        assert_eq!(v.len(), 3);
        assert!((v.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((v[0] / v[2] + 2.0).abs() < 1e-6);
        assert_eq!(vectors.chunks(1).len(), 1);
        assert_eq!(vectors.chunks(1)[0][3..], [0.0; 5]);
    }

    #[test]
    fn one_brand_is_no_test() {
        let error = FoldIndex::new(&set(&[3, 3], &[0, 1]), &|r| r).unwrap_err();
        assert!(error.to_string().contains("at least two"));
    }
}
