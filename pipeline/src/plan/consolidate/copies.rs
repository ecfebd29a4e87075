//! Decides which images of one brand are copies of one another (the same bytes, or the same pixels once decoded), and
//! under which name each image that is kept goes on. Of the
//! copies that have a usable box, the first in the order of the members stays: the lowest suffix holds the truthful
//! annotation.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use logodex_schemas::plan::{DroppedCopy, Overlap, RenamedImage, Sameness};
use rayon::prelude::*;

use super::brands::BrandFolders;
use super::naming;
use super::near_images::MAX_DISTANCE;
use crate::raw::name::file_key;
use crate::raw::scan::{RawSample, Scan};

/// Hash of an image file's decoded pixels and size, or none if it cannot be decoded.
pub type PixelHash<'a> = &'a (dyn Fn(&Path) -> Option<blake3::Hash> + Sync);

/// What is to happen to the images of one brand.
#[derive(Debug, Default, PartialEq)]
pub struct Copies {
    /// Copies dropped, in the order of members and stems.
    pub dropped: Vec<DroppedCopy>,
    /// Images that need another stem, in the same order.
    pub renamed: Vec<RenamedImage>,
    /// Shared images of every pair of members.
    pub overlap: Vec<Overlap>,
}

/// Hash of an image file's decoded pixels and size, or none if it cannot be read or decoded.
pub fn pixel_hash(path: &Path) -> Option<blake3::Hash> {
    logodex_pixels::pixel_hash(&std::fs::read(path).ok()?).ok()
}

/// Pixel hashes of every image that no earlier image of its brand equals by bytes, for brands of more than one folder.
/// Decoding is what costs, so it is done for nothing else. `members` holds each brand's samples in order.
pub fn pixel_hashes(
    scan: &Scan,
    brands: &[BrandFolders],
    members: &[Vec<usize>],
    pixel_hash: PixelHash<'_>,
) -> HashMap<usize, blake3::Hash> {
    let mut candidates = Vec::new();
    for (brand, samples) in brands.iter().zip(members) {
        if brand.folders.len() < 2 {
            continue;
        }
        let mut seen = HashSet::new();
        let first = |&&i: &&usize| seen.insert(scan.samples[i].image_blake3);
        candidates.extend(samples.iter().filter(first));
    }
    candidates
        .into_par_iter()
        .filter_map(|&i| Some((i, pixel_hash(&scan.root.join(&scan.samples[i].image))?)))
        .collect()
}

/// Finds the copies among a brand's `samples`, which come in the order of its members, and names the rest.
pub fn find(
    scan: &Scan,
    brand: &BrandFolders,
    samples: &[usize],
    pixels: &HashMap<usize, blake3::Hash>,
) -> Copies {
    let of = |i: usize| &scan.samples[i];
    let mut by_bytes: HashMap<blake3::Hash, usize> = HashMap::new();
    let mut by_pixels: HashMap<blake3::Hash, usize> = HashMap::new();
    let mut copies = Copies::default();
    let mut kept = Vec::new();
    // Per folder: its images' bytes, and the images kept that show the same.
    let mut bytes: BTreeMap<&str, BTreeSet<[u8; 32]>> = BTreeMap::new();
    let mut shown: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    let mut looks: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut same: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &i in samples {
        let first = *by_bytes.entry(of(i).image_blake3).or_insert_with(|| {
            let same = pixels.get(&i);
            same.map_or(i, |hash| *by_pixels.entry(*hash).or_insert(i))
        });
        same.entry(first).or_default().push(i);
    }
    // The first with a usable box stays, else the first.
    let stays: HashMap<usize, usize> = same
        .into_values()
        .flat_map(|twins| {
            let usable = twins
                .iter()
                .find(|&&i| usable_boxes(of(i)).next().is_some());
            let stays = *usable.unwrap_or(&twins[0]);
            twins.into_iter().map(move |i| (i, stays))
        })
        .collect();
    for &i in samples {
        let (sample, stays) = (of(i), stays[&i]);
        let folder = sample.folder.as_str();
        bytes
            .entry(folder)
            .or_default()
            .insert(*sample.image_blake3.as_bytes());
        shown.entry(folder).or_default().insert(stays);
        looks.entry(folder).or_default().push(sample.seen.phash);
        if stays == i {
            kept.push(i);
            continue;
        }
        copies.dropped.push(DroppedCopy {
            image: sample.image.clone(),
            kept: of(stays).image.clone(),
            same: if sample.image_blake3 == of(stays).image_blake3 {
                Sameness::Bytes
            } else {
                Sameness::Pixels
            },
            boxes_lost: usable_boxes(sample)
                .filter(|found| usable_boxes(of(stays)).all(|kept| kept != *found))
                .collect(),
        });
    }
    copies.renamed = renames(kept.iter().map(|&i| of(i)));
    for (n, a) in brand.folders.iter().enumerate() {
        for b in &brand.folders[n + 1..] {
            copies.overlap.push(Overlap {
                a: a.clone(),
                b: b.clone(),
                same_bytes: shared(&bytes, a, b),
                same_pixels: shared(&shown, a, b),
                same_look: look_alikes(&looks, a, b),
            });
        }
    }
    copies
}

