//! Findings about boxes that are unlike others: tiny boxes, boxes as large as the picture, refused objects.

use std::collections::BTreeMap;

use logodex_schemas::plan::audit::{Finding, FindingKind};

use super::finding::{Tree, finding};
use super::gallery::Gallery;
use crate::plan::placement::Fate;

/// A box of fewer pixels a side than this is tiny: after resizing a picture to 224 pixels nothing of it is left.
const TINY_PX: u32 = 12;
/// A box that covers this part of its picture is the picture.
const WHOLE: f64 = 0.98;

/// A finding for every folder that has such boxes.
pub fn findings(tree: &Tree<'_>, gallery: &mut Gallery<'_>) -> Vec<Finding> {
    let mut refused: BTreeMap<&str, u64> = BTreeMap::new();
    for reject in tree.scan.rejects.iter().filter(|r| r.object.is_some()) {
        *refused.entry(reject.path.as_str()).or_default() += 1;
    }
    let mut found = Vec::new();
    for (category, folder) in tree.folders() {
        let samples: Vec<usize> = tree
            .folder(category, folder)
            .filter(|&i| matches!(tree.placement.fates[i], Fate::Kept(..)))
            .collect();
        let boxes = tally(&samples, |i| odd_boxes(tree, &refused, i));
        found.extend(of_folder(tree, category, folder, boxes, gallery));
    }
    found
}

/// What is odd, how often, and in which samples.
type Tally = (BTreeMap<&'static str, u64>, Vec<usize>);

fn tally(samples: &[usize], odd: impl Fn(usize) -> Vec<(&'static str, u64)>) -> Tally {
    let mut tally = Tally::default();
    for &i in samples {
        let odd = odd(i);
        if !odd.is_empty() {
            tally.1.push(i);
        }
        for (what, n) in odd {
            *tally.0.entry(what).or_default() += n;
        }
    }
    tally
}

fn of_folder(
    tree: &Tree<'_>,
    category: &str,
    folder: &str,
    (odd, samples): Tally,
    gallery: &mut Gallery<'_>,
) -> Option<Finding> {
    if samples.is_empty() {
        return None;
    }
    let brand = tree.brand_name(category, folder);
    let mut found = finding(
        FindingKind::OddBoxes,
        brand,
        vec![format!("{category}/{folder}")],
    );
    let parts: Vec<String> = odd.iter().map(|(what, n)| format!("{n} {what}")).collect();
    found.says = format!(
        "{} pictures with oddities: {}.",
        samples.len(),
        parts.join(", ")
    );
    if samples.len() == 1 {
        found.says = format!("One picture with oddities: {}.", parts.join(", "));
    }
    found.otherwise = "Refused objects make no rows; all others do.".to_owned();
    found.weight = samples.len() as u64;
    gallery.show(&mut found, &samples);
    Some(found)
}

fn odd_boxes(tree: &Tree<'_>, refused: &BTreeMap<&str, u64>, i: usize) -> Vec<(&'static str, u64)> {
    let sample = &tree.scan.samples[i];
    let (mut tiny, mut whole) = (0, 0);
    for [x0, y0, x1, y1] in tree.boxes(i) {
        let covered = f64::from(x1 - x0) * f64::from(y1 - y0);
        let all = f64::from(sample.seen.width) * f64::from(sample.seen.height);
        tiny += u64::from((x1 - x0).min(y1 - y0) < TINY_PX);
        whole += u64::from(covered >= WHOLE * all);
    }
    let refused = refused
        .get(sample.annotation.as_str())
        .copied()
        .unwrap_or(0);
    let counts = [
        ("tiny boxes", tiny),
        ("boxes of the whole picture", whole),
        ("objects refused", refused),
    ];
    counts.into_iter().filter(|(_, n)| *n > 0).collect()
}
