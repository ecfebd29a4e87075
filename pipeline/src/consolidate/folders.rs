//! Which folders are one brand: by suffix, by folded name, and by a person's word, which always wins.

use std::collections::{BTreeMap, BTreeSet};

use logodex_schemas::dataset::ConsolidateConfig;
use logodex_schemas::plan::{GroupRule, Overrides};

use super::OverrideError;

/// What a folder holds, as far as naming needs to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderFacts {
    /// Its images.
    pub images: u64,
    /// How many of its objects carry each `<name>`.
    pub names: BTreeMap<String, u64>,
}

/// Folders by (category, folder).
pub type Folders = BTreeMap<(String, String), FolderFacts>;

/// Folders of one category that are one brand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderGroup {
    /// Category.
    pub category: String,
    /// Canonical brand.
    pub brand: String,
    /// Why.
    pub rule: GroupRule,
    /// The folders, the most trusted first.
    pub members: Vec<String>,
}

/// `base` and N of a name `base-N`.
pub fn split_suffix(name: &str) -> Option<(&str, u64)> {
    let (base, digits) = name.rsplit_once('-')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    (is_number && !base.is_empty()).then_some((base, digits.parse().ok()?))
}

/// A name without its `-N`.
pub fn base_of(name: &str) -> &str {
    split_suffix(name).map_or(name, |(base, _)| base)
}

/// A name without case and punctuation: what is left of `McDonald's` and of `mcdonalds`.
pub fn folded(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Groups every folder; a folder that nothing joins is a group of its own under rule `folder`. Sorted by category and
/// brand.
///
/// # Errors
/// An override names a category, folder or brand that does not exist, or contradicts another.
pub fn group(
    folders: &Folders,
    rules: &ConsolidateConfig,
    overrides: &Overrides,
) -> Result<Vec<FolderGroup>, OverrideError> {
    let mut free: BTreeSet<&(String, String)> = folders.keys().collect();
    let mut settled = Vec::new();
    let mut take = |category: &str, folder: &str, entry: &'static str| {
        let key = (category.to_owned(), folder.to_owned());
        if !folders.contains_key(&key) {
            return Err(OverrideError::new(
                entry,
                format!("{category}/{folder}"),
                "there is no such folder",
            ));
        }
        if !free.remove(&key) {
            return Err(OverrideError::new(
                entry,
                format!("{category}/{folder}"),
                "another entry names it too",
            ));
        }
        Ok(())
    };
    for drop in &overrides.drop {
        if let Some((category, folder)) = drop.path.split_once('/')
            && !folder.contains('/')
        {
            take(category, folder, "drop")?;
        }
    }
    for apart in &overrides.keep_apart {
        for folder in &apart.folders {
            take(&apart.category, folder, "keep_apart")?;
            settled.push(FolderGroup {
                category: apart.category.clone(),
                brand: folder.clone(),
                rule: GroupRule::Folder,
                members: vec![folder.clone()],
            });
        }
    }
    for merge in &overrides.merge {
        for folder in &merge.folders {
            take(&merge.category, folder, "merge")?;
        }
        settled.push(FolderGroup {
            category: merge.category.clone(),
            brand: merge.brand.clone(),
            rule: GroupRule::Override,
            members: merge.folders.clone(),
        });
    }

    let taken: BTreeSet<(String, String)> = settled
        .iter()
        .map(|group| (group.category.clone(), group.brand.clone()))
        .collect();
    let mut groups = suffix_families(&free, rules.suffix_families, &taken);
    if rules.folded_names {
        groups = join_folded(groups, folders);
    }
    groups.extend(settled);
    rename(&mut groups, overrides)?;
    groups.sort_by(|a, b| (&a.category, &a.brand).cmp(&(&b.category, &b.brand)));
    for pair in groups.windows(2) {
        if (&pair[0].category, &pair[0].brand) == (&pair[1].category, &pair[1].brand) {
            return Err(OverrideError::new(
                "rename or merge",
                format!("{}/{}", pair[0].category, pair[0].brand),
                "two brands would have this name; use one [[merge]] instead",
            ));
        }
    }
    Ok(groups)
}