/// The boxes of a sample that lie in its image.
fn usable_boxes(sample: &RawSample) -> impl Iterator<Item = [f64; 4]> {
    let found = sample.parsed.objects.iter();
    let found = found.filter_map(|object| object.bbox.as_ref().ok());
    found
        .filter(|b| b.clip(sample.seen.width, sample.seen.height).is_ok())
        .map(|b| [b.xmin, b.ymin, b.xmax, b.ymax])
}

fn shared<T: Ord>(of: &BTreeMap<&str, BTreeSet<T>>, a: &str, b: &str) -> u64 {
    match (of.get(a), of.get(b)) {
        (Some(a), Some(b)) => a.intersection(b).count() as u64,
        _ => 0,
    }
}

/// How many of `b` have one in `a` that looks the same.
fn look_alikes(of: &BTreeMap<&str, Vec<u64>>, a: &str, b: &str) -> u64 {
    let (Some(a), Some(b)) = (of.get(a), of.get(b)) else {
        return 0;
    };
    let near = |x: &&u64| a.iter().any(|y| (*x ^ y).count_ones() <= MAX_DISTANCE);
    b.iter().filter(near).count() as u64
}

/// A stem with its extension must fit into a file name of 255 bytes.
const MAX_STEM: usize = 251;

/// Of a folder's name, this much tells where a renamed image comes from.
const MAX_SOURCE: usize = 100;

/// The images whose stem an earlier one has, each with a stem that no other image of the brand has or would have.
/// Stems that differ in case or in their form in Unicode only count as equal.
fn renames<'a>(kept: impl Iterator<Item = &'a RawSample>) -> Vec<RenamedImage> {
    let mut taken = HashSet::new();
    let late: Vec<&RawSample> = kept
        .filter(|sample| !taken.insert(file_key(&sample.stem)))
        .collect();
    let mut renamed = Vec::with_capacity(late.len());
    for sample in late {
        let source = match naming::suffix(&sample.folder) {
            Some((_, number)) => number.to_string(),
            None => sample.folder.clone(),
        };
        let source = &source[..source.floor_char_boundary(MAX_SOURCE)];
        let mut suffix = format!("_{source}");
        let mut attempt = 2;
        let stem = loop {
            let room = MAX_STEM - suffix.len();
            let stem = format!(
                "{}{suffix}",
                &sample.stem[..sample.stem.floor_char_boundary(room)]
            );
            if taken.insert(file_key(&stem)) {
                break stem;
            }
            suffix = format!("_{source}_{attempt}");
            attempt += 1;
        };
        renamed.push(RenamedImage {
            image: sample.image.clone(),
            stem,
        });
    }
    renamed
}
