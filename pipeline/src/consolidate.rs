//! Which folders are one brand and which images are copies, decided by content, image by image.
//!
//! Names bring folders together (`naming`), a person may overrule them (`overrides`), hashes find the copies
//! (`copies`). The outcome is a plan that a person can read, and [`apply`] trusts the plan for nothing that it can
//! check against the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use logodex_schemas::dataset::ConsolidateConfig;
use logodex_schemas::plan::{
    ConsolidationPlan, CrossBrandCopy, Group, GroupRule, KeepApartOverride, Member, Overrides,
    plan_header,
};
use rayon::prelude::*;

use crate::scan::Scan;
use brands::BrandFolders;
use layout::{Layout, lay_out};
use overrides::LeftOut;

mod apply;
mod brands;
mod copies;
mod foreign;
mod layout;
mod naming;
mod overrides;
mod summary;

pub use apply::apply;
pub use layout::PlanMismatch;
pub use overrides::OverrideError;
pub use summary::summarize;

/// Hash of an image file's decoded pixels and size, or none if it cannot be decoded.
pub type PixelHash<'a> = &'a (dyn Fn(&Path) -> Option<blake3::Hash> + Sync);

/// Proposes what to join, drop and rename. The same tree, rules and overrides give the same plan.
///
/// `pixel_hash` is called, from many threads, only for images of brands with more than one folder whose bytes equal no
/// earlier image's.
///
/// # Errors
/// [`OverrideError`] when the overrides name what the tree does not have, or contradict each other.
pub fn propose(
    scan: &Scan,
    rules: &ConsolidateConfig,
    overrides: &Overrides,
    pixel_hash: PixelHash<'_>,
) -> anyhow::Result<ConsolidationPlan> {
    overrides::check(scan, overrides)?;
    let brands = brands::form(scan, rules, overrides)?;
    let left_out = LeftOut::new(overrides);
    let ranges = brands::by_folder(scan);
    let members: Vec<Vec<usize>> = brands
        .iter()
        .map(|brand| {
            let range = |f: &String| ranges.get(&(brand.category.as_str(), f.as_str())).cloned();
            let samples = brand.folders.iter().filter_map(range).flatten();
            samples
                .filter(|&i| !left_out.image(&scan.samples[i].image))
                .collect()
        })
        .collect();
    let pixels = copies::pixel_hashes(scan, &brands, &members, pixel_hash);
    let groups: Vec<Group> = brands
        .par_iter()
        .zip(&members)
        .filter_map(|(brand, samples)| {
            let found = copies::find(scan, brand, samples, &pixels);
            let as_it_stands = brand.folders == [brand.brand.as_str()]
                && found.dropped.is_empty()
                && found.renamed.is_empty();
            if as_it_stands || samples.is_empty() {
                return None;
            }
            Some(Group {
                category: brand.category.clone(),
                brand: brand.brand.clone(),
                rule: brand.rule,
                members: evidence(scan, brand, samples),
                overlap: found.overlap,
                dropped: found.dropped,
                renamed: found.renamed,
                undo: undo(brand),
            })
        })
        .collect();
    let layout = lay_out(scan, &groups, overrides)?;
    Ok(ConsolidationPlan {
        header: plan_header(),
        raw_blake3: scan.raw_blake3.to_hex().to_string(),
        rules: rules.clone(),
        overrides: overrides.clone(),
        copies_across_brands: across_brands(scan, &layout),
        foreign_names: foreign::foreign_names(scan, &layout),
        summary: layout.summary,
        groups,
    })
}

/// What each folder of a brand says of itself.
fn evidence(scan: &Scan, brand: &BrandFolders, samples: &[usize]) -> Vec<Member> {
    let mut members: Vec<Member> = brand
        .folders
        .iter()
        .map(|folder| Member {
            folder: folder.clone(),
            images: 0,
            objects: 0,
            named_as_folder: 0,
            named_as_family: 0,
        })
        .collect();
    let position: BTreeMap<&str, usize> = brand
        .folders
        .iter()
        .enumerate()
        .map(|(i, f)| (f.as_str(), i))
        .collect();
    for &i in samples {
        let sample = &scan.samples[i];
        let Some(&at) = position.get(sample.folder.as_str()) else {
            continue;
        };
        let member = &mut members[at];
        member.images += 1;
        for name in brands::object_names(sample) {
            member.objects += 1;
            if name == sample.folder {
                member.named_as_folder += 1;
            } else if name == brand.brand || position.contains_key(name) {
                member.named_as_family += 1;
            }
        }
    }
    members
}

/// The entry of the overrides that undoes a group, or why there is none, as a comment.
fn undo(brand: &BrandFolders) -> String {
    #[derive(serde::Serialize)]
    struct Undo {
        keep_apart: [KeepApartOverride; 1],
    }
    match brand.rule {
        GroupRule::Folder => {
            "# the copies lie in one folder: there is nothing to keep apart\n".to_owned()
        }
        GroupRule::Override => {
            let (category, name) = (&brand.category, &brand.brand);
            format!("# remove the [[merge]] or [[rename]] that makes {category}/{name}\n")
        }
        _ => {
            let entry = KeepApartOverride {
                category: brand.category.clone(),
                folders: brand.folders.clone(),
                reason: "these are different brands".to_owned(),
            };
            let undo = Undo {
                keep_apart: [entry],
            };
            // Strings and lists of strings always have a form in TOML.
            toml::to_string(&undo).unwrap_or_default()
        }
    }
}

/// Exact copies in different brands, each as a pair of kept images in byte order.
fn across_brands(scan: &Scan, layout: &Layout) -> Vec<CrossBrandCopy> {
    // Bytes → brand → the image kept there.
    let mut holders: BTreeMap<[u8; 32], BTreeMap<u32, &str>> = BTreeMap::new();
    for (i, sample) in scan.samples.iter().enumerate() {
        if let Some((brand, kept)) = layout.kept(i) {
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

#[cfg(test)]
mod tests;
