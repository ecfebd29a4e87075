//! Decides which images of one brand are copies of one another (the same bytes, or the same pixels once decoded), and
//! under which name each image that is kept goes on. Of the copies with a box that makes a row, the first in the order of
//! the members stays: the lowest suffix holds the truthful annotation.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use logodex_schemas::plan::{DroppedCopy, Overlap, RenamedImage, Sameness};
use rayon::prelude::*;

use super::brands::BrandFolders;
use super::naming;
use crate::plan::hamming::NEARLY_SAME;
use crate::raw::content::read_unchanged;
use crate::raw::name::file_key;
use crate::raw::scan::{RawSample, Scan};

/// Hash of the decoded pixels and the size of a sample of a scan, or none if it cannot be decoded.
pub type PixelHash<'a> = &'a (dyn Fn(&Scan, usize) -> anyhow::Result<Option<blake3::Hash>> + Sync);

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

/// Hash of a sample's decoded pixels and size, or none if it cannot be decoded.
///
/// # Errors
/// The file cannot be read, or is not the one that was scanned: whether it is a copy cannot be said then.
pub fn pixel_hash(scan: &Scan, sample: usize) -> anyhow::Result<Option<blake3::Hash>> {
    let sample = &scan.samples[sample];
    let bytes = read_unchanged(&scan.root, &sample.image, sample.image_blake3)?;
    Ok(logodex_pixels::pixel_hash(&bytes).ok())
}

/// Pixel hashes of every image that no earlier image of its brand equals by bytes, for brands of more than one folder.
/// Decoding is what costs, so it is done for nothing else. `members` holds each brand's samples in order.
///
/// # Errors
/// An image that cannot be read.
pub fn pixel_hashes(
    scan: &Scan,
    brands: &[BrandFolders],
    members: &[Vec<usize>],
    pixel_hash: PixelHash<'_>,
) -> anyhow::Result<HashMap<usize, blake3::Hash>> {
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
        .filter_map(|&i| match pixel_hash(scan, i) {
            Ok(hash) => Some(Ok((i, hash?))),
            Err(error) => Some(Err(error)),
        })
        .collect()
}

/// Finds the copies among a brand's `samples`, which come in the order of its members, and names the rest. A box makes a
/// row of objects from `min_object_px` on, its shorter side in source pixels.
pub fn find(
    scan: &Scan,
    brand: &BrandFolders,
    samples: &[usize],
    pixels: &HashMap<usize, blake3::Hash>,
    min_object_px: u32,
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
    // The first with a box that makes a row stays, else the first with any box in the image, else the first. Whether objects
    // make rows at all decides nothing, so that a plan serves every region.
    let stays: HashMap<usize, usize> = same
        .into_values()
        .flat_map(|twins| {
            let with_side = |least: u32| {
                let has = |&&i: &&usize| usable_boxes(of(i)).any(|(_, side)| side >= least);
                twins.iter().find(has)
            };
            let stays = *with_side(min_object_px)
                .or_else(|| with_side(0))
                .unwrap_or(&twins[0]);
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
            boxes_lost: boxes_lost(sample, of(stays)),
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

/// The boxes of a sample that lie in its image, each with the shorter side of what lies in it, pixels.
fn usable_boxes(sample: &RawSample) -> impl Iterator<Item = ([f64; 4], u32)> {
    let found = sample.parsed.objects.iter();
    let found = found.filter_map(|object| object.bbox.as_ref().ok());
    found.filter_map(|b| {
        let [x0, y0, x1, y1] = b.clip(sample.seen.width, sample.seen.height).ok()?;
        Some(([b.xmin, b.ymin, b.xmax, b.ymax], (x1 - x0).min(y1 - y0)))
    })
}

/// The usable boxes of a copy that the image kept has not.
fn boxes_lost(copy: &RawSample, kept: &RawSample) -> Vec<[f64; 4]> {
    let key = |edges: [f64; 4]| edges.map(f64::to_bits);
    let kept: HashSet<[u64; 4]> = usable_boxes(kept).map(|(edges, _)| key(edges)).collect();
    usable_boxes(copy)
        .map(|(edges, _)| edges)
        .filter(|edges| !kept.contains(&key(*edges)))
        .collect()
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
    // A picture of one colour has no bit set and resembles nothing.
    let near = |x: &&u64| **x != 0 && a.iter().any(|y| (*x ^ y).count_ones() <= NEARLY_SAME);
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
