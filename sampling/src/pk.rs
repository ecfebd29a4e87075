//! P×K batches with coverage: P brands with K pictures each, for losses that look at all pairs of a batch.
//!
//! Brands and a brand's source images are both dealt like cards: shuffle, deal without replacement, shuffle again when
//! the pack is used up, and never the same card twice in one hand. So over an epoch every brand is drawn equally often,
//! give or take one, and so is every source image of a brand. Of a source image, which with object crops has several
//! rows, a batch shows one: two crops of one photograph share light, grain and background, and as a positive pair would
//! teach the network to recognise the photograph. The evaluation never lets them meet either.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use logodex_program::Failure;
use logodex_schemas::random::stream;
use logodex_schemas::train::DataConfig;
use rand::Rng;
use rand::seq::SliceRandom;

use crate::fold_rows::{BrandRows, FoldRows};
use crate::samples::Labelled;

/// Batches in an epoch of P×K batches: as many as bring its pictures nearest to the number of the fold's rows, at least
/// one.
fn n_pk_batches(n_rows: usize, batch: usize) -> usize {
    ((n_rows + batch / 2) / batch).max(1)
}

/// An epoch of P×K batches, one after the other: `batch` pictures each, `batch` / `per_brand` brands with `per_brand`
/// pictures side by side. No brand is twice in a batch; over the epoch the numbers of batches that two brands are in
/// differ by one at most.
///
/// Within its brand, a batch's pictures are of different source images. A brand with fewer than `per_brand` source
/// images shows several rows of one; with fewer rows, too, it repeats them, each about equally often: the copies are
/// augmented each in its own way.
///
/// # Panics
/// If the fold has fewer brands than a batch holds; [`check_pk`] finds that earlier.
pub fn pk(fold: &FoldRows, batch: usize, per_brand: usize, seed: u64, epoch: u64) -> Vec<Labelled> {
    let (n_brands, per_batch) = (fold.brands.len(), batch / per_brand);
    assert!(
        per_batch <= n_brands,
        "{per_batch} brands of {n_brands} in a batch"
    );
    let n_batches = n_pk_batches(fold.n_rows(), batch);
    let numbers: Vec<i64> = (0..n_brands as i64).collect();
    let brands = deal(
        &numbers,
        per_batch,
        n_batches,
        &mut stream(seed, "pk brands", &[epoch]),
    );
    let mut turns = vec![0; n_brands];
    brands.iter().for_each(|&brand| turns[brand] += 1);
    let mut hands: Vec<std::vec::IntoIter<usize>> = fold
        .brands
        .iter()
        .zip(turns)
        .map(|(brand, turns)| {
            let rng = &mut stream(seed, "pk rows", &[epoch, u64::from(brand.brand)]);
            deal_rows(&brand.images, per_brand, turns, rng).into_iter()
        })
        .collect();
    brands
        .into_iter()
        .flat_map(|brand| {
            let rows = &fold.brands[brand].rows;
            let hand: Vec<usize> = hands[brand].by_ref().take(per_brand).collect();
            hand.into_iter().map(move |position| Labelled {
                row: rows[position],
                class: brand as i64,
            })
        })
        .collect()
}

/// Rows of a brand for `hands` batches, `size` for each, one after the other; `images` are the rows' source images.
///
/// With `size` source images or more, these are dealt, and of each its rows in turn; with fewer, the rows are.
fn deal_rows(images: &[i64], size: usize, hands: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut rows_of: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (row, image) in images.iter().enumerate() {
        rows_of.entry(*image).or_default().push(row);
    }
    if rows_of.len() < size {
        return deal(images, size, hands, rng);
    }
    let different: Vec<i64> = rows_of.keys().copied().collect();
    let dealt = deal(&different, size, hands, rng);
    let mut turns: Vec<_> = rows_of
        .into_values()
        .map(|mut rows| {
            rows.shuffle(rng);
            rows.into_iter().cycle()
        })
        .collect();
    dealt
        .into_iter()
        .filter_map(|image| turns[image].next())
        .collect()
}

