//! Gathers what a person judges a group by: what each of its folders says of itself, what the group does, and how to undo it.

use std::collections::{BTreeMap, BTreeSet};

use logodex_schemas::plan::{
    BoxStats, Effect, ForeignName, Group, GroupRule, KeepApartOverride, Member,
};

use super::brands::{self, BrandFolders};
use crate::plan::placement::{Fate, Placement};
use crate::raw::name::nfc;
use crate::raw::scan::{RawSample, Scan};

/// What each folder of a brand says of itself.
pub fn members(scan: &Scan, brand: &BrandFolders, samples: &[usize]) -> Vec<Member> {
    let own: BTreeSet<String> = brand.folders.iter().map(|f| nfc(f)).collect();
    let mut by_folder: BTreeMap<&str, Vec<&RawSample>> = BTreeMap::new();
    for &i in samples {
        let sample = &scan.samples[i];
        by_folder.entry(&sample.folder).or_default().push(sample);
    }
    let member = |folder: &String| {
        let samples = by_folder.remove(folder.as_str()).unwrap_or_default();
        let mut member = Member {
            folder: folder.clone(),
            images: samples.len() as u64,
            objects: 0,
            named_as_folder: 0,
            named_as_family: 0,
            boxes: box_stats(&samples),
        };
        let this = nfc(folder);
        for name in samples.iter().flat_map(|s| brands::object_names(s)) {
            member.objects += 1;
            if name == this {
                member.named_as_folder += 1;
            } else if name == brand.brand || own.contains(name) {
                member.named_as_family += 1;
            }
        }
        member
    };
    brand.folders.iter().map(member).collect()
}

/// The boxes of these samples, if there are any.
fn box_stats(samples: &[&RawSample]) -> Option<BoxStats> {
    // Width, height, and the pixels of their image.
    let mut boxes: Vec<(f64, f64, f64)> = Vec::new();
    for sample in samples {
        let pixels = f64::from(sample.seen.width) * f64::from(sample.seen.height);
        let found = sample.parsed.objects.iter();
        let found = found.filter_map(|o| o.bbox.as_ref().ok());
        boxes.extend(found.map(|b| (b.xmax - b.xmin, b.ymax - b.ymin, pixels)));
    }
    Some(BoxStats {
        per_image: rounded(boxes.len() as f64 / samples.len() as f64),
        median_width: median(boxes.iter().map(|b| b.0))?,
        median_height: median(boxes.iter().map(|b| b.1))?,
        median_area: median(boxes.iter().map(|b| b.0 * b.1))?,
        median_coverage: median(boxes.iter().map(|b| b.0 * b.1 / b.2))?,
    })
}

/// The middle value, or the mean of the two in the middle.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(rounded(values[middle])),
        _ => Some(rounded((values[middle - 1] + values[middle]) / 2.0)),
    }
}

/// To four decimals. Numbers of few digits come back from JSON as they went: a plan must equal itself when read.
pub fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// Counts what each group does to its images and objects.
pub fn effects(groups: &mut [Group], scan: &Scan, placement: &Placement, foreign: &[ForeignName]) {
    // Objects that get another brand's index than their folder's.
    let elsewhere: BTreeSet<(&str, &str, &str)> = foreign
        .iter()
        .filter(|f| f.brand.is_some() && !f.whole_folder)
        .map(|f| (f.category.as_str(), f.folder.as_str(), f.name.as_str()))
        .collect();
    let mut kept: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
    for (sample, fate) in scan.samples.iter().zip(&placement.fates) {
        let Fate::Kept(brand, _) = fate else { continue };
        let brand = &placement.brands[*brand as usize];
        let relabelled = |name: &&str| {
            let key = (sample.category.as_str(), sample.folder.as_str(), *name);
            *name != brand.name && !elsewhere.contains(&key)
        };
        let counts = kept.entry((&brand.category, &brand.name)).or_default();
        counts.0 += 1;
        counts.1 += brands::object_names(sample).filter(relabelled).count() as u64;
    }
    for group in groups {
        let key = (group.category.as_str(), group.brand.as_str());
        let (kept, relabelled) = kept.get(&key).copied().unwrap_or_default();
        group.effect = Effect {
            kept,
            dropped: group.dropped.len() as u64,
            renamed: group.renamed.len() as u64,
            relabelled,
        };
    }
}

/// The entry of the overrides that undoes a group, or why there is none, as a comment.
pub fn undo(brand: &BrandFolders) -> String {
    #[derive(serde::Serialize)]
    struct Undo {
        keep_apart: [KeepApartOverride; 1],
    }
    match brand.rule {
        GroupRule::Folder => "# one folder: there is nothing to keep apart\n".to_owned(),
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
