//! Checks a person's overrides against the tree: every entry must name something that is there, and no two may disagree.

use std::collections::{BTreeMap, BTreeSet};

use logodex_schemas::plan::Overrides;

use crate::raw::name::nfc;
use crate::raw::scan::Scan;

/// An entry of the overrides that cannot be applied: a mistake of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// No such category in the tree.
    #[error("overrides: [[{entry}]] names the category {category:?}, which the tree does not have")]
    UnknownCategory {
        /// Kind of entry.
        entry: &'static str,
        /// What it names.
        category: String,
    },
    /// No such folder in its category.
    #[error(
        "overrides: [[{entry}]] names the folder {category}/{folder}, which the tree does not have"
    )]
    UnknownFolder {
        /// Kind of entry.
        entry: &'static str,
        /// Its category.
        category: String,
        /// What it names.
        folder: String,
    },
    /// The rules name no brand so.
    #[error(
        "overrides: [[rename]] names the brand {category}/{brand}, but no brand is named so; take the name from the plan"
    )]
    UnknownBrand {
        /// Its category.
        category: String,
        /// What it names.
        brand: String,
    },
    /// Neither a folder nor an image that was read.
    #[error(
        "overrides: [[drop]] names {0:?}, which is no folder <Category>/<brand> and no image <Category>/<brand>/<n>.jpg that was read"
    )]
    UnknownPath(String),
    /// A folder with two fates.
    #[error(
        "overrides: the folder {category}/{folder} is in two entries, [[{first}]] and [[{second}]]"
    )]
    Contradiction {
        /// Its category.
        category: String,
        /// The folder.
        folder: String,
        /// Kind of the first entry.
        first: &'static str,
        /// Kind of the second.
        second: &'static str,
    },
    /// A brand renamed twice.
    #[error("overrides: the brand {category}/{brand} is renamed twice")]
    RenamedTwice {
        /// Its category.
        category: String,
        /// The brand.
        brand: String,
    },
    /// An entry without folders.
    #[error("overrides: a [[{0}]] without folders")]
    NoFolders(&'static str),
    /// A name that cannot be a folder of a dataset.
    #[error(
        "overrides: {0:?} cannot be a brand's name: it would be a folder, so it must not be empty, \".\", \"..\", longer than 255 bytes, hold a slash or a control character, or begin or end with a space"
    )]
    BadName(String),
    /// Two brands of one name.
    #[error(
        "overrides: two brands would be {category}/{brand}, one of {first:?} and one of {second:?}; merge all their folders or name one differently"
    )]
    SameName {
        /// Their category.
        category: String,
        /// Their name.
        brand: String,
        /// Folders of the one.
        first: Vec<String>,
        /// Folders of the other.
        second: Vec<String>,
    },
}

/// What a `[[drop]]` leaves out of a tree.
#[derive(Debug, Default)]
pub struct LeftOut<'a>(BTreeSet<&'a str>);

impl<'a> LeftOut<'a> {
    /// The paths of the overrides, which [`check`] has seen.
    pub fn new(overrides: &'a Overrides) -> Self {
        let paths = overrides.drop.iter();
        Self(paths.map(|d| d.path.trim_end_matches('/')).collect())
    }

    /// Whether a folder is left out.
    pub fn folder(&self, category: &str, folder: &str) -> bool {
        !self.0.is_empty() && self.0.contains(format!("{category}/{folder}").as_str())
    }

    /// Whether an image is left out, alone or with its folder.
    pub fn image(&self, image: &str) -> bool {
        !self.0.is_empty()
            && (self.0.contains(image)
                || image
                    .rsplit_once('/')
                    .is_some_and(|(folder, _)| self.0.contains(folder)))
    }
}