/// Joins `base`, `base-1`, `base-2`, … of one category where there are at least two of them.
fn suffix_families(
    free: &BTreeSet<&(String, String)>,
    is_on: bool,
    taken: &BTreeSet<(String, String)>,
) -> Vec<FolderGroup> {
    let mut families = BTreeMap::<(&str, &str), Vec<(u64, &str)>>::new();
    for (category, folder) in free.iter().copied() {
        if let Some((base, n)) = split_suffix(folder)
            && is_on
        {
            // `base-0` comes after `base` itself.
            let order = n.saturating_add(1);
            families
                .entry((category, base))
                .or_default()
                .push((order, folder));
        }
    }
    let mut groups = Vec::new();
    for ((category, base), mut members) in families {
        let base_folder = (category.to_owned(), base.to_owned());
        if free.contains(&base_folder) {
            members.push((0, base));
        }
        if members.len() < 2 {
            continue;
        }
        members.sort_unstable();
        let members: Vec<String> = members
            .into_iter()
            .map(|(_, name)| name.to_owned())
            .collect();
        // A person kept a brand of the base's name apart: then the family goes by its first folder.
        let brand = match taken.contains(&base_folder) {
            true => members[0].clone(),
            false => base.to_owned(),
        };
        groups.push(FolderGroup {
            category: category.to_owned(),
            brand,
            rule: GroupRule::SuffixFamily,
            members,
        });
    }
    let joined: BTreeSet<(String, String)> = groups
        .iter()
        .flat_map(|group| {
            group
                .members
                .iter()
                .map(|m| (group.category.clone(), m.clone()))
        })
        .collect();
    for key in free.iter().filter(|key| !joined.contains(**key)) {
        groups.push(FolderGroup {
            category: key.0.clone(),
            brand: key.1.clone(),
            rule: GroupRule::Folder,
            members: vec![key.1.clone()],
        });
    }
    groups
}

/// Joins groups of one category whose names fold to the same. The canonical spelling is the one that most objects of
/// all their folders carry; then the one with more images; then the first in byte order.
fn join_folded(groups: Vec<FolderGroup>, folders: &Folders) -> Vec<FolderGroup> {
    let mut same = BTreeMap::<(String, String), Vec<FolderGroup>>::new();
    let mut out = Vec::new();
    for group in groups {
        match folded(&group.brand) {
            // A name of nothing but punctuation equals no other.
            fold if fold.is_empty() => out.push(group),
            fold => same
                .entry((group.category.clone(), fold))
                .or_default()
                .push(group),
        }
    }
    for mut twins in same.into_values() {
        if twins.len() == 1 {
            out.append(&mut twins);
            continue;
        }
        let facts = |group: &FolderGroup| -> Vec<&FolderFacts> {
            let of = |m: &String| folders.get(&(group.category.clone(), m.clone()));
            group.members.iter().filter_map(of).collect()
        };
        let votes = |brand: &str| -> u64 {
            twins
                .iter()
                .flat_map(&facts)
                .flat_map(|facts| &facts.names)
                .filter(|(name, _)| *name == brand || base_of(name) == brand)
                .map(|(_, objects)| objects)
                .sum()
        };
        let mut ranked: Vec<(u64, u64, FolderGroup)> = twins
            .iter()
            .map(|group| {
                let images = facts(group).iter().map(|facts| facts.images).sum();
                (votes(&group.brand), images, group.clone())
            })
            .collect();
        ranked.sort_by(|a, b| (b.0, b.1, &a.2.brand).cmp(&(a.0, a.1, &b.2.brand)));
        let rule = match twins
            .iter()
            .any(|group| group.rule == GroupRule::SuffixFamily)
        {
            true => GroupRule::SuffixFamilyAndFoldedName,
            false => GroupRule::FoldedName,
        };
        out.push(FolderGroup {
            category: ranked[0].2.category.clone(),
            brand: ranked[0].2.brand.clone(),
            rule,
            members: ranked
                .into_iter()
                .flat_map(|(_, _, group)| group.members)
                .collect(),
        });
    }
    out
}

