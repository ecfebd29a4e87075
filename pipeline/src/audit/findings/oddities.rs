//! Findings about boxes that are unlike others: tiny, as large as the picture, beyond it, or drawn twice, and refused objects.

use std::collections::BTreeMap;

use logodex_schemas::dataset::RejectReason;
use logodex_schemas::plan::audit::{Finding, FindingKind};

use crate::audit::finding::{Tree, finding};
use crate::audit::gallery::Gallery;
use crate::plan::placement::Fate;

/// A box of fewer pixels a side than this is tiny: after resizing a picture to 224 pixels nothing of it is left.
const TINY_PX: u32 = 12;
/// A box that covers this part of its picture is the picture.
const WHOLE: f64 = 0.98;
/// A box that reaches out of its picture by more than this is odd; annotators count from 0 or from 1.
const REACH_PX: f64 = 1.0;

/// A finding for every folder that has such boxes.
pub fn findings(tree: &Tree<'_>, gallery: &mut Gallery<'_>) -> Vec<Finding> {
    let mut refused = Refused::new();
    for reject in tree.scan.rejects.iter().filter(|r| r.object.is_some()) {
        let what = match reject.reason {
            RejectReason::BoxOutside => "boxes outside the picture",
            RejectReason::ObjectDuplicate => "objects written twice",
            RejectReason::ObjectNameless => "objects without one name",
            RejectReason::BoxInverted => "boxes with their edges swapped",
            RejectReason::BoxEmpty => "boxes without an area",
            _ => "boxes that are no numbers",
        };
        let of_file = refused.entry(reject.path.as_str()).or_default();
        *of_file.entry(what).or_default() += 1;
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

/// Why objects of an annotation are refused, and how many.
type Refused<'a> = BTreeMap<&'a str, BTreeMap<&'static str, u64>>;

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
    let parts: Vec<String> = odd
        .iter()
        .map(|(what, n)| format!("{what} ({n})"))
        .collect();
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

fn odd_boxes(tree: &Tree<'_>, refused: &Refused<'_>, i: usize) -> Vec<(&'static str, u64)> {
    let sample = &tree.scan.samples[i];
    let (width, height) = (f64::from(sample.seen.width), f64::from(sample.seen.height));
    let boxes = tree.boxes(i);
    let (mut tiny, mut whole) = (0, 0);
    for [x0, y0, x1, y1] in &boxes {
        let covered = f64::from(x1 - x0) * f64::from(y1 - y0);
        tiny += u64::from((x1 - x0).min(y1 - y0) < TINY_PX);
        whole += u64::from(covered >= WHOLE * width * height);
    }
    // Sorted: equal boxes are neighbours.
    let twice = boxes.windows(2).filter(|two| two[0] == two[1]).count() as u64;
    let usable = sample.parsed.objects.iter();
    let usable = usable.filter_map(|object| object.bbox.as_ref().ok());
    let reaching = usable.filter(|b| {
        b.xmin.min(b.ymin) < -REACH_PX || b.xmax > width + REACH_PX || b.ymax > height + REACH_PX
    });
    let counts = [
        ("tiny boxes", tiny),
        ("boxes of the whole picture", whole),
        ("boxes drawn twice", twice),
        (
            "boxes that reach out of the picture",
            reaching.count() as u64,
        ),
    ];
    let refused = refused
        .get(sample.annotation.as_str())
        .into_iter()
        .flatten();
    let refused = refused.map(|(what, n)| (*what, *n));
    counts
        .into_iter()
        .filter(|(_, n)| *n > 0)
        .chain(refused)
        .collect()
}
