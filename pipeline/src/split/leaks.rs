//! Finds pictures that lie in two folds of a split: what is learned from one would be known of the other. Brands are disjoint
//! by construction, but two brands can hold the same picture, or two that look the same; the plan lists them.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use logodex_schemas::dataset::Manifest;
use logodex_schemas::plan::ConsolidationPlan;
use logodex_schemas::split::{Fold, SplitRow};

use crate::read::catalog::{read_catalog, read_plan};
use logodex_program::failure::usage;

/// At most this many groups, and images of unknown company, are named.
const NAMED: usize = 10;

/// An image with its brand and fold.
type Place = (String, String, Fold);

/// What lies in several folds, or could.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Leaks {
    /// Every group of images that are the same or look the same, if need be through others, and lie in several folds: all
    /// its images that have rows, in byte order, and whether all are one file.
    pub groups: Vec<(Vec<Place>, bool)>,
    /// Images that were not compared with all that they resemble: nobody knows whether these lie in another fold.
    pub unknown: Vec<Place>,
}

impl Leaks {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.groups.len() + self.unknown.len()
    }
}

/// Every group that the plan of a dataset lists and that lies in several folds of these rows.
///
/// # Errors
/// Corrupt: a plan or a catalog that is missing or damaged.
pub fn leaks(root: &Path, manifest: &Manifest, rows: &[SplitRow]) -> anyhow::Result<Leaks> {
    let plan = read_plan(root, manifest)?;
    // Nothing more to read where nothing leaks even with the images that have no row.
    if across_folds(&plan, rows, &|_| true).len() == 0 {
        return Ok(Leaks::default());
    }
    // What was refused while decoding, or has no box that is large enough, is in no fold; it still ties others together.
    let catalog = read_catalog(root, manifest)?;
    let with_rows: HashSet<&str> = catalog.iter().map(|row| row.raw_image.as_str()).collect();
    Ok(across_folds(&plan, rows, &|image| {
        with_rows.contains(image)
    }))
}

/// The plan's paths are raw ones: a folder means the brand that it was joined into.
fn across_folds(
    plan: &ConsolidationPlan,
    rows: &[SplitRow],
    has_rows: &dyn Fn(&str) -> bool,
) -> Leaks {
    let joined: BTreeMap<(&str, &str), &str> = plan
        .groups
        .iter()
        .flat_map(|g| g.members.iter().map(move |m| (g, m)))
        .map(|(g, m)| ((g.category.as_str(), m.folder.as_str()), g.brand.as_str()))
        .collect();
    let folds: BTreeMap<(&str, &str), Fold> = rows
        .iter()
        .map(|row| ((row.category.as_str(), row.brand.as_str()), row.fold))
        .collect();
    let place = |image: &str| {
        let (category, rest) = image.split_once('/')?;
        let (folder, _) = rest.split_once('/')?;
        let brand = joined.get(&(category, folder)).copied().unwrap_or(folder);
        let fold = *folds.get(&(category, brand))?;
        has_rows(image).then(|| (image.to_owned(), brand.to_owned(), fold))
    };
    let several = |places: &[Place]| places.windows(2).any(|two| two[0].2 != two[1].2);
    let groups = groups(plan)
        .into_iter()
        .map(|(images, same)| (images.into_iter().filter_map(place).collect(), same))
        .filter(|(places, _): &(Vec<Place>, bool)| several(places))
        .collect();
    let unknown = plan.crowded_images.iter().filter_map(|image| place(image));
    Leaks {
        groups,
        unknown: unknown.collect(),
    }
}

/// All images that the plan says are the same or look the same, each with all that it is tied to, directly or through
/// others, in byte order; and whether they are one file.
fn groups(plan: &ConsolidationPlan) -> Vec<(Vec<&str>, bool)> {
    let same = plan.copies_across_brands.iter();
    let same = same.map(|c| (c.images.iter().map(String::as_str).collect(), true));
    let near = plan.near_images.iter();
    let near = near.map(|n| (vec![n.a.as_str(), n.b.as_str()], false));
    let ties: Vec<(Vec<&str>, bool)> = same.chain(near).collect();
    let mut images: Vec<&str> = ties.iter().flat_map(|(images, _)| images.clone()).collect();
    images.sort_unstable();
    images.dedup();
    let number = |image: &str| images.partition_point(|other| *other < image);
    // Each image points at one of smaller number in its group; the first points at itself.
    let mut to: Vec<usize> = (0..images.len()).collect();
    let first = |to: &mut Vec<usize>, mut i: usize| {
        while to[i] != i {
            to[i] = to[to[i]];
            i = to[i];
        }
        i
    };
    let mut one_file = vec![true; images.len()];
    for (tied, same) in &ties {
        for pair in tied.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|image| first(&mut to, number(image)));
            to[a.max(b)] = a.min(b);
        }
        if let (false, Some(image)) = (same, tied.first()) {
            one_file[number(image)] = false;
        }
    }
    let mut groups: BTreeMap<usize, (Vec<&str>, bool)> = BTreeMap::new();
    for (i, image) in images.iter().enumerate() {
        let group = groups
            .entry(first(&mut to, i))
            .or_insert((Vec::new(), true));
        group.0.push(image);
        group.1 &= one_file[i];
    }
    groups.into_values().collect()
}

