//! Searches for images of different brands that look the same though their bytes differ: found by perceptual hash, confirmed by a
//! second look at the pixels. They are listed for a person and never merged.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::evidence::rounded;
use crate::plan::hamming::{NEARLY_SAME, pairs_within};
use crate::raw::content::read_unchanged;
use crate::raw::scan::Scan;
use logodex_pixels::decode;

/// At least this correlation at 32 × 32 pixels confirms it.
pub const MIN_CORRELATION: f64 = 0.98;

/// An image is compared with at most this many others of greater number.
const MAX_PARTNERS: usize = 256;

/// Side of the picture that the second look is at, pixels.
const SIDE: usize = 32;

/// Brightness of an image reduced to 32 × 32 pixels, row by row, mean 0 and length 1: the product of two is their
/// correlation.
#[derive(Debug, Clone, PartialEq)]
pub struct Thumbnail(Box<[f32]>);

/// The thumbnail of a sample of a scan; none where nothing can be compared.
pub type Thumbnailer<'a> = &'a (dyn Fn(&Scan, usize) -> anyhow::Result<Option<Thumbnail>> + Sync);

impl Thumbnail {
    /// From `[32, 32]` brightnesses; none where they are all the same, since that resembles nothing.
    pub fn new(luma: &[f32]) -> Option<Self> {
        let mean = luma.iter().sum::<f32>() / luma.len() as f32;
        let length = luma.iter().map(|v| (v - mean).powi(2)).sum::<f32>().sqrt();
        // A picture that is flat but for rounding has nothing to compare.
        if length < 1.0 {
            return None;
        }
        Some(Self(luma.iter().map(|v| (v - mean) / length).collect()))
    }

    /// Normalised cross-correlation, -1 to 1.
    pub fn correlation(&self, other: &Self) -> f64 {
        let products = self.0.iter().zip(&other.0);
        let sum: f64 = products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        rounded(sum)
    }
}

/// The thumbnail of a sample: BT.601 luma, mean over boxes. None where it cannot be decoded, is of one colour or smaller
/// than 32 × 32.
///
/// # Errors
/// The file cannot be read, or is not the one that was scanned.
pub fn thumbnail(scan: &Scan, sample: usize) -> anyhow::Result<Option<Thumbnail>> {
    let sample = &scan.samples[sample];
    let bytes = read_unchanged(&scan.root, &sample.image, sample.image_blake3)?;
    let seen = decode::with_picture(&bytes, |picture| {
        let (width, height) = (picture.width as usize, picture.height as usize);
        if width < SIDE || height < SIDE {
            return None;
        }
        let mut luma = vec![0f32; SIDE * SIDE];
        for (y, row) in luma.chunks_exact_mut(SIDE).enumerate() {
            let lines = y * height / SIDE..(y + 1) * height / SIDE;
            for (x, value) in row.iter_mut().enumerate() {
                let columns = x * width / SIDE..(x + 1) * width / SIDE;
                let mut sum = 0u64;
                for line in lines.clone() {
                    let pixels = picture.row(line).skip(columns.start);
                    for rgb in pixels.take(columns.len()) {
                        let [red, green, blue] = rgb.map(u64::from);
                        sum += 299 * red + 587 * green + 114 * blue;
                    }
                }
                *value = sum as f32 / (lines.len() * columns.len() * 1000) as f32;
            }
        }
        Thumbnail::new(&luma)
    });
    Ok(seen.ok().flatten())
}

/// Pairs of images that may look the same.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// First, second and the bits in which they differ; the first is the smaller; sorted.
    pub pairs: Vec<(usize, usize, u32)>,
    /// Images with more partners than are compared, sorted: some of their pairs are missing.
    pub crowded: Vec<usize>,
}