/// `hands` hands of `size` cards each, one after the other, from packs of the cards `0..kinds.len()`.
///
/// Cards are dealt from a shuffled pack until it is used up, then from the next, so the numbers of times that two cards
/// are dealt differ by one at most. A hand takes the first card of a kind that it has not, else the first of those that
/// it has fewest of, of a kind that it has fewest of; so only a hand larger than a pack holds a card twice.
fn deal(kinds: &[i64], size: usize, hands: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut pack: VecDeque<usize> = VecDeque::new();
    let mut dealt: Vec<usize> = Vec::with_capacity(hands * size);
    for hand in 0..hands {
        let begin = hand * size;
        while dealt.len() < begin + size {
            if pack.is_empty() {
                let mut cards: Vec<usize> = (0..kinds.len()).collect();
                cards.shuffle(rng);
                pack = cards.into();
            }
            let held = &dealt[begin..];
            let copies = |card: usize| held.iter().filter(|other| **other == card).count();
            let kin = |card: usize| {
                let of_kind = |other: &&usize| kinds[**other] == kinds[card];
                held.iter().filter(of_kind).count()
            };
            // The first look is the short way to what the second would find.
            let place = pack.iter().position(|&card| kin(card) == 0).or_else(|| {
                let places = 0..pack.len();
                places.min_by_key(|&place| (copies(pack[place]), kin(pack[place])))
            });
            let place = place.unwrap_or(0);
            dealt.extend(pack.remove(place));
        }
    }
    dealt
}

/// Whether batches of this configuration can be made of `n_brands` training brands.
///
/// # Errors
/// [`Failure::Usage`] naming the keys and the numbers when a batch needs more brands than there are.
pub fn check_pk(data: &DataConfig, n_brands: usize) -> Result<(), Failure> {
    let (batch, per_brand) = (data.batch, data.images_per_brand);
    let needed = batch / per_brand;
    if needed as usize <= n_brands {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "data.batch = {batch} with data.images_per_brand = {per_brand} needs {needed} different brands in a batch, but there are {n_brands} training brands; set data.batch to at most {} or raise data.images_per_brand",
        n_brands * per_brand as usize
    )))
}

/// Warns, once and with their numbers, of brands that cannot fill their part of a batch without meeting a photograph
/// again.
pub(crate) fn warn_of_short_brands(fold: &FoldRows, per_brand: usize) {
    let (short, repeating) = n_short(fold, per_brand);
    if short > 0 {
        tracing::warn!(
            short_brands = short,
            repeating_brands = repeating,
            "{short} of {} training brands have fewer than data.images_per_brand = {per_brand} source images, so that a batch shows one of theirs again: in another crop or, in the {repeating} brands with too few crops, too, as a copy with an augmentation of its own",
            fold.brands.len()
        );
    }
}

