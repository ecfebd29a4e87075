//! What the annotations' `<name>`s say against their folders. The folder is the label; the rest is evidence.

use std::collections::BTreeMap;

use logodex_schemas::plan::ForeignName;

use super::folders::{FolderGroup, Folders, base_of};

/// Whether an object of a folder of this group names the group: one of its folders, the brand, or that brand with any
/// suffix.
pub fn names_family(group: &FolderGroup, name: &str) -> bool {
    let is = |own: &str| name == own || base_of(name) == base_of(own);
    is(&group.brand) || group.members.iter().any(|member| is(member))
}

/// The brand that a name means, by canonical name, by folder, or by a folder's base; in the object's own category
/// before any other.
pub struct BrandOfName<'a> {
    by_name: BTreeMap<&'a str, Vec<&'a FolderGroup>>,
}

impl<'a> BrandOfName<'a> {
    /// Indexes the groups by every name that means them.
    pub fn new(groups: &'a [FolderGroup]) -> Self {
        let mut by_name = BTreeMap::<&str, Vec<&FolderGroup>>::new();
        for group in groups {
            let mut names: Vec<&str> = vec![&group.brand];
            names.extend(group.members.iter().map(String::as_str));
            names.sort_unstable();
            names.dedup();
            for name in names {
                by_name.entry(name).or_default().push(group);
            }
        }
        Self { by_name }
    }

    /// The group that `name` means in an annotation of this category.
    pub fn find(&self, category: &str, name: &str) -> Option<&'a FolderGroup> {
        let found = self
            .by_name
            .get(name)
            .or_else(|| self.by_name.get(base_of(name)))?;
        let here = found.iter().find(|group| group.category == category);
        Some(here.unwrap_or(&found[0]))
    }
}

/// Lists, per folder, the names that are not its own family's.
pub fn foreign(groups: &[FolderGroup], folders: &Folders) -> Vec<ForeignName> {
    let brands = BrandOfName::new(groups);
    let mut out = Vec::new();
    for group in groups {
        for member in &group.members {
            let Some(facts) = folders.get(&(group.category.clone(), member.clone())) else {
                continue;
            };
            let whole_folder = !facts.names.keys().any(|name| names_family(group, name));
            for (name, &objects) in &facts.names {
                if !names_family(group, name) {
                    out.push(ForeignName {
                        category: group.category.clone(),
                        folder: member.clone(),
                        name: name.clone(),
                        objects,
                        brand: brands
                            .find(&group.category, name)
                            .map(|group| group.brand.clone()),
                        whole_folder,
                    });
                }
            }
        }
    }
    out.sort_by(|a, b| (&a.category, &a.folder, &a.name).cmp(&(&b.category, &b.folder, &b.name)));
    out
}
