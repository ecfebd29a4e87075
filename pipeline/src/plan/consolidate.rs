//! Proposes which folders are one brand and which images are copies.
//!
//! Names alone bring folders together (`naming`, `brands`), and whether these share pictures is a verdict (`parts`) that the
//! plan states and a person may overrule ([`overrides`]). Which images are copies their content decides, one by one (`copies`).
//! What only looks alike across brands, pictures (`near_images`) or names (`near_names`), is listed and never joined. The outcome
//! is a plan that a person can read.

use logodex_schemas::dataset::BuildConfig;
use logodex_schemas::plan::{
    ConsolidationPlan, Effect, Group, GroupRule, Overrides, Verdict, plan_header,
};
use rayon::prelude::*;

use crate::plan::overrides::{self, LeftOut, OverrideError};
use crate::plan::placement::place_images;
use crate::raw::scan::Scan;
use brands::BrandFolders;
use copies::PixelHash;
use logodex_program::failure::usage;
use near_images::{Thumbnailer, thumbnail};

pub(crate) mod brands;
pub mod copies;
pub(crate) mod evidence;
pub(crate) mod foreign;
mod naming;
mod near_images;
mod near_names;
mod parts;
mod shared_images;

/// Proposes what to join, drop and rename. The same tree, `consolidate`, `min_object_px` and overrides give the same plan.
///
/// # Errors
/// Usage: overrides that cannot be applied. An image that must be compared and cannot be read any more.
pub fn propose(
    scan: &Scan,
    config: &BuildConfig,
    overrides: &Overrides,
) -> anyhow::Result<ConsolidationPlan> {
    let plan = propose_with(scan, config, overrides, &copies::pixel_hash, &thumbnail);
    plan.map_err(|error| match error.downcast_ref::<OverrideError>() {
        Some(wrong) => usage(wrong.to_string()),
        None => error,
    })
}

/// As [`propose`], with these ways to look at an image.
///
/// `pixel_hash` is called, from many threads, only for images of brands with more than one folder whose bytes equal no
/// earlier image's; `thumbnail`, likewise, for images whose perceptual hash is near another brand's.
///
/// # Errors
/// [`OverrideError`] when the overrides name what the tree does not have, or contradict each other. What `pixel_hash` and
/// `thumbnail` report.
fn propose_with(
    scan: &Scan,
    config: &BuildConfig,
    overrides: &Overrides,
    pixel_hash: PixelHash<'_>,
    thumbnail: Thumbnailer<'_>,
) -> anyhow::Result<ConsolidationPlan> {
    let overrides = &overrides::as_the_tree_spells(scan, overrides);
    overrides::check(scan, overrides)?;
    let rules = &config.consolidate;
    let mut brands = brands::form(scan, rules, overrides);
    let left_out = LeftOut::new(overrides);
    let ranges = brands::by_folder(scan);
    let samples_of = |brand: &BrandFolders| -> Vec<usize> {
        let range = |f: &String| ranges.get(&(brand.category.as_str(), f.as_str())).cloned();
        let samples = brand.folders.iter().filter_map(range).flatten();
        samples
            .filter(|&i| !left_out.image(&scan.samples[i].image))
            .collect()
    };
    let members: Vec<Vec<usize>> = brands.iter().map(samples_of).collect();
    let pixels = copies::pixel_hashes(scan, &brands, &members, pixel_hash)?;
    let copies_of = |brand: &BrandFolders, samples: &[usize]| {
        let found = copies::find(scan, brand, samples, &pixels, config.min_object_px);
        let members = evidence::members(scan, brand, samples);
        let parts = parts::parts(&members, &found.overlap);
        (found, members, parts)
    };
    if !rules.join_disjoint {
        let apart = |brand: BrandFolders| {
            let joined_by_name = !matches!(brand.rule, GroupRule::Folder | GroupRule::Override);
            if !joined_by_name {
                return vec![brand];
            }
            let (_, _, parts) = copies_of(&brand, &samples_of(&brand));
            match parts.len() {
                ..=1 => vec![brand],
                _ => parts::apart(&brand, parts),
            }
        };
        brands = brands.into_par_iter().flat_map_iter(apart).collect();
    }
    brands::settle(&mut brands, overrides)?;
    let mut groups: Vec<Group> = brands
        .par_iter()
        .filter_map(|brand| {
            let samples = samples_of(brand);
            let (found, members, parts) = copies_of(brand, &samples);
            let as_it_stands = brand.folders == [brand.brand.as_str()]
                && found.dropped.is_empty()
                && found.renamed.is_empty();
            if as_it_stands || samples.is_empty() {
                return None;
            }
            let verdict = parts::verdict(members.len(), &parts);
            Some(Group {
                category: brand.category.clone(),
                brand: brand.brand.clone(),
                rule: brand.rule,
                verdict,
                parts: match verdict {
                    Verdict::Disjoint => parts,
                    _ => Vec::new(),
                },
                members,
                overlap: found.overlap,
                dropped: found.dropped,
                renamed: found.renamed,
                effect: Effect::default(),
                undo: evidence::undo(brand),
            })
        })
        .collect();
    let placement = place_images(scan, &groups, overrides)?;
    let foreign_names = foreign::foreign_names(scan, &placement);
    evidence::effects(&mut groups, scan, &placement, &foreign_names);
    let copies = shared_images::copies(scan, &placement);
    let (near_images, crowded_images) = shared_images::near_images(scan, &placement, thumbnail)?;
    let shared = shared_images::shared(&placement, &copies, &near_images);
    Ok(ConsolidationPlan {
        header: plan_header(),
        raw_blake3: scan.raw_blake3.to_hex().to_string(),
        rules: rules.clone(),
        min_object_px: config.min_object_px,
        overrides: overrides.clone(),
        copies_across_brands: copies,
        near_images,
        crowded_images,
        near_names: near_names::near_names(&placement.brands, &shared),
        foreign_names,
        summary: placement.summary,
        groups,
    })
}

#[cfg(test)]
mod tests;
