//! Pictures of several brands that are similar: more differs than between two that look the same, so that it is a suspicion.

use std::collections::BTreeSet;

use crate::audit::finding::Tree;
use crate::audit::gallery::SHOWN;
use crate::plan::hamming::{SIMILAR, groups_within};
use crate::plan::partition::Partition;
use crate::plan::placement::Fate;

/// Of a larger group only the pictures beside each other are compared: its members are said, and the nearest pairs may not be.
const COMPARED: usize = 4096;

/// Pictures that belong together, as positions in the scan's samples, and pairs of them to look at.
pub struct Group {
    /// All of them, sorted.
    pub images: Vec<usize>,
    /// The most telling first.
    pub pairs: Vec<(usize, usize)>,
}

/// The groups of kept pictures that hashes connect which differ in at most [`SIMILAR`] bits, if two of different brands are not
/// `known` to be the same or to look it. The nearest such pairs are shown.
pub fn groups(tree: &Tree<'_>, mut known: Partition) -> Vec<Group> {
    let samples = &tree.scan.samples;
    let brand = |i: usize| match tree.placement.fates[i] {
        Fate::Kept(brand, _) => Some(brand),
        _ => None,
    };
    // A picture of one colour has no frequencies, so no bit is set: it resembles nothing.
    let kept = (0..samples.len()).filter(|&i| samples[i].seen.phash != 0 && brand(i).is_some());
    let kept: Vec<usize> = kept.collect();
    let hashes: Vec<u64> = kept.iter().map(|&i| samples[i].seen.phash).collect();
    let mut found = Vec::new();
    for group in groups_within(&hashes, SIMILAR) {
        let images: Vec<usize> = group.into_iter().map(|place| kept[place]).collect();
        let brands: BTreeSet<Option<u32>> = images.iter().map(|&i| brand(i)).collect();
        if brands.len() < 2 {
            continue;
        }
        let compared = if images.len() > COMPARED {
            SHOWN
        } else {
            images.len()
        };
        let mut pairs: Vec<(u32, usize, usize)> = Vec::new();
        for (n, &a) in images.iter().enumerate() {
            for &b in images[n + 1..].iter().take(compared) {
                let distance = (samples[a].seen.phash ^ samples[b].seen.phash).count_ones();
                if distance <= SIMILAR && brand(a) != brand(b) && known.root(a) != known.root(b) {
                    pairs.push((distance, a, b));
                }
            }
        }
        if pairs.is_empty() && images.len() <= COMPARED {
            continue;
        }
        pairs.sort_unstable();
        pairs.truncate(SHOWN);
        found.push(Group {
            pairs: pairs.into_iter().map(|(_, a, b)| (a, b)).collect(),
            images,
        });
    }
    found
}
