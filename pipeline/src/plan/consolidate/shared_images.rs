//! Lists the pictures that two brands share: the same file, or another that looks the same. Both are kept and listed, because
//! only a person can say whose picture it is.

use std::collections::{BTreeMap, BTreeSet};

use logodex_schemas::plan::{CrossBrandCopy, NearImage};

use super::near_images::{self, Thumbnailer};
use crate::plan::placement::{Fate, Placement};
use crate::raw::scan::Scan;

/// Exact copies in different brands, each as a pair of kept images in byte order.
pub fn copies(scan: &Scan, placement: &Placement) -> Vec<CrossBrandCopy> {
    // Bytes → brand → the image kept there.
    let mut holders: BTreeMap<[u8; 32], BTreeMap<u32, &str>> = BTreeMap::new();
    for (i, sample) in scan.samples.iter().enumerate() {
        if let Some((brand, kept)) = placement.kept(i) {
            let image = scan.samples[kept].image.as_str();
            let brands = holders.entry(*sample.image_blake3.as_bytes()).or_default();
            brands.entry(brand).or_insert(image);
        }
    }
    let mut pairs = BTreeSet::new();
    for brands in holders.values().filter(|b| b.len() > 1) {
        let images: BTreeSet<&str> = brands.values().copied().collect();
        let mut images = images.into_iter();
        if let Some(first) = images.next() {
            pairs.extend(images.map(|other| (first, other)));
        }
    }
    let copy = |(a, b): (&str, &str)| CrossBrandCopy {
        a: a.to_owned(),
        b: b.to_owned(),
    };
    pairs.into_iter().map(copy).collect()
}

/// Kept images of different brands that look the same, in byte order, and the images that resemble too many to compare
/// them all. Images of the same bytes are for [`copies`].
pub fn near_images(
    scan: &Scan,
    placement: &Placement,
    thumbnail: Thumbnailer<'_>,
) -> (Vec<NearImage>, Vec<String>) {
    let brand = |i: usize| match placement.fates[i] {
        Fate::Kept(brand, _) => Some(brand),
        _ => None,
    };
    let kept = scan.samples.iter().enumerate();
    // A picture of one colour has no frequencies, so no bit is set: it resembles nothing.
    let hashed: Vec<(usize, u64, u32)> = kept
        .filter(|(_, sample)| sample.seen.phash != 0)
        .filter_map(|(i, sample)| Some((i, sample.seen.phash, brand(i)?)))
        .collect();
    let mut candidates = near_images::candidates(&hashed);
    let bytes = |i: usize| scan.samples[i].image_blake3;
    candidates.pairs.retain(|&(a, b, _)| bytes(a) != bytes(b));
    let path = |i: usize| scan.root.join(&scan.samples[i].image);
    let name =
        |i: usize| brand(i).map_or_else(String::new, |b| placement.brands[b as usize].name.clone());
    let mut near: Vec<NearImage> = near_images::confirm(&candidates.pairs, &path, thumbnail)
        .into_iter()
        .map(|(i, j, distance, correlation)| {
            let in_order = scan.samples[i].image <= scan.samples[j].image;
            let (a, b) = if in_order { (i, j) } else { (j, i) };
            NearImage {
                a: scan.samples[a].image.clone(),
                b: scan.samples[b].image.clone(),
                brand_a: name(a),
                brand_b: name(b),
                distance,
                correlation,
            }
        })
        .collect();
    near.sort_by(|x, y| (&x.a, &x.b).cmp(&(&y.a, &y.b)));
    let crowded = candidates.crowded.into_iter();
    (
        near,
        crowded.map(|i| scan.samples[i].image.clone()).collect(),
    )
}

/// How many pairs of pictures two brands share, by their positions, the smaller first.
pub fn shared(
    placement: &Placement,
    copies: &[CrossBrandCopy],
    near: &[NearImage],
) -> BTreeMap<(u32, u32), u64> {
    let brand = |image: &str| {
        let (folder, _) = image.rsplit_once('/')?;
        let (category, folder) = folder.split_once('/')?;
        let key = (category.to_owned(), folder.to_owned());
        placement.folders.get(&key).copied()
    };
    let pairs = copies.iter().map(|c| (c.a.as_str(), c.b.as_str()));
    let pairs = pairs.chain(near.iter().map(|n| (n.a.as_str(), n.b.as_str())));
    let mut shared = BTreeMap::new();
    for (a, b) in pairs {
        if let (Some(a), Some(b)) = (brand(a), brand(b)) {
            *shared.entry((a.min(b), a.max(b))).or_default() += 1;
        }
    }
    shared
}
