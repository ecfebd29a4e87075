//! Finds objects that name another brand than their folder's. The folder is the label; but in a folder that otherwise names
//! itself, an object that names another brand of the tree is that brand's.

use std::collections::{BTreeMap, BTreeSet};

use logodex_schemas::plan::ForeignName;

use super::brands::object_names;
use super::naming;
use crate::plan::placement::{Fate, Placement};
use crate::raw::name::nfc;
use crate::raw::scan::Scan;

/// Finds a brand by what annotations call it, in NFC: its canonical name or one of its folders' names.
pub struct Names<'a> {
    placement: &'a Placement,
    canonical: BTreeMap<&'a str, BTreeSet<u32>>,
    folders: BTreeMap<String, BTreeSet<u32>>,
    /// Per brand, its folders' names without their suffixes.
    bases: BTreeMap<u32, BTreeSet<String>>,
}

impl<'a> Names<'a> {
    /// All names of a tree's brands.
    pub fn new(placement: &'a Placement) -> Self {
        let mut canonical: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
        for (i, brand) in placement.brands.iter().enumerate() {
            canonical.entry(&brand.name).or_default().insert(i as u32);
        }
        let mut folders: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        let mut bases: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
        for ((_, folder), &brand) in &placement.folders {
            let folder = nfc(folder);
            let base = naming::base(&folder).to_owned();
            bases.entry(brand).or_default().insert(base);
            folders.entry(folder).or_default().insert(brand);
        }
        Self {
            placement,
            canonical,
            folders,
            bases,
        }
    }

    /// The brand that a name means in a category: one of this category, else the only one of all others. A canonical
    /// name goes before a folder's.
    pub fn resolve(&self, category: &str, name: &str) -> Option<u32> {
        let here = |brand: &&u32| self.placement.brands[**brand as usize].category == category;
        let maps = [self.canonical.get(name), self.folders.get(name)];
        let nearest = maps
            .iter()
            .flatten()
            .find_map(|brands| brands.iter().find(here));
        if let Some(brand) = nearest {
            return Some(*brand);
        }
        let all: BTreeSet<u32> = maps.into_iter().flatten().flatten().copied().collect();
        match all.len() {
            1 => all.first().copied(),
            _ => None,
        }
    }

    /// Whether a name in a folder means the folder's own brand: the folder, its brand, another member, or the base of
    /// one, unless that is another brand's.
    pub fn is_own(&self, brand: u32, category: &str, folder: &str, name: &str) -> bool {
        if name == nfc(folder) {
            return true;
        }
        match self.resolve(category, name) {
            Some(named) => named == brand,
            None => self.bases.get(&brand).is_some_and(|b| b.contains(name)),
        }
    }
}

/// What the objects of a folder say.
#[derive(Default)]
struct Said<'a> {
    /// Whether one names the folder's own brand.
    own: bool,
    /// How many say what else.
    others: BTreeMap<&'a str, u64>,
}

/// Every foreign name, sorted by category, folder and name. Objects that are refused and images that a person left out
/// do not count.
pub fn foreign_names(scan: &Scan, placement: &Placement) -> Vec<ForeignName> {
    let names = Names::new(placement);
    let mut found: BTreeMap<(&str, &str), Said> = BTreeMap::new();
    for (sample, fate) in scan.samples.iter().zip(&placement.fates) {
        let key = (sample.category.clone(), sample.folder.clone());
        let Some(&brand) = placement
            .folders
            .get(&key)
            .filter(|_| *fate != Fate::LeftOut)
        else {
            continue;
        };
        let (category, folder) = (sample.category.as_str(), sample.folder.as_str());
        let said = found.entry((category, folder)).or_default();
        for name in object_names(sample) {
            if names.is_own(brand, category, folder, name) {
                said.own = true;
            } else {
                *said.others.entry(name).or_default() += 1;
            }
        }
    }
    let mut list = Vec::new();
    for ((category, folder), said) in found {
        for (name, objects) in said.others {
            let brand = names.resolve(category, name);
            list.push(ForeignName {
                category: category.to_owned(),
                folder: folder.to_owned(),
                name: name.to_owned(),
                objects,
                brand: brand.map(|b| placement.brands[b as usize].name.clone()),
                whole_folder: !said.own,
            });
        }
    }
    list
}
