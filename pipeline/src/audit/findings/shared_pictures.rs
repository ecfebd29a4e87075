//! Findings about pictures that several brands hold, the same file, or others that look the same or are similar: groups, not
//! pairs, and which folds they lie in.

use std::collections::{BTreeMap, BTreeSet};

use logodex_schemas::plan::audit::{Finding, FindingKind, PicturePair};
use logodex_schemas::plan::{ConsolidationPlan, Sameness};
use logodex_schemas::split::Fold;

use super::similar_pictures::{self, Group};
use crate::audit::finding::{Tree, finding};
use crate::audit::gallery::{Gallery, SHOWN};
use crate::plan::partition::Partition;

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
    let known = joined(tree, copies.iter().chain(&near));
    let similar = similar_pictures::groups(tree, known);
    let groups = |pairs: &[(usize, usize)]| joined(tree, pairs.iter()).groups();
    let kinds = [
        (FindingKind::SharedPicture, with_first(groups(&copies))),
        (FindingKind::NearPicture, with_first(groups(&near))),
        (FindingKind::SimilarPicture, similar),
    ];
    let found = kinds
        .into_iter()
        .flat_map(|(kind, groups)| of_kind(tree, kind, groups, gallery));
    found.collect()
}

/// The samples in the groups that pairs connect.
fn joined<'p>(tree: &Tree<'_>, pairs: impl Iterator<Item = &'p (usize, usize)>) -> Partition {
    let mut samples = Partition::of(tree.scan.samples.len());
    pairs.for_each(|&(a, b)| samples.join(a, b));
    samples
}

/// Groups, each other picture beside the first.
fn with_first(groups: Vec<Vec<usize>>) -> Vec<Group> {
    let with_first = |images: Vec<usize>| Group {
        pairs: images[1..]
            .iter()
            .map(|&other| (images[0], other))
            .collect(),
        images,
    };
    groups.into_iter().map(with_first).collect()
}

fn of_kind(
    tree: &Tree<'_>,
    kind: FindingKind,
    groups: Vec<Group>,
    gallery: &mut Gallery<'_>,
) -> Vec<Finding> {
    let brand = |i: usize| {
        let sample = &tree.scan.samples[i];
        let brand = tree.brand(&sample.category, &sample.folder)?;
        Some(format!("{}/{}", brand.category, brand.name))
    };
    let mut by_brands: BTreeMap<BTreeSet<String>, Vec<Group>> = BTreeMap::new();
    for group in groups {
        let brands = group.images.iter().filter_map(|&i| brand(i)).collect();
        by_brands.entry(brands).or_default().push(group);
    }
    let mut of_brands = |(brands, mut groups): (BTreeSet<String>, Vec<Group>)| {
        groups.sort_unstable_by(|a, b| a.images.cmp(&b.images));
        let image = |i: &usize| tree.scan.samples[*i].image.clone();
        let subjects = groups.iter().flat_map(|group| &group.images).map(image);
        let subjects: Vec<String> = subjects.collect();
        let folds: BTreeSet<Fold> = brands.iter().filter_map(|key| tree.fold(key)).collect();
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
            (FindingKind::NearPicture, 1) => {
                format!("Pictures of {listed} look the same, and their files differ.")
            }
            (FindingKind::NearPicture, _) => {
                format!("{n} pictures of {listed} look the same, and their files differ.")
            }
            (_, 1) => format!("Pictures of {listed} are similar."),
            _ => format!("{n} groups of pictures of {listed} are similar."),
        };
        found.otherwise = match kind {
            FindingKind::SimilarPicture => {
                "All are kept, each as its own brand's, and a split takes no notice.".to_owned()
            }
            _ => "All are kept, each as its own brand's; a split with these brands in two folds is refused.".to_owned(),
        };
        if folds.len() > 1 {
            let names: Vec<&str> = folds.iter().map(|fold| fold.name()).collect();
            found.says += &format!(" They lie in several folds: {}.", names.join(", "));
            found.folds = folds.into_iter().collect();
        }
        found.weight = n;
        found.pairs_total = groups.iter().map(|g| g.images.len() as u64 - 1).sum();
        let same = (kind == FindingKind::SharedPicture).then_some(Sameness::Bytes);
        let hash = |i: usize| tree.scan.samples[i].seen.phash;
        let shown = groups.iter().flat_map(|group| group.pairs.iter().copied());
        for (a, b) in shown.take(SHOWN) {
            found.pairs.push(PicturePair {
                a: gallery.place(a),
                b: gallery.place(b),
                same,
                because: None,
                distance: same.is_none().then(|| (hash(a) ^ hash(b)).count_ones()),
                differ: same.is_some() && tree.boxes(a) != tree.boxes(b),
            });
        }
        Some(found)
    };
    by_brands.into_iter().filter_map(&mut of_brands).collect()
}

fn listed(brands: &[String]) -> String {
    let quoted: Vec<String> = brands.iter().take(3).map(|b| format!("“{b}”")).collect();
    match brands.len() - quoted.len() {
        0 => quoted.join(" and "),
        more => format!("{} and {more} more brands", quoted.join(", ")),
    }
}
