//! Findings about pictures that several brands hold, the same file or another that looks the same: groups, not pairs.

use std::collections::{BTreeMap, BTreeSet};

use logodex_schemas::plan::audit::{Finding, FindingKind, PicturePair};
use logodex_schemas::plan::{ConsolidationPlan, Sameness};

use super::finding::{Tree, finding};
use super::gallery::{Gallery, SHOWN};

/// A finding for every set of brands that hold the same pictures.
pub fn findings(
    tree: &Tree<'_>,
    plan: &ConsolidationPlan,
    gallery: &mut Gallery<'_>,
) -> Vec<Finding> {
    let copies = plan.copies_across_brands.iter();
    let copies: Vec<(usize, usize)> = copies
        .flat_map(|group| {
            group
                .images
                .iter()
                .map(move |other| (&group.images[0], other))
        })
        .filter_map(|(a, b)| Some((tree.sample(a)?, tree.sample(b)?)))
        .filter(|(a, b)| a != b)
        .collect();
    let near = plan.near_images.iter();
    let near: Vec<(usize, usize)> = near
        .filter_map(|n| Some((tree.sample(&n.a)?, tree.sample(&n.b)?)))
        .collect();
    let mut found = of_kind(tree, FindingKind::SharedPicture, &copies, gallery);
    found.extend(of_kind(tree, FindingKind::NearPicture, &near, gallery));
    found
}

fn of_kind(
    tree: &Tree<'_>,
    kind: FindingKind,
    pairs: &[(usize, usize)],
    gallery: &mut Gallery<'_>,
) -> Vec<Finding> {
    let brand = |i: usize| {
        let sample = &tree.scan.samples[i];
        let brand = tree.brand(&sample.category, &sample.folder)?;
        Some(format!("{}/{}", brand.category, brand.name))
    };
    let mut by_brands: BTreeMap<BTreeSet<String>, Vec<Vec<usize>>> = BTreeMap::new();
    for group in groups(pairs) {
        let brands: BTreeSet<String> = group.iter().filter_map(|&i| brand(i)).collect();
        by_brands.entry(brands).or_default().push(group);
    }
    let of_brands = |(brands, mut groups): (BTreeSet<String>, Vec<Vec<usize>>)| {
        groups.sort_unstable();
        let image = |i: &usize| tree.scan.samples[*i].image.clone();
        let subjects: Vec<String> = groups.iter().flatten().map(image).collect();
        let brands: Vec<String> = brands.into_iter().collect();
        let first = brands.first()?;
        let name = first.split_once('/').map_or("", |n| n.1);
        let mut found = finding(kind, name, subjects);
        found.other = brands.get(1).cloned();
        let listed = listed(&brands);
        let n = groups.len() as u64;
        found.says = match (kind, n) {
            (FindingKind::SharedPicture, 1) => format!("One file is in {listed}."),
            (FindingKind::SharedPicture, _) => format!("{n} files are each in {listed}."),
            (_, 1) => format!("Pictures of {listed} look the same, and their files differ."),
            _ => format!("{n} pictures of {listed} look the same, and their files differ."),
        };
        found.otherwise = "All are kept, each as its own brand's; a split with these brands in two folds is refused.".to_owned();
        found.weight = n;
        found.pairs_total = groups.iter().map(|g| g.len() as u64 - 1).sum();
        let shown = groups.iter().flat_map(|group| {
            let (first, others) = (group[0], &group[1..]);
            others.iter().map(move |&other| (first, other))
        });
        let same = (kind == FindingKind::SharedPicture).then_some(Sameness::Bytes);
        for (a, b) in shown.take(SHOWN) {
            found.pairs.push(PicturePair {
                a: gallery.place(a),
                b: gallery.place(b),
                same,
                because: None,
                differ: same.is_some() && tree.boxes(a) != tree.boxes(b),
            });
        }
        Some(found)
    };
    by_brands.into_iter().filter_map(of_brands).collect()
}

fn listed(brands: &[String]) -> String {
    let quoted: Vec<String> = brands.iter().take(3).map(|b| format!("“{b}”")).collect();
    match brands.len() - quoted.len() {
        0 => quoted.join(" and "),
        more => format!("{} and {more} more brands", quoted.join(", ")),
    }
}

/// The sets of images that pairs connect, each sorted.
fn groups(pairs: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut parent: BTreeMap<usize, usize> = BTreeMap::new();
    fn root(parent: &mut BTreeMap<usize, usize>, of: usize) -> usize {
        let above = *parent.entry(of).or_insert(of);
        if above == of {
            return of;
        }
        let top = root(parent, above);
        parent.insert(of, top);
        top
    }
    for &(a, b) in pairs {
        let (a, b) = (root(&mut parent, a), root(&mut parent, b));
        parent.insert(a.max(b), a.min(b));
    }
    let images: Vec<usize> = parent.keys().copied().collect();
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for image in images {
        groups
            .entry(root(&mut parent, image))
            .or_default()
            .push(image);
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::groups;

    #[test]
    fn pairs_that_touch_are_one_group() {
        let found = groups(&[(5, 3), (1, 2), (3, 9), (7, 8), (9, 5)]);
        assert_eq!(found, [vec![1, 2], vec![3, 5, 9], vec![7, 8]]);
        assert!(groups(&[]).is_empty());
    }
}
