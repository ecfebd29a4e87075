//! Which images of one brand are copies, decided by content: the file's bytes, then the decoded pixels.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use logodex_schemas::plan::{DroppedCopy, Overlap, RenamedImage, Sameness};
use rayon::prelude::*;

use super::folders::{FolderGroup, split_suffix};
use crate::scan::{RawSample, Scan};

/// Hashes an image's decoded pixels; none if it cannot be decoded.
pub type PixelHash<'a> = &'a (dyn Fn(&Path) -> Option<blake3::Hash> + Sync);

/// What becomes of the images of one brand.
#[derive(Debug, Default)]
pub struct Copies {
    /// Copies dropped.
    pub dropped: Vec<DroppedCopy>,
    /// Images kept under another stem.
    pub renamed: Vec<RenamedImage>,
    /// Shared images per pair of members.
    pub overlap: Vec<Overlap>,
}

/// Judges the images of a group. `members` holds, per member folder in the group's order, positions in
/// `scan.samples` in natural order.
pub fn judge(
    scan: &Scan,
    group: &FolderGroup,
    members: &[Vec<usize>],
    pixel_hash: PixelHash,
) -> Copies {
    let sample = |at: usize| &scan.samples[at];
    let mut first_with_bytes = HashMap::<blake3::Hash, usize>::new();
    let mut folders_with_bytes = HashMap::<blake3::Hash, BTreeSet<usize>>::new();
    let mut kept = Vec::new();
    let mut dropped = Vec::new();
    for (member, &at) in in_order(members) {
        let hash = sample(at).image_blake3;
        folders_with_bytes.entry(hash).or_default().insert(member);
        match first_with_bytes.get(&hash) {
            None => {
                first_with_bytes.insert(hash, at);
                kept.push(at);
            }
            Some(&first) => dropped.push(dropped_copy(sample(at), sample(first), Sameness::Bytes)),
        }
    }

    // Decoding is worth its time only where folders were joined and not all of their images are byte-identical.
    let needs_pixels = members.len() > 1
        && folders_with_bytes
            .values()
            .any(|folders| folders.len() < members.len());
    let pixels: HashMap<blake3::Hash, blake3::Hash> = if needs_pixels {
        kept.par_iter()
            .filter_map(|&at| {
                let hash = pixel_hash(&scan.root.join(&sample(at).image))?;
                Some((sample(at).image_blake3, hash))
            })
            .collect()
    } else {
        HashMap::new()
    };
    let mut first_with_pixels = HashMap::<blake3::Hash, usize>::new();
    kept.retain(|&at| {
        let Some(hash) = pixels.get(&sample(at).image_blake3) else {
            return true;
        };
        let first = *first_with_pixels.entry(*hash).or_insert(at);
        if first != at {
            dropped.push(dropped_copy(sample(at), sample(first), Sameness::Pixels));
        }
        first == at
    });
    // A copy of a dropped image was kept for an image that is itself dropped: name the one that stays.
    let stays: BTreeMap<String, String> = dropped
        .iter()
        .filter(|copy| copy.same == Sameness::Pixels)
        .map(|copy| (copy.image.clone(), copy.kept.clone()))
        .collect();
    for copy in &mut dropped {
        if let Some(kept) = stays.get(&copy.kept) {
            copy.kept.clone_from(kept);
            copy.same = Sameness::Pixels;
        }
    }
    dropped.sort_by(|a, b| a.image.cmp(&b.image));

    Copies {
        dropped,
        renamed: rename(scan, &kept),
        overlap: overlap(scan, group, members, &pixels),
    }
}

fn in_order(members: &[Vec<usize>]) -> impl Iterator<Item = (usize, &usize)> {
    members
        .iter()
        .enumerate()
        .flat_map(|(member, samples)| samples.iter().map(move |at| (member, at)))
}

fn dropped_copy(copy: &RawSample, kept: &RawSample, same: Sameness) -> DroppedCopy {
    DroppedCopy {
        image: copy.image.clone(),
        kept: kept.image.clone(),
        same,
    }
}

/// The first image with a stem keeps it; each later one gets its folder's suffix, or name, behind it. Stems are
/// compared without case, so that a dataset survives a case-insensitive file system.
fn rename(scan: &Scan, kept: &[usize]) -> Vec<RenamedImage> {
    // What is not renamed is settled first, so that no new name takes the stem of an image still to come.
    let mut taken = BTreeSet::new();
    let mut late = Vec::new();
    for &at in kept {
        if !taken.insert(scan.samples[at].stem.to_lowercase()) {
            late.push(&scan.samples[at]);
        }
    }
    let mut renamed: Vec<RenamedImage> = late
        .into_iter()
        .map(|sample| {
            let tag = match split_suffix(&sample.folder) {
                Some((_, n)) => n.to_string(),
                None => sample.folder.clone(),
            };
            let plain = format!("{}_{tag}", sample.stem);
            let mut stem = plain.clone();
            let mut again = 2;
            while !taken.insert(stem.to_lowercase()) {
                stem = format!("{plain}_{again}");
                again += 1;
            }
            RenamedImage {
                image: sample.image.clone(),
                stem,
            }
        })
        .collect();
    renamed.sort_by(|a, b| a.image.cmp(&b.image));
    renamed
}

fn overlap(
    scan: &Scan,
    group: &FolderGroup,
    members: &[Vec<usize>],
    pixels: &HashMap<blake3::Hash, blake3::Hash>,
) -> Vec<Overlap> {
    let contents = |samples: &[usize], by_pixels: bool| -> BTreeSet<[u8; 32]> {
        samples
            .iter()
            .map(|&at| {
                let bytes = &scan.samples[at].image_blake3;
                let id = by_pixels.then(|| pixels.get(bytes)).flatten();
                *id.unwrap_or(bytes).as_bytes()
            })
            .collect()
    };
    let by_bytes: Vec<_> = members.iter().map(|m| contents(m, false)).collect();
    let by_pixels: Vec<_> = members.iter().map(|m| contents(m, true)).collect();
    let mut out = Vec::new();
    for a in 0..members.len() {
        for b in a + 1..members.len() {
            let same_bytes = by_bytes[a].intersection(&by_bytes[b]).count() as u64;
            out.push(Overlap {
                a: group.members[a].clone(),
                b: group.members[b].clone(),
                same_bytes,
                same_pixels: same_bytes
                    .max(by_pixels[a].intersection(&by_pixels[b]).count() as u64),
            });
        }
    }
    out
}
