//! Where shards end.

use std::collections::BTreeSet;

use super::*;

/// A catalog in the shape of LogoDet-3K at 224 px: brands of 4 to 400 images, most of 20 to 60, a row each. An image is a
/// number, as is a brand.
#[derive(Clone)]
struct Images(Vec<(u64, u64)>);

fn hash(of: &[u64]) -> [u8; 32] {
    let bytes: Vec<u8> = of.iter().flat_map(|n| n.to_le_bytes()).collect();
    *blake3::hash(&bytes).as_bytes()
}

fn number(of: &[u64]) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| hash(of)[i]))
}

const ROWS: usize = 445;

impl Images {
    fn new() -> Self {
        let brands = 0..600u64;
        let images = brands.flat_map(|brand| {
            let n = match number(&[brand]) % 20 {
                0 => 100 + number(&[brand, 1]) % 300,
                1..3 => 4 + number(&[brand, 1]) % 12,
                _ => 20 + number(&[brand, 1]) % 40,
            };
            (0..n).map(move |image| (2 * brand, 2 * image))
        });
        Self(images.collect())
    }

    /// The shards, each as the list of its images.
    fn shards(&self) -> BTreeSet<Vec<(u64, u64)>> {
        let Self(images) = self;
        let rank = |i: usize| {
            let (brand, image) = images[i];
            match images[i - 1].0 == brand {
                true => (true, hash(&[brand, image])),
                false => (false, hash(&[brand])),
            }
        };
        let cuts = cut(&vec![1; images.len()], ROWS, rank);
        let sizes = cuts.iter().map(ExactSizeIterator::len);
        assert_eq!(sizes.sum::<usize>(), images.len(), "every image once");
        let last = cuts.len() - 1;
        for (i, range) in cuts.iter().enumerate() {
            assert!(range.len() <= ROWS && (i == last || 2 * range.len() >= ROWS));
        }
        cuts.into_iter()
            .map(|range| images[range].to_vec())
            .collect()
    }
}

#[test]
fn an_added_image_or_brand_rewrites_one_shard() {
    let before = Images::new();
    let shards = before.shards();
    assert!(shards.len() > 50, "{}", shards.len());
    let trials = 400;
    for what in ["image", "removed image", "brand"] {
        let (mut rewritten, mut one, mut most) = (0, 0, 0);
        for trial in 0..trials {
            let at = number(&[trial, 7]) as usize % before.0.len();
            let (brand, image) = before.0[at];
            let mut after = before.clone();
            match what {
                "image" => after.0.insert(at + 1, (brand, image + 1)),
                "removed image" => drop(after.0.remove(at)),
                _ => {
                    let begins = before.0.partition_point(|other| other.0 <= brand);
                    let new = (0..1 + trial % 50).map(|image| (brand + 1, image));
                    drop(after.0.splice(begins..begins, new));
                }
            }
            let written = after.shards().difference(&shards).count();
            rewritten += written;
            one += usize::from(written == 1);
            most = most.max(written);
        }
        let mean = rewritten as f64 / trials as f64;
        println!(
            "{what}: {mean:.3} of {} shards on average, {one} of {trials} times one, {most} at most",
            shards.len()
        );
        // A brand may make two of one.
        let (allowed, often) = if what == "brand" {
            (1.6, 60)
        } else {
            (1.1, 95)
        };
        assert!((1.0..allowed).contains(&mean), "{what}: {mean}");
        assert!(
            one * 100 >= often * trials as usize,
            "{what}: {one} of {trials}"
        );
    }
}

#[test]
fn a_sample_larger_than_a_shard_stands_alone() {
    let by_place = |i: usize| i;
    assert_eq!(cut(&[3, 12, 3, 0, 4], 10, by_place), [0..1, 1..2, 2..5]);
    assert_eq!(
        cut(&[0, 0], 10, by_place),
        std::iter::once(0..2).collect::<Vec<_>>()
    );
    assert!(cut(&[], 10, by_place).is_empty());
    // The lowest of the places where five or more are held.
    assert_eq!(cut(&[2; 9], 10, |i| i % 4), [0..4, 4..9]);
    // A brand larger than a shard is cut within.
    assert!(
        cut(&[1; 100], 10, |i| (true, hash(&[i as u64])))
            .iter()
            .all(|r| r.len() <= 10)
    );
}