/// Every pair of images of different groups whose hashes differ in at most [`NEARLY_SAME`] bits. `images` are number,
/// hash and group (the brand). The result does not depend on their order.
pub fn candidates(images: &[(usize, u64, u32)]) -> Candidates {
    // Equal hashes are one: no band tells them apart.
    let mut holders: BTreeMap<u64, Vec<(usize, u32)>> = BTreeMap::new();
    for &(image, hash, group) in images {
        holders.entry(hash).or_default().push((image, group));
    }
    for list in holders.values_mut() {
        list.sort_unstable();
    }
    let hashes: Vec<u64> = holders.keys().copied().collect();
    let holders: Vec<Vec<(usize, u32)>> = holders.into_values().collect();
    // Nearest first: with one's own hash, then by distance.
    let mut neighbours: Vec<Vec<(u32, u32)>> =
        (0..hashes.len()).map(|i| vec![(0, i as u32)]).collect();
    let mut cut = vec![false; hashes.len()];
    pairs_within(&hashes, NEARLY_SAME, &mut |a, b, distance| {
        for (of, other) in [(a, b), (b, a)] {
            // As many as could be compared in full: one image or more for each.
            if neighbours[of].len() <= 2 * MAX_PARTNERS {
                neighbours[of].push((distance, other as u32));
            } else {
                cut[of] = true;
            }
        }
    });
    let found: Vec<Candidates> = neighbours
        .par_iter_mut()
        .enumerate()
        .map(|(own, near)| {
            near.sort_unstable();
            let mut found = Candidates::default();
            for &(image, group) in &holders[own] {
                let others = near.iter().flat_map(|&(distance, hash)| {
                    // The list is sorted: what comes before the image has the pair already.
                    let list = &holders[hash as usize];
                    let later = list.partition_point(|&(other, _)| other <= image);
                    list[later..]
                        .iter()
                        .map(move |&(other, g)| (other, g, distance))
                });
                let mut others = others.filter(|&(_, g, _)| g != group);
                let few = others.by_ref().take(MAX_PARTNERS);
                found
                    .pairs
                    .extend(few.map(|(other, _, distance)| (image, other, distance)));
                if cut[own] || others.next().is_some() {
                    found.crowded.push(image);
                }
            }
            found
        })
        .collect();
    let mut all = Candidates::default();
    for part in found {
        all.pairs.extend(part.pairs);
        all.crowded.extend(part.crowded);
    }
    all.pairs.sort_unstable();
    all.crowded.sort_unstable();
    all
}

