//! Says which folders of a brand share pictures. Names bring folders together; what their pictures say of it is a verdict
//! that the plan states, and by which they are taken apart again where the rules ask for it.

use logodex_schemas::plan::{GroupRule, Member, Overlap, Verdict};

use super::brands::BrandFolders;
use crate::raw::name::nfc;

/// The folders of a brand in parts, both in the order of its members: two folders are in one part if they share a picture, or
/// have some that look the same, be it through other folders. A folder without images says nothing, and folders of one name in
/// two forms of Unicode are one: these go with others.
pub fn parts(members: &[Member], overlap: &[Overlap]) -> Vec<Vec<String>> {
    let mut part: Vec<usize> = (0..members.len()).collect();
    let mut join = |a: usize, b: usize| {
        let (from, to) = (part[a].max(part[b]), part[a].min(part[b]));
        part.iter_mut()
            .filter(|p| **p == from)
            .for_each(|p| *p = to);
    };
    let position = |folder: &str| members.iter().position(|m| m.folder == folder);
    for pair in overlap {
        if pair.same_pixels + pair.same_look > 0
            && let (Some(a), Some(b)) = (position(&pair.a), position(&pair.b))
        {
            join(a, b);
        }
    }
    for (i, member) in members.iter().enumerate() {
        let twin = members
            .iter()
            .position(|m| nfc(&m.folder) == nfc(&member.folder));
        join(i, twin.unwrap_or(i));
    }
    let with_images = members.iter().position(|m| m.images > 0).unwrap_or(0);
    for (i, member) in members.iter().enumerate() {
        if member.images == 0 {
            join(i, with_images);
        }
    }
    let folders = |number: usize| {
        let of = members
            .iter()
            .zip(&part)
            .filter(|(_, part)| **part == number);
        of.map(|(m, _)| m.folder.clone()).collect::<Vec<_>>()
    };
    let parts = (0..members.len()).map(folders);
    parts.filter(|folders| !folders.is_empty()).collect()
}

/// What the parts of a brand's folders say.
pub fn verdict(folders: usize, parts: &[Vec<String>]) -> Verdict {
    match (folders, parts.len()) {
        (..=1, _) => Verdict::OneFolder,
        (_, ..=1) => Verdict::Shared,
        _ => Verdict::Disjoint,
    }
}

/// A brand of each part, named by its first folder.
pub fn apart(brand: &BrandFolders, parts: Vec<Vec<String>>) -> Vec<BrandFolders> {
    let brand_of = |folders: Vec<String>| BrandFolders {
        category: brand.category.clone(),
        brand: nfc(&folders[0]),
        rule: match folders.len() {
            1 => GroupRule::Folder,
            _ => brand.rule,
        },
        folders,
    };
    parts.into_iter().map(brand_of).collect()
}
