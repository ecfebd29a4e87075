//! Consolidation: which folders are one brand and which images are copies, as a plan, and the plan applied.

mod copies;
mod folders;
mod names;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result, ensure};
use logodex_schemas::dataset::ConsolidateConfig;
use logodex_schemas::plan::{
    ConsolidationPlan, CrossBrandCopy, Group, GroupRule, KeepApartOverride, Member, Overrides,
    PlanSummary, plan_header,
};

pub use copies::PixelHash;
use folders::{FolderFacts, FolderGroup, Folders};
use names::{BrandOfName, names_family};

use crate::catalog::{Brand, Catalog, Sample};
use crate::scan::{RawSample, Scan, natural_key};

/// An override that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[[{entry}]] {subject}: {reason}")]
pub struct OverrideError {
    entry: &'static str,
    subject: String,
    reason: &'static str,
}

impl OverrideError {
    fn new(entry: &'static str, subject: String, reason: &'static str) -> Self {
        Self {
            entry,
            subject,
            reason,
        }
    }
}

/// Proposes a plan: a pure function of the tree's content, the rules and the overrides.
///
/// # Errors
/// [`OverrideError`] for an override that names something unknown or contradicts another.
pub fn propose(
    scan: &Scan,
    rules: &ConsolidateConfig,
    overrides: &Overrides,
    pixel_hash: PixelHash,
) -> Result<ConsolidationPlan> {
    check_dropped_images(scan, overrides)?;
    let folders = facts(scan);
    let grouped = folders::group(&folders, rules, overrides)?;
    let members = samples_by_folder(scan, overrides);

    let mut groups = Vec::new();
    let mut dropped = 0;
    let mut renamed = 0;
    let mut gone = BTreeSet::new();
    for group in &grouped {
        let samples = member_samples(&members, group);
        let copies = copies::judge(scan, group, &samples, pixel_hash);
        dropped += copies.dropped.len() as u64;
        renamed += copies.renamed.len() as u64;
        gone.extend(copies.dropped.iter().map(|copy| copy.image.clone()));
        let is_plain = group.rule == GroupRule::Folder
            && copies.dropped.is_empty()
            && copies.renamed.is_empty();
        if is_plain {
            continue;
        }
        groups.push(Group {
            category: group.category.clone(),
            brand: group.brand.clone(),
            rule: group.rule,
            members: group
                .members
                .iter()
                .zip(&samples)
                .map(|(folder, samples)| member(scan, group, folder, samples))
                .collect(),
            overlap: copies.overlap,
            dropped: copies.dropped,
            renamed: copies.renamed,
            undo: undo(group),
        });
    }
    let in_play: u64 = members.values().map(|m| m.len() as u64).sum();
    Ok(ConsolidationPlan {
        header: plan_header(),
        raw_blake3: scan.raw_blake3.to_hex().to_string(),
        rules: rules.clone(),
        overrides: overrides.clone(),
        summary: PlanSummary {
            folders: scan.folders.len() as u64,
            brands: grouped.len() as u64,
            images: scan.samples.len() as u64,
            kept: in_play - dropped,
            dropped,
            renamed,
        },
        groups,
        copies_across_brands: copies_across_brands(scan, &grouped, &members, &gone),
        foreign_names: names::foreign(&grouped, &folders),
    })
}

