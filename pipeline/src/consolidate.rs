//! Which folders are one brand and which images are copies, decided by content, image by image.
//!
//! Names bring folders together (`naming`), a person may overrule them (`overrides`), hashes find the copies
//! (`copies`). What only looks alike, pictures (`near`) or names (`near_names`), is listed and never joined. The outcome
//! is a plan that a person can read, and [`apply`] trusts the plan for nothing that it can check against the tree.

use std::path::Path;

use logodex_schemas::dataset::ConsolidateConfig;
use logodex_schemas::plan::{ConsolidationPlan, Effect, Group, Overrides, plan_header};
use rayon::prelude::*;

use crate::scan::Scan;
use layout::lay_out;
use overrides::LeftOut;

mod across;
mod apply;
mod brands;
mod copies;
mod evidence;
mod foreign;
mod layout;
mod naming;
mod near;
mod near_names;
mod overrides;
mod summary;

pub use apply::apply;
pub use copies::pixel_hash;
pub use layout::PlanMismatch;
pub use near::{Thumbnail, Thumbnailer, thumbnail};
pub use overrides::OverrideError;
pub use summary::summarize;

/// Hash of an image file's decoded pixels and size, or none if it cannot be decoded.
pub type PixelHash<'a> = &'a (dyn Fn(&Path) -> Option<blake3::Hash> + Sync);

/// Proposes what to join, drop and rename. The same tree, rules and overrides give the same plan.
///
/// `pixel_hash` is called, from many threads, only for images of brands with more than one folder whose bytes equal no
/// earlier image's; `thumbnail`, likewise, for images whose perceptual hash is near another brand's.
///
/// # Errors
/// [`OverrideError`] when the overrides name what the tree does not have, or contradict each other.
pub fn propose(
    scan: &Scan,
    rules: &ConsolidateConfig,
    overrides: &Overrides,
    pixel_hash: PixelHash<'_>,
    thumbnail: Thumbnailer<'_>,
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
    let mut groups: Vec<Group> = brands
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
                members: evidence::members(scan, brand, samples),
                overlap: found.overlap,
                dropped: found.dropped,
                renamed: found.renamed,
                effect: Effect::default(),
                undo: evidence::undo(brand),
            })
        })
        .collect();
    let layout = lay_out(scan, &groups, overrides)?;
    let foreign_names = foreign::foreign_names(scan, &layout);
    evidence::effects(&mut groups, scan, &layout, &foreign_names);
    let copies = across::copies(scan, &layout);
    let (near_images, crowded_images) = across::near_images(scan, &layout, thumbnail);
    let shared = across::shared(&layout, &copies, &near_images);
    Ok(ConsolidationPlan {
        header: plan_header(),
        raw_blake3: scan.raw_blake3.to_hex().to_string(),
        rules: rules.clone(),
        overrides: overrides.clone(),
        copies_across_brands: copies,
        near_images,
        crowded_images,
        near_names: near_names::near_names(&layout.brands, &shared),
        foreign_names,
        summary: layout.summary,
        groups,
    })
}

#[cfg(test)]
mod tests;
