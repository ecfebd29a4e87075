//! The paper's samplers. What they draw for an anchor depends on its row and the epoch alone, not on what was drawn
//! before it.
//!
//! A positive shows the same brand in another source image wherever the brand has one: with object crops, two boxes
//! of one photograph are nearly the same pixels, and would teach the network to recognise the photograph.

use logodex_schemas::random::stream;
use rand::Rng;
use rand::seq::SliceRandom;

use crate::fold_rows::{BrandRows, FoldRows};
use crate::samples::{Labelled, Pair, Triplet};

/// One triplet per row whose brand has another row, in an order drawn for the epoch. Empty with fewer than two brands.
pub fn triplets(fold: &FoldRows, seed: u64, epoch: u64) -> Vec<Triplet> {
    anchors(fold, seed, epoch)
        .into_iter()
        .map(|(brand, position)| {
            let anchor = fold.brands[brand].rows[position];
            let rng = &mut stream(seed, "triplet", &[epoch, anchor]);
            Triplet {
                anchor,
                positive: positive(&fold.brands[brand], position, rng),
                negative: negative(fold, brand, rng),
            }
        })
        .collect()
}

/// One pair per row whose brand has another row: a fair coin decides between a positive and a negative. Rows that
/// could be no positive's anchor make no negative's either, so that the coin stays fair. Empty with fewer than two
/// brands.
pub fn pairs(fold: &FoldRows, seed: u64, epoch: u64) -> Vec<Pair> {
    anchors(fold, seed, epoch)
        .into_iter()
        .map(|(brand, position)| {
            let first = fold.brands[brand].rows[position];
            let rng = &mut stream(seed, "pair", &[epoch, first]);
            let same = rng.random_bool(0.5);
            let second = match same {
                true => positive(&fold.brands[brand], position, rng),
                false => negative(fold, brand, rng),
            };
            Pair {
                first,
                second,
                same,
            }
        })
        .collect()
}

/// Every row with its class, in an order drawn for the epoch.
pub fn labelled(fold: &FoldRows, seed: u64, epoch: u64) -> Vec<Labelled> {
    let mut rows: Vec<Labelled> = fold
        .brands
        .iter()
        .enumerate()
        .flat_map(|(class, brand)| {
            brand.rows.iter().map(move |&row| Labelled {
                row,
                class: class as i64,
            })
        })
        .collect();
    rows.shuffle(&mut stream(seed, "order", &[epoch]));
    rows
}

/// (brand, position) of every row that can be an anchor, shuffled for the epoch.
fn anchors(fold: &FoldRows, seed: u64, epoch: u64) -> Vec<(usize, usize)> {
    if fold.brands.len() < 2 {
        return Vec::new();
    }
    let mut anchors: Vec<(usize, usize)> = fold
        .brands
        .iter()
        .enumerate()
        .filter(|(_, brand)| brand.rows.len() >= 2)
        .flat_map(|(b, brand)| (0..brand.rows.len()).map(move |position| (b, position)))
        .collect();
    anchors.shuffle(&mut stream(seed, "order", &[epoch]));
    anchors
}

/// Uniform over the brand's rows of other source images; where it has only one image, over its other rows.
fn positive(brand: &BrandRows, anchor: usize, rng: &mut impl Rng) -> u64 {
    let image = brand.images[anchor];
    let n_others = brand.images.iter().filter(|other| **other != image).count();
    if n_others == 0 {
        let drawn = rng.random_range(0..brand.rows.len() - 1);
        return brand.rows[drawn + usize::from(drawn >= anchor)];
    }
    let drawn = rng.random_range(0..n_others);
    brand
        .rows
        .iter()
        .zip(&brand.images)
        .filter(|(_, other)| **other != image)
        .nth(drawn)
        .map_or(brand.rows[anchor], |(row, _)| *row)
}