/// Applies a plan to the tree it was made for.
///
/// # Errors
/// The plan is for another tree, or names a folder or image that the tree does not have.
pub fn apply(scan: &Scan, plan: &ConsolidationPlan) -> Result<Catalog> {
    ensure!(
        plan.raw_blake3 == scan.raw_blake3.to_hex().as_str(),
        "the plan was made for another raw tree: make it again with `logodex-data plan`"
    );
    let grouped = folders::group(&facts(scan), &plan.rules, &plan.overrides)?;
    let dropped: BTreeSet<&str> = plan
        .groups
        .iter()
        .flat_map(|group| group.dropped.iter().map(|copy| copy.image.as_str()))
        .collect();
    let stems: BTreeMap<&str, &str> = plan
        .groups
        .iter()
        .flat_map(|group| group.renamed.iter())
        .map(|renamed| (renamed.image.as_str(), renamed.stem.as_str()))
        .collect();
    let whole_foreign: BTreeSet<(&str, &str)> = plan
        .foreign_names
        .iter()
        .filter(|foreign| foreign.whole_folder)
        .map(|foreign| (foreign.category.as_str(), foreign.folder.as_str()))
        .collect();

    let mut brands: Vec<Brand> = grouped
        .iter()
        .map(|group| Brand {
            name: group.brand.clone(),
            category: group.category.clone(),
        })
        .collect();
    brands.sort();
    let index: HashMap<(&str, &str), u32> = brands
        .iter()
        .enumerate()
        .map(|(at, brand)| ((brand.category.as_str(), brand.name.as_str()), at as u32))
        .collect();
    let named = BrandOfName::new(&grouped);
    let members = samples_by_folder(scan, &plan.overrides);
    let mut samples = Vec::new();
    for group in &grouped {
        let brand = index[&(group.category.as_str(), group.brand.as_str())];
        for raw in member_samples(&members, group).into_iter().flatten() {
            let sample = &scan.samples[raw];
            if dropped.contains(sample.image.as_str()) {
                continue;
            }
            let folder_wins =
                whole_foreign.contains(&(sample.category.as_str(), sample.folder.as_str()));
            let object_index = |name: &str| match named.find(&sample.category, name) {
                Some(other) if !folder_wins && !names_family(group, name) => {
                    index[&(other.category.as_str(), other.brand.as_str())]
                }
                _ => brand,
            };
            let stem = stems.get(sample.image.as_str());
            samples.push(Sample {
                brand,
                stem: (*stem.unwrap_or(&sample.stem.as_str())).to_owned(),
                raw,
                object_indices: sample
                    .parsed
                    .objects
                    .iter()
                    .map(|object| object_index(&object.name))
                    .collect(),
            });
        }
    }
    samples.sort_by_cached_key(|sample| (sample.brand, natural_key(&sample.stem)));
    ensure!(
        samples.len() as u64 == plan.summary.kept,
        "the plan keeps {} images, but applying it keeps {}",
        plan.summary.kept,
        samples.len()
    );
    Ok(Catalog { brands, samples })
}

/// The plan's effect in a few lines for a person.
pub fn summarize(plan: &ConsolidationPlan) -> String {
    let PlanSummary {
        folders,
        brands,
        images,
        kept,
        dropped,
        renamed,
    } = plan.summary;
    let by_rule = |rule| {
        plan.groups
            .iter()
            .filter(|group| group.rule == rule)
            .count()
    };
    let whole = plan
        .foreign_names
        .iter()
        .filter(|foreign| foreign.whole_folder)
        .map(|foreign| &foreign.folder)
        .collect::<BTreeSet<_>>();
    let mut text = format!(
        "{folders} folders → {brands} brands\n\
         {images} images: {kept} kept ({renamed} under another name), {dropped} identical copies dropped\n\
         groups: {} suffix families, {} folded names, {} both, {} by override, {} with copies in one folder\n\
         {} pictures lie in two brands (kept in both: decide in overrides.toml)\n\
         {} foreign names in annotations; {} folders never name their own brand",
        by_rule(GroupRule::SuffixFamily),
        by_rule(GroupRule::FoldedName),
        by_rule(GroupRule::SuffixFamilyAndFoldedName),
        by_rule(GroupRule::Override),
        by_rule(GroupRule::Folder),
        plan.copies_across_brands.len(),
        plan.foreign_names.len(),
        whole.len(),
    );
    for folder in whole {
        text.push_str("\n  ");
        text.push_str(folder);
    }
    text
}

/// Counts images and names per folder.
fn facts(scan: &Scan) -> Folders {
    let mut folders: Folders = scan
        .folders
        .iter()
        .map(|key| (key.clone(), FolderFacts::default()))
        .collect();
    for sample in &scan.samples {
        let key = (sample.category.clone(), sample.folder.clone());
        let facts = folders.entry(key).or_default();
        facts.images += 1;
        for object in &sample.parsed.objects {
            *facts.names.entry(object.name.clone()).or_default() += 1;
        }
    }
    folders.retain(|_, facts| facts.images > 0);
    folders
}

/// Positions in `scan.samples` by (category, folder), natural order, without what an override drops.
type ByFolder<'a> = HashMap<(&'a str, &'a str), Vec<usize>>;

