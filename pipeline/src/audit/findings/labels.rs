//! What a folder's annotations say of it: its label histogram, and its boxes.

use std::collections::BTreeMap;

use logodex_schemas::plan::audit::{FolderLabels, NameCount};
use logodex_schemas::plan::{GroupRule, Member};

use crate::audit::finding::Tree;
use crate::plan::consolidate::brands::{BrandFolders, object_names};
use crate::plan::consolidate::evidence;

/// So many names of a folder are listed.
const LISTED: usize = 12;

/// What the objects of a folder are named, refused ones left out.
pub fn labels(tree: &Tree<'_>, category: &str, folder: &str) -> FolderLabels {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for i in tree.folder(category, folder) {
        for name in object_names(&tree.scan.samples[i]) {
            *counts.entry(name).or_default() += 1;
        }
    }
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|&(name, objects)| (std::cmp::Reverse(objects), name));
    let beyond = counts.split_off(counts.len().min(LISTED));
    let count = |(name, objects): (&str, u64)| NameCount {
        name: name.to_owned(),
        objects,
        brand: tree.foreign_brand(category, folder, name),
    };
    FolderLabels {
        folder: folder.to_owned(),
        names: counts.into_iter().map(count).collect(),
        others: beyond.iter().map(|b| b.1).sum(),
    }
}

/// What a folder that is a brand of its own, or a part of one, says of itself.
pub fn member(tree: &Tree<'_>, category: &str, folder: &str) -> Vec<Member> {
    let brand = BrandFolders {
        category: category.to_owned(),
        brand: tree.brand_name(category, folder).to_owned(),
        rule: GroupRule::Folder,
        folders: vec![folder.to_owned()],
    };
    let samples: Vec<usize> = tree.folder(category, folder).collect();
    evidence::members(tree.scan, &brand, &samples)
}
