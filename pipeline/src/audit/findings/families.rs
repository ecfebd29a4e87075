//! Judges the groups of a plan by the pictures of their folders: families of folders, and folders with copies of their own.

use std::collections::{BTreeMap, BTreeSet};

use logodex_schemas::plan::audit::{
    Apart, FamilyVerdict, Finding, FindingKind, KeptBecause, LookOverlap, PicturePair,
};
use logodex_schemas::plan::{Group, GroupRule, Member, Overlap, Verdict};
use rayon::prelude::*;

use super::labels::labels;
use crate::audit::finding::{Tree, finding};
use crate::audit::gallery::{Gallery, SHOWN};
use crate::plan::hamming::{NEARLY_SAME, SIMILAR};

/// A folder of which at least this part are copies of another folder's pictures is a copy of it.
const COPY: f64 = 0.95;

/// A finding for every group that a rule made. What a person decided is no question.
pub fn findings(tree: &Tree<'_>, groups: &[Group], gallery: &mut Gallery<'_>) -> Vec<Finding> {
    groups
        .iter()
        .filter(|g| g.rule != GroupRule::Override)
        .map(|group| match group.members.as_slice() {
            [_] => own_copies(tree, group, gallery),
            _ => family(tree, group, gallery),
        })
        .collect()
}

fn family(tree: &Tree<'_>, group: &Group, gallery: &mut Gallery<'_>) -> Finding {
    let subjects = group.members.iter();
    let subjects = subjects.map(|m| format!("{}/{}", group.category, m.folder));
    let mut found = finding(FindingKind::Family, &group.brand, subjects.collect());
    let pairs = pairs(tree, group);
    let differ = pairs.iter().filter(|p| p.differ).count() as u64;
    let verdict = verdict(group, differ);
    let dropped = group.dropped.len() as u64;
    let images: Vec<u64> = group.members.iter().map(|m| m.images).collect();
    let (most, all) = (
        images.iter().max().copied().unwrap_or(0),
        images.iter().sum::<u64>(),
    );
    found.weight = match verdict {
        FamilyVerdict::Disjoint => all - most,
        FamilyVerdict::Conflict => differ,
        FamilyVerdict::Partial => all - dropped,
        FamilyVerdict::Copy => dropped,
    };
    let folders = group.members.len();
    let rule = match group.rule {
        GroupRule::FoldedName => "their names differ in case and punctuation only",
        GroupRule::SuffixFamilyAndFoldedName => {
            "their names differ in a number, in case and in punctuation only"
        }
        _ => "their names differ in a number only",
    };
    let shared = match verdict {
        FamilyVerdict::Disjoint => match group.parts.iter().any(|part| part.len() > 1) {
            false => "they share no picture".to_owned(),
            true => format!("they are {} parts that share no picture", group.parts.len()),
        },
        FamilyVerdict::Conflict => {
            format!("{dropped} pictures are copies, and {differ} of them have other boxes")
        }
        FamilyVerdict::Partial => format!("{dropped} of {all} pictures are copies"),
        FamilyVerdict::Copy => {
            format!("all but the first hold the same pictures: {dropped} copies")
        }
    };
    found.says = format!("{folders} folders are one brand because {rule}; {shared}.");
    found.otherwise = format!(
        "One brand “{}” with {} pictures; {dropped} copies are dropped.",
        group.brand, group.effect.kept
    );
    found.verdict = Some(verdict);
    found.rule = Some(group.rule);
    found.effect = Some(group.effect);
    found.apart = Some(apart(tree, group));
    say_of_folders(&mut found, group, tree);
    found.overlap.clone_from(&group.overlap);
    found.looks = looks(tree, group);
    show_pairs(&mut found, pairs, tree, gallery);
    show_alone(&mut found, group, tree, gallery);
    found
}

fn own_copies(tree: &Tree<'_>, group: &Group, gallery: &mut Gallery<'_>) -> Finding {
    let folder = format!("{}/{}", group.category, group.members[0].folder);
    let mut found = finding(FindingKind::OwnCopies, &group.brand, vec![folder]);
    let dropped = group.dropped.len() as u64;
    found.weight = dropped;
    found.says = format!("The folder holds {dropped} copies of its own pictures.");
    found.otherwise = format!("Each picture is kept once: {} pictures.", group.effect.kept);
    found.effect = Some(group.effect);
    say_of_folders(&mut found, group, tree);
    let pairs = pairs(tree, group);
    show_pairs(&mut found, pairs, tree, gallery);
    found
}

/// The folders of a group, and what their annotations say.
fn say_of_folders(found: &mut Finding, group: &Group, tree: &Tree<'_>) {
    found.members.clone_from(&group.members);
    let of = |member: &Member| labels(tree, &group.category, &member.folder);
    found.labels = group.members.iter().map(of).collect();
}

/// What the pictures say of a family, `differ` of whose copies have other boxes than the picture kept.
fn verdict(group: &Group, differ: u64) -> FamilyVerdict {
    if group.verdict == Verdict::Disjoint {
        return FamilyVerdict::Disjoint;
    }
    if differ > 0 {
        return FamilyVerdict::Conflict;
    }
    let is_copy = |folder: &str, images: u64| {
        let of = group
            .dropped
            .iter()
            .filter(|d| folder_of(&d.image) == folder);
        of.count() as f64 >= COPY * images as f64
    };
    let copies = group.members.iter().skip(1);
    match copies.clone().all(|m| is_copy(&m.folder, m.images)) {
        true => FamilyVerdict::Copy,
        false => FamilyVerdict::Partial,
    }
}

