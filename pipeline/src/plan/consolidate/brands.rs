//! Forms brands of folders: the rules' groups, a canonical spelling for each by what the annotations say, and
//! a person's word on top.

use std::collections::{BTreeMap, BTreeSet};

use logodex_schemas::dataset::ConsolidateConfig;
use logodex_schemas::plan::{GroupRule, Overrides};

use super::naming::{self, NameGroup};
use crate::plan::overrides::{LeftOut, OverrideError};
use crate::raw::name::nfc;
use crate::raw::scan::{RawSample, Scan};

/// A brand as a list of folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrandFolders {
    /// Category.
    pub category: String,
    /// Canonical name.
    pub brand: String,
    /// Why they are one brand.
    pub rule: GroupRule,
    /// The folders, the most trusted first.
    pub folders: Vec<String>,
}

/// The samples of each (category, folder), as ranges of the scan's samples, which are sorted by them.
pub fn by_folder(scan: &Scan) -> BTreeMap<(&str, &str), std::ops::Range<usize>> {
    let mut ranges: BTreeMap<(&str, &str), std::ops::Range<usize>> = BTreeMap::new();
    for (i, sample) in scan.samples.iter().enumerate() {
        let range = ranges
            .entry((&sample.category, &sample.folder))
            .or_insert(i..i);
        range.end = i + 1;
    }
    ranges
}

/// The names of a sample's objects, refused ones left out.
pub fn object_names(sample: &RawSample) -> impl Iterator<Item = &str> {
    let objects = sample.parsed.objects.iter();
    objects
        .filter(|o| o.bbox.is_ok())
        .map(|object| object.name.as_str())
}

/// Every brand as names and a person's `[[merge]]` and `[[keep_apart]]` make it. Overrides must have passed
/// [`crate::plan::overrides::check`].
pub fn form(scan: &Scan, rules: &ConsolidateConfig, overrides: &Overrides) -> Vec<BrandFolders> {
    let ranges = by_folder(scan);
    let left_out = LeftOut::new(overrides);
    let mut decided: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut brands = Vec::new();
    for merge in &overrides.merge {
        decided.extend(
            merge
                .folders
                .iter()
                .map(|f| (merge.category.as_str(), f.as_str())),
        );
        brands.push(BrandFolders {
            category: merge.category.clone(),
            brand: nfc(&merge.brand),
            rule: GroupRule::Override,
            folders: merge.folders.clone(),
        });
    }
    for apart in &overrides.keep_apart {
        for folder in &apart.folders {
            decided.insert((&apart.category, folder));
            brands.push(BrandFolders {
                category: apart.category.clone(),
                brand: nfc(folder),
                rule: GroupRule::Folder,
                folders: vec![folder.clone()],
            });
        }
    }
    // A folder that is left out still counts for the names of the others.
    let undecided: Vec<(String, String)> = scan
        .folders
        .iter()
        .filter(|(c, f)| !decided.contains(&(c.as_str(), f.as_str())))
        .cloned()
        .collect();
    for group in naming::group(&undecided, rules) {
        let samples = |folder: &str| {
            let range = ranges.get(&(group.category.as_str(), folder)).cloned();
            &scan.samples[range.unwrap_or(0..0)]
        };
        let canonical = canonical(&group, samples);
        let (first, others): (Vec<_>, Vec<_>) = group
            .spellings
            .into_iter()
            .partition(|spelling| spelling.0 == canonical);
        let folders = first.into_iter().chain(others).flat_map(|s| s.1);
        let category = group.category;
        let folders: Vec<String> = folders.filter(|f| !left_out.folder(&category, f)).collect();
        if !folders.is_empty() {
            brands.push(BrandFolders {
                category,
                brand: canonical,
                rule: group.rule,
                folders,
            });
        }
    }
    brands
}

/// Gives brands the names of a person's `[[rename]]`, and sorts them by category and name.
///
/// # Errors
/// A rename of what is no brand, or two brands of one name.
pub fn settle(brands: &mut [BrandFolders], overrides: &Overrides) -> Result<(), OverrideError> {
    unique(brands)?;
    rename(brands, overrides)?;
    unique(brands)
}

/// The spelling that most objects of all the group's folders name, a suffix aside; then the one with more images; then
/// the first in byte order.
fn canonical<'a>(group: &NameGroup, samples: impl Fn(&str) -> &'a [RawSample]) -> String {
    if let [(only, _)] = group.spellings.as_slice() {
        return only.clone();
    }
    let mut votes: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (spelling, folders) in &group.spellings {
        votes.entry(spelling).or_default().1 = folders.iter().map(|f| samples(f).len()).sum();
    }
    for folder in group.spellings.iter().flat_map(|s| &s.1) {
        for name in samples(folder).iter().flat_map(object_names) {
            let spelling = Some(name).filter(|n| votes.contains_key(n));
            let spelling = spelling.unwrap_or(naming::base(name));
            if let Some(vote) = votes.get_mut(spelling) {
                vote.0 += 1;
            }
        }
    }
    // Of equals, `max_by_key` takes the last: the first in byte order.
    let best = votes.iter().rev().max_by_key(|(_, votes)| **votes);
    best.map_or_else(String::new, |(spelling, _)| (*spelling).to_owned())
}

fn rename(brands: &mut [BrandFolders], overrides: &Overrides) -> Result<(), OverrideError> {
    let mut renamed = BTreeSet::new();
    let positions: BTreeMap<(String, String), usize> = brands
        .iter()
        .enumerate()
        .map(|(i, b)| ((b.category.clone(), b.brand.clone()), i))
        .collect();
    for rename in &overrides.rename {
        let (category, brand) = (rename.category.clone(), nfc(&rename.brand));
        let Some(&i) = positions.get(&(category.clone(), brand.clone())) else {
            return Err(OverrideError::UnknownBrand { category, brand });
        };
        if !renamed.insert(i) {
            return Err(OverrideError::RenamedTwice { category, brand });
        }
        brands[i].brand = nfc(&rename.to);
        brands[i].rule = GroupRule::Override;
    }
    Ok(())
}

fn unique(brands: &mut [BrandFolders]) -> Result<(), OverrideError> {
    brands.sort_by(|a, b| (&a.category, &a.brand).cmp(&(&b.category, &b.brand)));
    let twins = brands
        .windows(2)
        .find(|pair| (&pair[0].category, &pair[0].brand) == (&pair[1].category, &pair[1].brand));
    match twins {
        None => Ok(()),
        Some(pair) => Err(OverrideError::SameName {
            category: pair[0].category.clone(),
            brand: pair[0].brand.clone(),
            first: pair[0].folders.clone(),
            second: pair[1].folders.clone(),
        }),
    }
}