/// Takes a second look at every candidate and keeps those that it confirms, with their correlation. Each image is
/// decoded once.
///
/// # Errors
/// An image that cannot be read.
pub fn confirm(
    scan: &Scan,
    pairs: &[(usize, usize, u32)],
    thumbnail: Thumbnailer<'_>,
) -> anyhow::Result<Vec<(usize, usize, u32, f64)>> {
    let mut images: Vec<usize> = pairs.iter().flat_map(|&(a, b, _)| [a, b]).collect();
    images.sort_unstable();
    images.dedup();
    let thumbnails: Vec<Option<Thumbnail>> = images
        .par_iter()
        .map(|&i| thumbnail(scan, i))
        .collect::<anyhow::Result<_>>()?;
    let of = |image: &usize| thumbnails[images.binary_search(image).ok()?].as_ref();
    let confirmed = pairs.par_iter().filter_map(|&(a, b, distance)| {
        let correlation = of(&a)?.correlation(of(&b)?);
        (correlation >= MIN_CORRELATION).then_some((a, b, distance, correlation))
    });
    Ok(confirmed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::hamming::tests::numbers;

    fn slowly(images: &[(usize, u64, u32)]) -> Vec<(usize, usize, u32)> {
        let mut pairs = Vec::new();
        for a in images {
            for b in images {
                let distance = (a.1 ^ b.1).count_ones();
                if a.0 < b.0 && a.2 != b.2 && distance <= NEARLY_SAME {
                    pairs.push((a.0, b.0, distance));
                }
            }
        }
        pairs.sort_unstable();
        pairs
    }

    #[test]
    fn the_search_finds_what_comparing_all_with_all_finds() {
        let mut next = numbers(1);
        for crowded in [false, true] {
            let mut images = Vec::new();
            for i in 0..1500usize {
                // Crowded: all hashes agree in two whole bands and in most of a third.
                let random = if crowded {
                    next() & 0x0000_0f0f_0fff_0000
                } else {
                    next()
                };
                let mut hash = match i % 3 {
                    0 => random,
                    _ => images
                        .last()
                        .map_or(random, |image: &(usize, u64, u32)| image.1),
                };
                for _ in 0..next() % 5 {
                    hash ^= 1 << (next() % 64);
                }
                images.push((i, hash, (next() % 40) as u32));
            }
            let expected = slowly(&images);
            assert!(expected.len() > 300, "{}", expected.len());
            let found = candidates(&images);
            assert!(found.crowded.is_empty());
            assert_eq!(found.pairs, expected);
            images.reverse();
            assert_eq!(candidates(&images), found, "the order does not matter");
        }
    }

    #[test]
    fn a_crowd_is_cut_and_named() {
        // 400 images of one hash, each of a brand of its own, and one pair apart.
        let mut images: Vec<(usize, u64, u32)> = (0..400).map(|i| (i, 7, i as u32)).collect();
        images.extend([(400, u64::MAX, 0), (401, u64::MAX ^ 1, 1)]);
        let found = candidates(&images);
        assert_eq!(
            found.crowded,
            (0..400 - MAX_PARTNERS - 1).collect::<Vec<_>>()
        );
        assert!(found.pairs.contains(&(400, 401, 1)));
        assert!(found.pairs.contains(&(0, MAX_PARTNERS, 0)));
        assert!(!found.pairs.contains(&(0, MAX_PARTNERS + 1, 0)));
        assert!(candidates(&images[..1]).pairs.is_empty());
        // Of one brand, they are no pairs at all.
        let one: Vec<_> = (0..400).map(|i| (i, 7, 3)).collect();
        assert_eq!(candidates(&one), Candidates::default());
    }

    #[test]
    fn a_full_set_is_searched_even_when_crowded() {
        let mut next = numbers(2);
        // A third differs in 20 bits of one half only: a million hashes there, and 16 and more share every band.
        let images: Vec<(usize, u64, u32)> = (0..151_000)
            .map(|i| {
                let hash = if i % 3 == 0 {
                    next() & 0xf_ffff
                } else {
                    next()
                };
                (i, hash, (next() % 2863) as u32)
            })
            .collect();
        // Comparing all with all would be eleven thousand million pairs; comparing some with all is not.
        let found = candidates(&images);
        let (mut whole, mut cut) = (0, 0);
        for &(image, hash, group) in images.iter().step_by(500) {
            let later = &images[image + 1..];
            let near = later.iter().filter_map(|&(other, other_hash, g)| {
                let distance = (hash ^ other_hash).count_ones();
                (g != group && distance <= NEARLY_SAME).then_some((image, other, distance))
            });
            let near: Vec<_> = near.collect();
            let first = found.pairs.partition_point(|pair| pair.0 < image);
            let listed = found.pairs[first..].partition_point(|pair| pair.0 == image);
            let listed = &found.pairs[first..first + listed];
            if found.crowded.binary_search(&image).is_ok() {
                assert!(near.len() > MAX_PARTNERS && listed.len() == MAX_PARTNERS);
                assert!(listed.iter().all(|pair| near.contains(pair)));
                cut += 1;
            } else {
                assert_eq!(listed, near, "image {image}");
                whole += near.len();
            }
        }
        assert!(whole > 300 && cut > 0, "{whole} pairs, {cut} crowded");
        assert!(found.pairs.iter().all(|&(a, b, distance)| {
            (images[a].1 ^ images[b].1).count_ones() == distance && images[a].2 != images[b].2
        }));
    }

    #[test]
    fn correlation_sees_structure_and_not_brightness() {
        let mut next = numbers(3);
        let luma: Vec<f32> = (0..SIDE * SIDE).map(|_| (next() % 256) as f32).collect();
        let brighter: Vec<f32> = luma.iter().map(|v| v * 0.5 + 90.0).collect();
        let other: Vec<f32> = (0..SIDE * SIDE).map(|_| (next() % 256) as f32).collect();
        let looks = [luma, brighter, other].map(|l| Thumbnail::new(&l).expect("a thumbnail"));
        assert_eq!(looks[0].correlation(&looks[1]), 1.0);
        assert!(looks[0].correlation(&looks[2]).abs() < 0.2);
        assert_eq!(Thumbnail::new(&[7.0; SIDE * SIDE]), None);
    }
}
