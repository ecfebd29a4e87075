//! Lists the pictures that two brands share: the same file, or another that looks the same. Both are kept and listed, because
//! only a person can say whose picture it is.

use std::collections::{BTreeMap, BTreeSet};

use logodex_schemas::plan::{CrossBrandCopies, NearImage};

use super::near_images::{self, Thumbnailer};
use crate::plan::placement::{Fate, Placement};
use crate::raw::scan::Scan;

/// At most this many pairs are listed of two files that look the same and lie in many brands each.
const LISTED: usize = 32;

/// The images kept of one file, by brand.
type Holders<'a> = BTreeMap<u32, &'a str>;

/// The kept images of every file.
fn holders<'a>(scan: &'a Scan, placement: &Placement) -> BTreeMap<[u8; 32], Holders<'a>> {
    let mut files: BTreeMap<[u8; 32], Holders<'a>> = BTreeMap::new();
    for (i, sample) in scan.samples.iter().enumerate() {
        if let Some((brand, kept)) = placement.kept(i) {
            let image = scan.samples[kept].image.as_str();
            let brands = files.entry(*sample.image_blake3.as_bytes()).or_default();
            brands.entry(brand).or_insert(image);
        }
    }
    files
}

/// Exact copies in different brands: the kept images of every file that several brands hold, in byte order.
pub fn copies(scan: &Scan, placement: &Placement) -> Vec<CrossBrandCopies> {
    // Two files of one brand can be one picture, so that the same images are kept for both: one group is enough.
    let mut groups: BTreeMap<BTreeSet<&str>, [u8; 32]> = BTreeMap::new();
    for (bytes, brands) in holders(scan, placement) {
        let images: BTreeSet<&str> = brands.values().copied().collect();
        if images.len() > 1 {
            groups.entry(images).or_insert(bytes);
        }
    }
    let group = |(images, bytes): (BTreeSet<&str>, [u8; 32])| CrossBrandCopies {
        id: blake3::Hash::from_bytes(bytes).to_hex().to_string(),
        images: images.into_iter().map(str::to_owned).collect(),
    };
    groups.into_iter().map(group).collect()
}

/// Kept images of different brands that look the same, in byte order, and the images that resemble too many to compare
/// them all. Images of the same bytes are for [`copies`]; a file is searched for once, in whatever brands it lies.
///
/// # Errors
/// An image that cannot be read for its second look.
pub fn near_images(
    scan: &Scan,
    placement: &Placement,
    thumbnail: Thumbnailer<'_>,
) -> anyhow::Result<(Vec<NearImage>, Vec<String>)> {
    let brand = |i: usize| match placement.fates[i] {
        Fate::Kept(brand, _) => Some(brand),
        _ => None,
    };
    let bytes = |i: usize| *scan.samples[i].image_blake3.as_bytes();
    let mut files: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
    for (i, sample) in scan.samples.iter().enumerate() {
        // A picture of one colour has no frequencies, so no bit is set: it resembles nothing.
        if sample.seen.phash != 0 && brand(i).is_some() {
            files.entry(bytes(i)).or_default().push(i);
        }
    }
    // A file of several brands belongs to none of them: whatever looks like it lies in another brand than one of them.
    let hashed: Vec<(usize, u64, u32)> = (0..)
        .zip(files.values())
        .filter_map(|(n, images)| {
            let group = match images.as_slice() {
                [one] => brand(*one)?,
                _ => u32::MAX - n,
            };
            Some((images[0], scan.samples[images[0]].seen.phash, group))
        })
        .collect();
    let candidates = near_images::candidates(&hashed);
    let name =
        |i: usize| brand(i).map_or_else(String::new, |b| placement.brands[b as usize].name.clone());
    let mut near = Vec::new();
    let confirmed = near_images::confirm(scan, &candidates.pairs, thumbnail)?;
    for (i, j, distance, correlation) in confirmed {
        let (first, second) = (&files[&bytes(i)], &files[&bytes(j)]);
        let pairs = first
            .iter()
            .flat_map(|&a| second.iter().map(move |&b| (a, b)))
            .filter(|&(a, b)| brand(a) != brand(b));
        near.extend(pairs.take(LISTED).map(|(i, j)| {
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
        }));
    }
    near.sort_by(|x, y| (&x.a, &x.b).cmp(&(&y.a, &y.b)));
    let crowded = candidates.crowded.iter().flat_map(|&i| &files[&bytes(i)]);
    let mut crowded: Vec<String> = crowded.map(|&i| scan.samples[i].image.clone()).collect();
    crowded.sort();
    Ok((near, crowded))
}

/// How many pairs of pictures two brands share, by their positions, the smaller first.
pub fn shared(
    placement: &Placement,
    copies: &[CrossBrandCopies],
    near: &[NearImage],
) -> BTreeMap<(u32, u32), u64> {
    let brand = |image: &str| {
        let (folder, _) = image.rsplit_once('/')?;
        let (category, folder) = folder.split_once('/')?;
        let key = (category.to_owned(), folder.to_owned());
        placement.folders.get(&key).copied()
    };
    let mut shared = BTreeMap::new();
    let mut count = |a: Option<u32>, b: Option<u32>| {
        if let (Some(a), Some(b)) = (a, b) {
            *shared.entry((a.min(b), a.max(b))).or_default() += 1;
        }
    };
    for group in copies {
        let brands: Vec<Option<u32>> = group.images.iter().map(|image| brand(image)).collect();
        for (n, &a) in brands.iter().enumerate() {
            brands[n + 1..].iter().for_each(|&b| count(a, b));
        }
    }
    near.iter().for_each(|n| count(brand(&n.a), brand(&n.b)));
    shared
}