/// A uniform other brand, then a uniform row of it.
fn negative(fold: &FoldRows, brand: usize, rng: &mut impl Rng) -> u64 {
    let drawn = rng.random_range(0..fold.brands.len() - 1);
    let rows = &fold.brands[drawn + usize::from(drawn >= brand)].rows;
    rows[rng.random_range(0..rows.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Brands with these numbers of rows; rows are dense. `rows_per_image` rows share each source image.
    fn fold(sizes: &[u64], rows_per_image: u64) -> FoldRows {
        let mut next = 0;
        let brands = sizes
            .iter()
            .enumerate()
            .map(|(i, &n)| {
                let rows: Vec<u64> = (next..next + n).collect();
                next += n;
                BrandRows {
                    brand: 10 + i as u32,
                    // Image numbers start anew for each brand, offset so that no two brands share one.
                    images: (0..n)
                        .map(|k| 1000 * i as i64 + (k / rows_per_image) as i64)
                        .collect(),
                    rows,
                }
            })
            .collect();
        FoldRows { brands }
    }

    fn owners(fold: &FoldRows) -> BTreeMap<u64, (usize, i64)> {
        let mut owners = BTreeMap::new();
        for (b, brand) in fold.brands.iter().enumerate() {
            for (row, image) in brand.rows.iter().zip(&brand.images) {
                owners.insert(*row, (b, *image));
            }
        }
        owners
    }

    fn sorted(rows: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut rows: Vec<u64> = rows.collect();
        rows.sort_unstable();
        rows
    }

    #[test]
    fn each_row_is_anchor_once_with_a_positive_of_another_image_and_a_negative_of_another_brand() {
        let fold = fold(&[6, 4, 9, 2], 2);
        let owners = owners(&fold);
        let drawn = triplets(&fold, 7, 3);
        assert_eq!(sorted(drawn.iter().map(|t| t.anchor)), sorted(0..21));
        for t in &drawn {
            let (brand, image) = owners[&t.anchor];
            assert_eq!(owners[&t.positive].0, brand);
            assert_ne!(t.positive, t.anchor);
            assert_ne!(owners[&t.negative].0, brand);
            // The last brand has one source image only, so there the other crop of that image is all there is.
            assert_eq!(owners[&t.positive].1 != image, brand != 3);
        }
    }

    #[test]
    fn the_coin_is_fair_and_each_side_keeps_its_promise() {
        let fold = fold(&[500, 300, 200], 1);
        let owners = owners(&fold);
        let drawn = pairs(&fold, 1, 0);
        assert_eq!(sorted(drawn.iter().map(|p| p.first)), sorted(0..1000));
        for p in &drawn {
            assert_eq!(p.same, owners[&p.first].0 == owners[&p.second].0);
            assert_ne!(p.first, p.second);
        }
        // Four standard deviations of a fair coin thrown 1,000 times.
        let positives = drawn.iter().filter(|p| p.same).count();
        assert!((437..=563).contains(&positives), "{positives}");
    }

    #[test]
    fn a_negative_is_a_uniform_brand_first_whatever_its_size() {
        let fold = fold(&[2000, 100, 10], 1);
        let owners = owners(&fold);
        let drawn = triplets(&fold, 5, 0);
        let small = drawn
            .iter()
            .filter(|t| owners[&t.anchor].0 == 0 && owners[&t.negative].0 == 2)
            .count();
        assert!((900..=1100).contains(&small), "{small} of 2000");
    }

    #[test]
    fn the_same_seed_and_epoch_draw_the_same_and_others_do_not() {
        let fold = fold(&[20, 20, 20], 1);
        assert_eq!(triplets(&fold, 1, 0), triplets(&fold, 1, 0));
        assert_ne!(triplets(&fold, 1, 0), triplets(&fold, 1, 1));
        assert_ne!(triplets(&fold, 1, 0), triplets(&fold, 2, 0));
        assert_ne!(pairs(&fold, 1, 0), pairs(&fold, 1, 1));
        assert_ne!(labelled(&fold, 1, 0), labelled(&fold, 1, 1));
        // Not only the order changes from epoch to epoch but the partners too.
        let partner = |epoch| {
            let mut drawn = triplets(&fold, 1, epoch);
            drawn.sort_unstable_by_key(|t| t.anchor);
            drawn.iter().map(|t| t.positive).collect::<Vec<_>>()
        };
        assert_ne!(partner(0), partner(1));
    }

    #[test]
    fn a_brand_with_one_row_is_never_first_but_may_be_a_negative() {
        let fold = fold(&[40, 1, 40], 1);
        assert_eq!(fold.n_single(), 1);
        let drawn = triplets(&fold, 3, 0);
        assert_eq!(drawn.len(), 80);
        assert!(drawn.iter().all(|t| t.anchor != 40 && t.positive != 40));
        assert!(drawn.iter().any(|t| t.negative == 40));
        assert!(pairs(&fold, 3, 0).iter().all(|p| p.first != 40));
        assert_eq!(labelled(&fold, 3, 0).len(), 81);
    }

    #[test]
    fn one_brand_alone_yields_nothing() {
        assert!(triplets(&fold(&[8], 1), 0, 0).is_empty());
        assert!(pairs(&fold(&[8], 1), 0, 0).is_empty());
    }

    #[test]
    fn classes_are_positions_among_the_fold_s_brands() {
        let fold = fold(&[3, 2], 1);
        let mut drawn = labelled(&fold, 0, 0);
        drawn.sort_unstable_by_key(|l| l.row);
        let classes: Vec<i64> = drawn.iter().map(|l| l.class).collect();
        assert_eq!(classes, [0, 0, 0, 1, 1]);
    }
}