/// Brands with fewer than `per_brand` source images, and those of them with fewer rows, too.
fn n_short(fold: &FoldRows, per_brand: usize) -> (usize, usize) {
    let n_images = |brand: &BrandRows| brand.images.iter().collect::<BTreeSet<_>>().len();
    let short = fold.brands.iter().filter(|b| n_images(b) < per_brand);
    let repeating = short.clone().filter(|b| b.rows.len() < per_brand);
    (short.count(), repeating.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Brands with these numbers of rows, of which `per_image` neighbours are cut from one source image.
    fn fold(sizes: &[u64], per_image: u64) -> FoldRows {
        let mut next = 0;
        let brand = |(i, &n): (usize, &u64)| {
            let rows: Vec<u64> = (next..next + n).collect();
            next += n;
            let images = rows.iter().map(|row| (row / per_image) as i64).collect();
            BrandRows {
                brand: 7 + i as u32,
                rows,
                images,
            }
        };
        FoldRows {
            brands: sizes.iter().enumerate().map(brand).collect(),
        }
    }

    fn counts<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
        let mut counts = BTreeMap::new();
        items.for_each(|item| *counts.entry(item).or_default() += 1);
        counts
    }

    fn spread(counts: impl Iterator<Item = usize> + Clone) -> usize {
        counts.clone().max().unwrap_or(0) - counts.min().unwrap_or(0)
    }

    /// What must hold of every epoch of every fold.
    fn check_epoch(fold: &FoldRows, batch: usize, per_brand: usize, seed: u64, epoch: u64) {
        let drawn = pk(fold, batch, per_brand, seed, epoch);
        let n_brands = fold.brands.len();
        assert_eq!(drawn.len(), n_pk_batches(fold.n_rows(), batch) * batch);

        let rows_and_images = fold
            .brands
            .iter()
            .flat_map(|b| b.rows.iter().zip(&b.images));
        let image_of: BTreeMap<u64, i64> = rows_and_images.map(|(&r, &i)| (r, i)).collect();
        let n_images = |class: usize| counts(fold.brands[class].images.iter()).len();
        let mut times = vec![0; n_brands];
        for pictures in drawn.chunks(batch) {
            for group in pictures.chunks(per_brand) {
                let class = group[0].class as usize;
                assert!(group.iter().all(|l| l.class as usize == class));
                times[class] += 1;
                let rows = &fold.brands[class].rows;
                assert!(group.iter().all(|l| rows.contains(&l.row)));
                let repeats = counts(group.iter().map(|l| l.row));
                let most = per_brand.div_ceil(rows.len());
                assert!(repeats.values().all(|&n| n <= most), "{repeats:?}");
                let met = counts(group.iter().map(|l| image_of[&l.row]));
                assert!(n_images(class) < per_brand || met.len() == per_brand);
            }
            let brands = counts(pictures.iter().map(|l| l.class));
            assert_eq!(
                brands.len(),
                batch / per_brand,
                "a brand is twice in a batch"
            );
        }
        assert!(spread(times.iter().copied()) <= 1, "brands: {times:?}");

        let shown = counts(drawn.iter().map(|l| l.row));
        let times = |row: &u64| shown.get(row).copied().unwrap_or(0);
        for (class, brand) in fold.brands.iter().enumerate() {
            let mut by_image: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
            for (row, image) in brand.rows.iter().zip(&brand.images) {
                by_image.entry(*image).or_default().push(times(row));
            }
            if n_images(class) < per_brand {
                assert!(spread(brand.rows.iter().map(times)) <= 1, "rows of {class}");
                continue;
            }
            let of_images = by_image.values().map(|times| times.iter().sum());
            assert!(spread(of_images) <= 1, "images of {class}");
            for times in by_image.values() {
                assert!(spread(times.iter().copied()) <= 1, "rows of {class}");
            }
        }
    }

    #[test]
    fn every_epoch_of_every_fold_covers_brands_and_rows_evenly() {
        let mut rng = stream(1, "fold shapes", &[]);
        for trial in 0..300 {
            let n_brands = rng.random_range(2..30);
            let largest = [1, 3, 12, 60][trial % 4];
            let sizes: Vec<u64> = (0..n_brands)
                .map(|_| rng.random_range(1..=largest))
                .collect();
            let per_brand = rng.random_range(2..6);
            let per_batch = match trial % 3 {
                0 => n_brands,
                _ => rng.random_range(2..=n_brands),
            };
            let fold = fold(&sizes, rng.random_range(1..4));
            check_epoch(&fold, per_batch * per_brand, per_brand, 5, trial as u64);
        }
    }

    #[test]
    fn brands_of_one_image_repeat_it_and_an_epoch_has_at_least_one_batch() {
        check_epoch(&fold(&[1, 1, 1], 1), 12, 4, 0, 0);
        check_epoch(&fold(&[1, 1], 1), 4, 2, 0, 0);
        let drawn = pk(&fold(&[1, 5], 1), 8, 4, 0, 0);
        assert_eq!(drawn.iter().filter(|l| l.row == 0).count(), 4);
    }

    #[test]
    fn an_epoch_has_about_as_many_pictures_as_the_fold() {
        for (rows, batch, expected) in [(100, 32, 3), (112, 32, 4), (5, 32, 1), (64, 64, 1)] {
            assert_eq!(
                n_pk_batches(rows, batch),
                expected,
                "{rows} rows by {batch}"
            );
        }
    }

    #[test]
    fn a_photograph_with_many_crops_is_shown_once_in_a_batch_and_no_oftener_than_others() {
        // Of the brand's 40 rows, 37 are crops of one photograph.
        let mut fold = fold(&[40, 40], 1);
        fold.brands[0].images[3..].fill(3);
        for epoch in 0..20 {
            check_epoch(&fold, 8, 4, 3, epoch);
        }
        // Over epochs all its crops are seen.
        let drawn = (0..40).flat_map(|epoch| pk(&fold, 8, 4, 3, epoch));
        assert_eq!(counts(drawn.map(|l| l.row)).len(), 80);
    }

    #[test]
    fn brands_that_must_meet_a_photograph_again_are_counted() {
        // Two crops of each photograph: 5, 2, 2 and 1 of them.
        let fold = fold(&[10, 4, 3, 1], 2);
        assert_eq!(n_short(&fold, 4), (3, 2));
        assert_eq!(n_short(&fold, 1), (0, 0));
    }

    #[test]
    fn the_seed_and_the_epoch_decide_and_nothing_else() {
        let fold = fold(&[9, 4, 7, 30, 2], 2);
        let drawn = |seed, epoch| pk(&fold, 8, 4, seed, epoch);
        assert_eq!(drawn(1, 0), drawn(1, 0));
        assert_ne!(drawn(1, 0), drawn(1, 1));
        assert_ne!(drawn(1, 0), drawn(2, 0));
    }

    #[test]
    fn more_brands_than_there_are_is_refused_with_both_keys_and_all_numbers() {
        let data = DataConfig {
            batch: 64,
            images_per_brand: 4,
            ..DataConfig::default()
        };
        check_pk(&data, 16).expect("16 brands are enough");
        let message = check_pk(&data, 15)
            .expect_err("15 are not enough")
            .to_string();
        for part in [
            "data.batch = 64",
            "data.images_per_brand = 4",
            "16 different",
            "15 training",
            "at most 60",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }
}