/// Refuses a split that leaks, or could.
///
/// # Errors
/// Usage, naming the first groups and what can be done.
pub fn refuse(leaks: &Leaks) -> anyhow::Result<()> {
    let side = |(image, brand, fold): &Place| format!("{image} ({brand:?}, {})", fold.name());
    let mut said = Vec::new();
    if !leaks.groups.is_empty() {
        let lines = leaks.groups.iter().map(|(places, same)| {
            // One of each fold shows what is wrong; the plan lists them all.
            let mut shown: Vec<&Place> = Vec::new();
            for place in places {
                if shown.iter().all(|other| other.2 != place.2) {
                    shown.push(place);
                }
            }
            let sides: Vec<String> = shown.iter().map(|place| side(place)).collect();
            let sides = sides.join(if *same { " = " } else { " ~ " });
            match places.len() - shown.len() {
                0 => sides,
                more => format!("{sides}, and {more} more of this group"),
            }
        });
        said.push(format!(
            "{} of images that are the same (=) or look the same (~) would lie in several folds; join their brands with \
             [[merge]] or leave images out with [[drop]], and build again; or draw another --seed, or accept them with \
             --allow-duplicates:{}",
            count(leaks.groups.len(), "group"),
            list(lines)
        ));
    }
    if !leaks.unknown.is_empty() {
        said.push(format!(
            "{} more images of other brands than are compared, so that nobody knows whether one of those lies in \
             another fold; leave them out with [[drop]], and build again; or accept it with --allow-duplicates:{}",
            match leaks.unknown.len() {
                1 => "1 image resembles".to_owned(),
                n => format!("{n} images resemble"),
            },
            list(leaks.unknown.iter().map(side))
        ));
    }
    match said.is_empty() {
        true => Ok(()),
        false => Err(usage(said.join("\n"))),
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The first lines of all, indented, and how many more there are.
fn list(all: impl ExactSizeIterator<Item = String>) -> String {
    let more = all.len().saturating_sub(NAMED);
    let mut lines: Vec<String> = all.take(NAMED).map(|line| format!("\n  {line}")).collect();
    if more > 0 {
        lines.push(format!("\n  ... and {more} more"));
    }
    lines.concat()
}

#[cfg(test)]
mod tests {
    use logodex_schemas::plan::plan_header;
    use serde_json::json;

    use super::*;

    /// A plan that joins a-1 and a-2 into a, and lists one exact and one near pair.
    fn plan(copies: &[&[&str]], near: &[[&str; 2]]) -> ConsolidationPlan {
        let copies: Vec<_> = copies
            .iter()
            .map(|images| json!({"id": "", "images": images}))
            .collect();
        let near: Vec<_> = near
            .iter()
            .map(|[a, b]| {
                json!({"a": a, "b": b, "brand_a": "", "brand_b": "", "distance": 1, "correlation": 1.0})
            })
            .collect();
        let member = |folder: &str| {
            json!({"folder": folder, "images": 1, "objects": 1, "named_as_folder": 1, "named_as_family": 0,
                "boxes": null})
        };
        let plan = json!({
            "format": "logodex-plan", "version": plan_header().version, "raw_blake3": "",
            "rules": {}, "min_object_px": 8, "overrides": {},
            "summary": {"folders": 4, "brands": 3, "images": 4, "kept": 4, "dropped": 0, "renamed": 0},
            "groups": [{
                "category": "Food", "brand": "a", "rule": "suffix_family", "verdict": "shared", "members": [member("a-1"), member("a-2")],
                "overlap": [], "dropped": [], "renamed": [], "undo": "",
                "effect": {"kept": 2, "dropped": 0, "renamed": 0, "relabelled": 0},
            }],
            "copies_across_brands": copies, "near_images": near, "crowded_images": [], "near_names": [],
            "foreign_names": [],
        });
        serde_json::from_value(plan).expect("a plan")
    }

    fn rows() -> Vec<SplitRow> {
        let brands = [
            ("Food", "a", Fold::Train),
            ("Food", "b", Fold::Test),
            ("Sports", "a", Fold::Val),
        ];
        (0..)
            .zip(brands)
            .map(|(index, (category, brand, fold))| SplitRow {
                index,
                category: category.to_owned(),
                brand: brand.to_owned(),
                fold,
            })
            .collect()
    }

    #[test]
    fn a_folder_counts_as_the_brand_that_it_was_joined_into() {
        let copies: [&[&str]; 3] = [
            &["Food/a-1/1.jpg", "Food/b/1.jpg"],
            &["Food/a-1/2.jpg", "Food/a-2/2.jpg"],
            &["Food/a-1/4.jpg", "Food/without rows/1.jpg"],
        ];
        let near = [["Food/a-2/3.jpg", "Sports/a/4.jpg"]];
        let found = across_folds(&plan(&copies, &near), &rows(), &|_| true);
        assert_eq!(
            shown(&found),
            [
                "Food/a-1/1.jpg a train, Food/b/1.jpg b test; true",
                "Food/a-2/3.jpg a train, Sports/a/4.jpg a val; false",
            ]
        );
    }

    #[test]
    fn what_is_tied_through_others_is_one_group() {
        // Three brands and one file: the first has no row, the others lie in two folds.
        let copies: [&[&str]; 1] = [&["Food/a-1/1.jpg", "Food/b/1.jpg", "Sports/a/1.jpg"]];
        let found = across_folds(&plan(&copies, &[]), &rows(), &|image| {
            image != "Food/a-1/1.jpg"
        });
        assert_eq!(
            shown(&found),
            ["Food/b/1.jpg b test, Sports/a/1.jpg a val; true"]
        );
        // The same where only looks tie them, through one that has no row.
        let near = [
            ["Food/without rows/1.jpg", "Sports/a/2.jpg"],
            ["Food/b/2.jpg", "Food/without rows/1.jpg"],
        ];
        let found = across_folds(&plan(&[], &near), &rows(), &|_| true);
        assert_eq!(
            shown(&found),
            ["Food/b/2.jpg b test, Sports/a/2.jpg a val; false"]
        );
    }

    #[test]
    fn what_was_not_compared_in_full_is_refused() {
        let mut plan = plan(&[], &[]);
        plan.crowded_images = vec!["Food/a-1/1.jpg".to_owned(), "Food/b/1.jpg".to_owned()];
        let found = across_folds(&plan, &rows(), &|image| image != "Food/b/1.jpg");
        assert_eq!(found.len(), 1);
        let error = refuse(&found).unwrap_err().to_string();
        assert!(
            error.starts_with("1 image resembles") && error.contains("Food/a-1/1.jpg"),
            "{error}"
        );
    }

    fn shown(leaks: &Leaks) -> Vec<String> {
        let place = |(image, brand, fold): &Place| format!("{image} {brand} {}", fold.name());
        let groups = leaks.groups.iter().map(|(places, same)| {
            let places: Vec<String> = places.iter().map(place).collect();
            format!("{}; {same}", places.join(", "))
        });
        groups.collect()
    }

    #[test]
    fn the_first_groups_are_named_and_the_rest_counted() {
        refuse(&Leaks::default()).expect("nothing to refuse");
        let pairs: Vec<[String; 2]> = (0..13)
            .map(|i| [format!("Food/a-1/{i}.jpg"), format!("Food/b/{i}.jpg")])
            .collect();
        let pairs: Vec<[&str; 2]> = pairs
            .iter()
            .map(|pair| pair.each_ref().map(String::as_str))
            .collect();
        let pairs: Vec<&[&str]> = pairs.iter().map(|pair| pair.as_slice()).collect();
        let error = refuse(&across_folds(&plan(&pairs, &[]), &rows(), &|_| true)).unwrap_err();
        assert_eq!(logodex_program::failure::exit_code(&error), 2);
        let text = error.to_string();
        assert!(text.starts_with("13 groups"), "{text}");
        assert!(
            text.contains("Food/a-1/6.jpg (\"a\", train) = Food/b/6.jpg (\"b\", test)"),
            "{text}"
        );
        assert!(!text.contains("Food/b/7.jpg"), "{text}");
        assert!(
            text.contains("and 3 more") && text.contains("--allow-duplicates"),
            "{text}"
        );
    }
}