/// A copy and the picture kept, as positions in the scan's samples.
struct Twins {
    kept: usize,
    copy: usize,
    same: logodex_schemas::plan::Sameness,
    because: KeptBecause,
    differ: bool,
}

/// Every copy dropped with the picture kept; those whose boxes differ first.
fn pairs(tree: &Tree<'_>, group: &Group) -> Vec<Twins> {
    let order = |i: usize| {
        let folder = &tree.scan.samples[i].folder;
        (group.members.iter().position(|m| m.folder == *folder), i)
    };
    let twins = group.dropped.iter().filter_map(|dropped| {
        let (kept, copy) = (tree.sample(&dropped.kept)?, tree.sample(&dropped.image)?);
        Some(Twins {
            kept,
            copy,
            same: dropped.same,
            because: match (order(kept), order(copy)) {
                (kept, copy) if kept > copy => KeptBecause::HasBox,
                (kept, copy) if kept.0 == copy.0 => KeptBecause::FirstOfFolder,
                _ => KeptBecause::TrustedFolder,
            },
            differ: tree.boxes(kept) != tree.boxes(copy),
        })
    });
    let mut twins: Vec<Twins> = twins.collect();
    twins.sort_by_key(|t| !t.differ);
    twins
}

/// What keeping the folders apart would add: a copy of another folder's picture would be kept, once per folder.
fn apart(tree: &Tree<'_>, group: &Group) -> Apart {
    let filled = group.members.iter().filter(|m| m.images > 0).count() as u64;
    let back: BTreeSet<(&str, &str)> = group
        .dropped
        .iter()
        .filter(|d| folder_of(&d.image) != folder_of(&d.kept) && tree.sample(&d.image).is_some())
        .map(|d| (folder_of(&d.image), d.kept.as_str()))
        .collect();
    Apart {
        brands: filled.saturating_sub(1),
        kept: back.len() as u64,
    }
}

/// How many images of each folder look like one of another, for every pair of `overlap`.
fn looks(tree: &Tree<'_>, group: &Group) -> Vec<LookOverlap> {
    let hashes: BTreeMap<&str, Vec<u64>> = group
        .members
        .iter()
        .map(|member| {
            let samples = tree.folder(&group.category, &member.folder);
            let hashes = samples.map(|i| tree.scan.samples[i].seen.phash);
            // A picture of one colour has no bit set and resembles nothing.
            let hashes = hashes.filter(|&hash| hash != 0).collect();
            (member.folder.as_str(), hashes)
        })
        .collect();
    let of = |pair: &Overlap| {
        let (a, b) = (&hashes[pair.a.as_str()], &hashes[pair.b.as_str()]);
        let within = |some: &[u64], others: &[u64], distance: u32| {
            let near = |x: &&u64| others.iter().any(|y| (**x ^ y).count_ones() <= distance);
            some.iter().filter(near).count() as u64
        };
        LookOverlap {
            a: pair.a.clone(),
            b: pair.b.clone(),
            a_within_4: within(a, b, NEARLY_SAME),
            b_within_4: within(b, a, NEARLY_SAME),
            a_within_8: within(a, b, SIMILAR),
            b_within_8: within(b, a, SIMILAR),
        }
    };
    group.overlap.par_iter().map(of).collect()
}

fn show_pairs(found: &mut Finding, pairs: Vec<Twins>, tree: &Tree<'_>, gallery: &mut Gallery<'_>) {
    found.pairs_total = pairs.len() as u64;
    // Copies whose boxes differ come first, then folders in turn.
    let mut by_folder: BTreeMap<&str, Vec<&Twins>> = BTreeMap::new();
    for twins in &pairs {
        let folder = tree.scan.samples[twins.copy].folder.as_str();
        by_folder.entry(folder).or_default().push(twins);
    }
    let mut turns: Vec<(bool, usize, &Twins)> = by_folder
        .into_values()
        .flat_map(|twins| {
            twins
                .into_iter()
                .enumerate()
                .map(|(turn, t)| (!t.differ, turn, t))
        })
        .collect();
    turns.sort_by_key(|&(same, turn, t)| (same, turn, t.copy));
    for (_, _, twins) in turns.into_iter().take(SHOWN) {
        found.pairs.push(PicturePair {
            a: gallery.place(twins.kept),
            b: gallery.place(twins.copy),
            same: Some(twins.same),
            because: Some(twins.because),
            distance: None,
            differ: twins.differ,
        });
    }
}

/// Pictures of the family that are copied by none and copy none, folders in turn.
fn show_alone(found: &mut Finding, group: &Group, tree: &Tree<'_>, gallery: &mut Gallery<'_>) {
    let copied: BTreeSet<&str> = group
        .dropped
        .iter()
        .flat_map(|d| [d.image.as_str(), d.kept.as_str()])
        .collect();
    let mut alone: Vec<(usize, usize)> = Vec::new();
    for member in &group.members {
        let samples = tree.folder(&group.category, &member.folder);
        let own = samples.filter(|&i| !copied.contains(tree.scan.samples[i].image.as_str()));
        alone.extend(own.enumerate());
    }
    alone.sort_unstable();
    let alone: Vec<usize> = alone.into_iter().map(|(_, i)| i).collect();
    gallery.show(found, &alone);
}

/// The folder of an image `<Category>/<folder>/<n>.jpg`.
fn folder_of(image: &str) -> &str {
    image.split('/').nth(1).unwrap_or_default()
}