/// The overrides with every folder spelled as the tree spells it, where its name differs in its form in Unicode only: what a
/// person types is seldom what a file system holds.
pub fn as_the_tree_spells(scan: &Scan, overrides: &Overrides) -> Overrides {
    let mut spelled: BTreeMap<(&str, String), Vec<&String>> = BTreeMap::new();
    for (category, folder) in &scan.folders {
        let same = spelled.entry((category, nfc(folder))).or_default();
        same.push(folder);
    }
    let respell = |category: &str, folder: &mut String| {
        if let Some([only]) = spelled.get(&(category, nfc(folder))).map(Vec::as_slice) {
            folder.clone_from(only);
        }
    };
    let mut overrides = overrides.clone();
    for merge in &mut overrides.merge {
        for folder in &mut merge.folders {
            respell(&merge.category, folder);
        }
    }
    for apart in &mut overrides.keep_apart {
        for folder in &mut apart.folders {
            respell(&apart.category, folder);
        }
    }
    for drop in &mut overrides.drop {
        let mut parts: Vec<String> = drop.path.split('/').map(str::to_owned).collect();
        if let [category, folder, ..] = parts.as_mut_slice() {
            respell(category, folder);
            drop.path = parts.join("/");
        }
    }
    overrides
}

/// Checks all that can be checked before brands are formed.
///
/// # Errors
/// The first entry that cannot be applied.
pub fn check(scan: &Scan, overrides: &Overrides) -> Result<(), OverrideError> {
    let folders: BTreeSet<(&str, &str)> = scan
        .folders
        .iter()
        .map(|(c, f)| (c.as_str(), f.as_str()))
        .collect();
    let categories: BTreeSet<&str> = folders.iter().map(|f| f.0).collect();
    let known_category = |entry, category: &str| {
        if categories.contains(category) {
            return Ok(());
        }
        let category = category.to_owned();
        Err(OverrideError::UnknownCategory { entry, category })
    };
    let merges = overrides.merge.iter();
    let aparts = overrides.keep_apart.iter();
    let lists = merges
        .map(|m| ("merge", &m.category, &m.folders))
        .chain(aparts.map(|k| ("keep_apart", &k.category, &k.folders)));
    let mut fates: BTreeMap<(&str, &str), &'static str> = BTreeMap::new();
    let left_out = LeftOut::new(overrides);
    for (entry, category, names) in lists {
        known_category(entry, category)?;
        if names.is_empty() {
            return Err(OverrideError::NoFolders(entry));
        }
        for folder in names {
            let (category, folder) = (category.as_str(), folder.as_str());
            if !folders.contains(&(category, folder)) {
                return Err(OverrideError::UnknownFolder {
                    entry,
                    category: category.to_owned(),
                    folder: folder.to_owned(),
                });
            }
            let dropped = left_out.folder(category, folder).then_some("drop");
            let earlier = fates.insert((category, folder), entry).or(dropped);
            if let Some(first) = earlier {
                return Err(OverrideError::Contradiction {
                    category: category.to_owned(),
                    folder: folder.to_owned(),
                    first,
                    second: entry,
                });
            }
        }
    }
    for rename in &overrides.rename {
        known_category("rename", &rename.category)?;
    }
    let names = overrides.merge.iter().map(|m| &m.brand);
    for name in names.chain(overrides.rename.iter().map(|r| &r.to)) {
        let bad = name.trim() != name
            || name.len() > 255
            || matches!(name.as_str(), "" | "." | "..")
            || name.contains(|c: char| c == '/' || c == '\\' || c.is_control());
        if bad {
            return Err(OverrideError::BadName(name.clone()));
        }
    }
    if overrides.drop.is_empty() {
        return Ok(());
    }
    let images: BTreeSet<&str> = scan.samples.iter().map(|s| s.image.as_str()).collect();
    for drop in &overrides.drop {
        let path = drop.path.trim_end_matches('/');
        let folder = path.split_once('/').filter(|f| folders.contains(f));
        if folder.is_none() && !images.contains(path) {
            return Err(OverrideError::UnknownPath(drop.path.clone()));
        }
    }
    Ok(())
}