fn samples_by_folder<'a>(scan: &'a Scan, overrides: &Overrides) -> ByFolder<'a> {
    let dropped: BTreeSet<&str> = overrides
        .drop
        .iter()
        .map(|drop| drop.path.as_str())
        .collect();
    let mut by_folder = ByFolder::new();
    for (at, sample) in scan.samples.iter().enumerate() {
        let folder = format!("{}/{}", sample.category, sample.folder);
        if !dropped.contains(sample.image.as_str()) && !dropped.contains(folder.as_str()) {
            by_folder
                .entry((&sample.category, &sample.folder))
                .or_default()
                .push(at);
        }
    }
    by_folder
}

fn member_samples(by_folder: &ByFolder, group: &FolderGroup) -> Vec<Vec<usize>> {
    group
        .members
        .iter()
        .map(|member| {
            let key = (group.category.as_str(), member.as_str());
            by_folder.get(&key).cloned().unwrap_or_default()
        })
        .collect()
}

fn member(scan: &Scan, group: &FolderGroup, folder: &str, samples: &[usize]) -> Member {
    let names: Vec<&str> = samples
        .iter()
        .flat_map(|&at| &scan.samples[at].parsed.objects)
        .map(|object| object.name.as_str())
        .collect();
    let as_folder = names.iter().filter(|name| **name == folder).count() as u64;
    let as_family = names
        .iter()
        .filter(|name| names_family(group, name))
        .count() as u64;
    Member {
        folder: folder.to_owned(),
        images: samples.len() as u64,
        objects: names.len() as u64,
        named_as_folder: as_folder,
        named_as_family: as_family - as_folder,
    }
}

fn undo(group: &FolderGroup) -> String {
    match group.rule {
        GroupRule::Folder => "nothing to undo: the copies lie in one folder".to_owned(),
        GroupRule::Override => "remove its entry from overrides.toml".to_owned(),
        _ => {
            let overrides = Overrides {
                keep_apart: vec![KeepApartOverride {
                    category: group.category.clone(),
                    folders: group.members.clone(),
                    reason: "say why".to_owned(),
                }],
                ..Overrides::default()
            };
            // Empty lists would be noise in an entry that is meant to be pasted.
            let text = toml::to_string(&overrides).unwrap_or_default();
            text.lines()
                .filter(|line| !line.ends_with("= []") && !line.is_empty())
                .fold(String::new(), |text, line| text + line + "\n")
        }
    }
}

fn check_dropped_images(scan: &Scan, overrides: &Overrides) -> Result<()> {
    let images: BTreeSet<&str> = scan.samples.iter().map(|s| s.image.as_str()).collect();
    for drop in &overrides.drop {
        let is_image = drop.path.matches('/').count() == 2;
        let is_folder = drop.path.matches('/').count() == 1;
        if !is_folder && !(is_image && images.contains(drop.path.as_str())) {
            return Err(OverrideError::new(
                "drop",
                drop.path.clone(),
                "there is no such folder or image with an annotation",
            ))
            .context("overrides");
        }
    }
    Ok(())
}

fn copies_across_brands(
    scan: &Scan,
    groups: &[FolderGroup],
    members: &ByFolder,
    gone: &BTreeSet<String>,
) -> Vec<CrossBrandCopy> {
    let mut by_content = HashMap::<blake3::Hash, Vec<(usize, &RawSample)>>::new();
    for (brand, group) in groups.iter().enumerate() {
        for at in member_samples(members, group).into_iter().flatten() {
            let sample = &scan.samples[at];
            if !gone.contains(&sample.image) {
                by_content
                    .entry(sample.image_blake3)
                    .or_default()
                    .push((brand, sample));
            }
        }
    }
    let mut out: Vec<CrossBrandCopy> = by_content
        .into_values()
        .flat_map(|same| {
            let first = same[0];
            same.into_iter()
                .skip(1)
                .filter(move |other| other.0 != first.0)
                .map(move |other| CrossBrandCopy {
                    a: first.1.image.clone(),
                    b: other.1.image.clone(),
                })
        })
        .collect();
    out.sort_by(|x, y| (&x.a, &x.b).cmp(&(&y.a, &y.b)));
    out
}

#[cfg(test)]
mod tests;
