//! Finds pictures that lie in two folds of a split: what is learned from one would be known of the other. Brands are disjoint
//! by construction, but two brands can hold the same picture, or two that look the same; the plan lists them.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use logodex_schemas::dataset::Manifest;
use logodex_schemas::plan::ConsolidationPlan;
use logodex_schemas::split::{Fold, SplitRow};

use crate::read::catalog::{read_catalog, read_plan};
use logodex_program::failure::usage;

/// At most this many pairs are named.
const NAMED: usize = 10;

/// Two pictures of different folds, each with its brand and fold, and whether their bytes are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// First image, its brand and its fold.
    pub a: (String, String, Fold),
    /// Second image.
    pub b: (String, String, Fold),
    /// Whether they are the same file; otherwise they look the same.
    pub same: bool,
}

/// Every pair that the plan of a dataset lists and that lies in two folds of these rows.
///
/// # Errors
/// Corrupt: a plan or a catalog that is missing or damaged.
pub fn leaks(root: &Path, manifest: &Manifest, rows: &[SplitRow]) -> anyhow::Result<Vec<Leak>> {
    let plan = read_plan(root, manifest)?;
    let mut leaks = across_folds(&plan, rows);
    if !leaks.is_empty() {
        // What was refused while decoding, or has no box that is large enough, is in no fold.
        let catalog = read_catalog(root, manifest)?;
        let with_rows: HashSet<&str> = catalog.iter().map(|row| row.raw_image.as_str()).collect();
        let has_rows = |image: &String| with_rows.contains(image.as_str());
        leaks.retain(|leak| has_rows(&leak.a.0) && has_rows(&leak.b.0));
    }
    Ok(leaks)
}

/// The plan's paths are raw ones: a folder means the brand that it was joined into.
fn across_folds(plan: &ConsolidationPlan, rows: &[SplitRow]) -> Vec<Leak> {
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
    let place = |image: &String| {
        let (category, rest) = image.split_once('/')?;
        let (folder, _) = rest.split_once('/')?;
        let brand = joined.get(&(category, folder)).copied().unwrap_or(folder);
        let fold = *folds.get(&(category, brand))?;
        Some((image.clone(), brand.to_owned(), fold))
    };
    let same = plan.copies_across_brands.iter().map(|c| (&c.a, &c.b, true));
    let near = plan.near_images.iter().map(|n| (&n.a, &n.b, false));
    same.chain(near)
        .filter_map(|(a, b, same)| {
            let (a, b) = (place(a)?, place(b)?);
            (a.2 != b.2).then_some(Leak { a, b, same })
        })
        .collect()
}

/// Refuses a split that leaks.
///
/// # Errors
/// Usage, naming the first pairs and what can be done.
pub fn refuse(leaks: &[Leak]) -> anyhow::Result<()> {
    if leaks.is_empty() {
        return Ok(());
    }
    let side = |(image, brand, fold): &(String, String, Fold)| {
        format!("{image} ({brand:?}, {})", fold.name())
    };
    let mut lines: Vec<String> = leaks
        .iter()
        .take(NAMED)
        .map(|leak| {
            let sign = if leak.same { "=" } else { "~" };
            format!("\n  {} {sign} {}", side(&leak.a), side(&leak.b))
        })
        .collect();
    if leaks.len() > NAMED {
        lines.push(format!("\n  ... and {} more", leaks.len() - NAMED));
    }
    Err(usage(format!(
        "{} pair{} of images that are the same (=) or look the same (~) would lie in two folds; join their brands with \
         [[merge]] or leave one image out with [[drop]], and build again; or draw another --seed, or accept them with \
         --allow-duplicates:{}",
        leaks.len(),
        if leaks.len() == 1 { "" } else { "s" },
        lines.concat()
    )))
}

#[cfg(test)]
mod tests {
    use logodex_schemas::plan::plan_header;
    use serde_json::json;

    use super::*;

    /// A plan that joins a-1 and a-2 into a, and lists one exact and one near pair.
    fn plan(copies: &[[&str; 2]], near: &[[&str; 2]]) -> ConsolidationPlan {
        let copies: Vec<_> = copies
            .iter()
            .map(|[a, b]| json!({"a": a, "b": b}))
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
            "rules": {}, "overrides": {},
            "summary": {"folders": 4, "brands": 3, "images": 4, "kept": 4, "dropped": 0, "renamed": 0},
            "groups": [{
                "category": "Food", "brand": "a", "rule": "suffix_family", "members": [member("a-1"), member("a-2")],
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
        let copies = [
            ["Food/a-1/1.jpg", "Food/b/1.jpg"],
            ["Food/a-1/1.jpg", "Food/a-2/1.jpg"],
            ["Food/a-1/1.jpg", "Food/without rows/1.jpg"],
        ];
        let near = [["Food/a-2/3.jpg", "Sports/a/4.jpg"]];
        let found = across_folds(&plan(&copies, &near), &rows());
        let shown: Vec<_> = found
            .iter()
            .map(|leak| {
                (
                    leak.a.0.as_str(),
                    leak.a.2,
                    leak.b.1.as_str(),
                    leak.b.2,
                    leak.same,
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("Food/a-1/1.jpg", Fold::Train, "b", Fold::Test, true),
                ("Food/a-2/3.jpg", Fold::Train, "a", Fold::Val, false),
            ]
        );
    }

    #[test]
    fn the_first_pairs_are_named_and_the_rest_counted() {
        refuse(&[]).expect("nothing to refuse");
        let pairs: Vec<[String; 2]> = (0..13)
            .map(|i| [format!("Food/a-1/{i}.jpg"), format!("Food/b/{i}.jpg")])
            .collect();
        let pairs: Vec<[&str; 2]> = pairs
            .iter()
            .map(|[a, b]| [a.as_str(), b.as_str()])
            .collect();
        let error = refuse(&across_folds(&plan(&pairs, &[]), &rows())).unwrap_err();
        assert_eq!(logodex_program::failure::exit_code(&error), 2);
        let text = error.to_string();
        assert!(text.starts_with("13 pairs"), "{text}");
        assert!(
            text.contains("Food/a-1/9.jpg (\"a\", train) = Food/b/9.jpg (\"b\", test)"),
            "{text}"
        );
        assert!(!text.contains("Food/b/10.jpg"), "{text}");
        assert!(
            text.contains("and 3 more") && text.contains("--allow-duplicates"),
            "{text}"
        );
    }
}