fn rename(groups: &mut [FolderGroup], overrides: &Overrides) -> Result<(), OverrideError> {
    for rename in &overrides.rename {
        let group = groups
            .iter_mut()
            .find(|group| group.category == rename.category && group.brand == rename.brand)
            .ok_or_else(|| {
                OverrideError::new(
                    "rename",
                    format!("{}/{}", rename.category, rename.brand),
                    "there is no such brand",
                )
            })?;
        if rename.to.is_empty() || rename.to.contains('/') || rename.to.starts_with('.') {
            return Err(OverrideError::new(
                "rename",
                format!("{:?}", rename.to),
                "a brand's name must be able to name a folder",
            ));
        }
        group.brand.clone_from(&rename.to);
        if group.members.len() == 1 {
            group.rule = GroupRule::Override;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use logodex_schemas::plan::{KeepApartOverride, MergeOverride, RenameOverride};

    fn folders(names: &[&str]) -> Folders {
        names
            .iter()
            .map(|name| {
                (
                    ("Food".to_owned(), (*name).to_owned()),
                    FolderFacts::default(),
                )
            })
            .collect()
    }

    fn named(groups: &[FolderGroup]) -> Vec<(&str, Vec<&str>)> {
        groups
            .iter()
            .map(|g| (&*g.brand, g.members.iter().map(String::as_str).collect()))
            .collect()
    }

    #[test]
    fn a_family_is_ordered_by_number_and_a_lone_suffix_is_a_name() {
        let found = group(
            &folders(&[
                "x-10", "x-2", "x-1", "lone-7", "7-PE", "C-IN2", "y", "y-3", "76",
            ]),
            &ConsolidateConfig::default(),
            &Overrides::default(),
        )
        .unwrap();
        assert_eq!(
            named(&found),
            [
                ("7-PE", vec!["7-PE"]),
                ("76", vec!["76"]),
                ("C-IN2", vec!["C-IN2"]),
                ("lone-7", vec!["lone-7"]),
                ("x", vec!["x-1", "x-2", "x-10"]),
                ("y", vec!["y", "y-3"]),
            ]
        );
    }

    #[test]
    fn folders_of_two_categories_are_never_one_brand() {
        let mut all = folders(&["x-1"]);
        all.insert(
            ("Sports".to_owned(), "x-2".to_owned()),
            FolderFacts::default(),
        );
        let found = group(&all, &ConsolidateConfig::default(), &Overrides::default()).unwrap();
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn the_spelling_that_the_annotations_use_is_canonical() {
        let mut all = folders(&["McDonald's", "mcdonalds", "Canon", "Canson"]);
        for (folder, images) in [("McDonald's", 10), ("mcdonalds", 90)] {
            let facts = all
                .get_mut(&("Food".to_owned(), folder.to_owned()))
                .unwrap();
            facts.images = images;
            facts.names.insert("McDonald's".to_owned(), images);
        }
        let found = group(&all, &ConsolidateConfig::default(), &Overrides::default()).unwrap();
        assert_eq!(
            named(&found),
            [
                ("Canon", vec!["Canon"]),
                ("Canson", vec!["Canson"]),
                ("McDonald's", vec!["McDonald's", "mcdonalds"]),
            ]
        );
        let off = ConsolidateConfig {
            folded_names: false,
            ..ConsolidateConfig::default()
        };
        assert_eq!(group(&all, &off, &Overrides::default()).unwrap().len(), 4);
    }

    #[test]
    fn a_person_s_word_wins() {
        let all = folders(&["x", "x-1", "x-2", "coca cola", "Coca-Cola Zero", "tin"]);
        let overrides = Overrides {
            keep_apart: vec![KeepApartOverride {
                category: "Food".into(),
                folders: vec!["x".into()],
                reason: "another firm".into(),
            }],
            merge: vec![MergeOverride {
                category: "Food".into(),
                folders: vec!["coca cola".into(), "Coca-Cola Zero".into()],
                brand: "Coca-Cola".into(),
                reason: "one mark".into(),
            }],
            rename: vec![RenameOverride {
                category: "Food".into(),
                brand: "tin".into(),
                to: "Tin".into(),
                reason: "spelling".into(),
            }],
            ..Overrides::default()
        };
        let found = group(&all, &ConsolidateConfig::default(), &overrides).unwrap();
        assert_eq!(
            named(&found),
            [
                ("Coca-Cola", vec!["coca cola", "Coca-Cola Zero"]),
                ("Tin", vec!["tin"]),
                ("x", vec!["x"]),
                ("x-1", vec!["x-1", "x-2"]),
            ]
        );
    }

    #[test]
    fn an_override_of_something_unknown_is_refused_by_name() {
        let overrides = Overrides {
            keep_apart: vec![KeepApartOverride {
                category: "Food".into(),
                folders: vec!["nobody".into()],
                reason: String::new(),
            }],
            ..Overrides::default()
        };
        let error = group(&folders(&["x"]), &ConsolidateConfig::default(), &overrides).unwrap_err();
        assert!(error.to_string().contains("Food/nobody"), "{error}");
    }

    #[test]
    fn the_real_folders_make_2863_brands() {
        let census = include_str!("../../../fixtures/census.tsv");
        let all: Folders = census
            .lines()
            .skip(1)
            .map(|line| {
                let mut fields = line.split('\t');
                let mut next = || fields.next().unwrap().to_owned();
                ((next(), next()), FolderFacts::default())
            })
            .collect();
        assert_eq!(all.len(), 3000);
        let brands = |folded_names| {
            let rules = ConsolidateConfig {
                folded_names,
                ..ConsolidateConfig::default()
            };
            group(&all, &rules, &Overrides::default()).unwrap().len()
        };
        assert_eq!((brands(true), brands(false)), (2863, 2864));
    }
}
