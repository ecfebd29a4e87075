//! Consolidation on trees made by hand: no files, a content is a string.

use std::path::{Path, PathBuf};

use logodex_schemas::plan::{DropOverride, Sameness};

use super::*;
use crate::annotation::{Annotation, Object};

/// A tree from (folder, stem, content, object name); contents that agree before a `~` have the same pixels.
fn tree(images: &[(&str, &str, &str, &str)]) -> Scan {
    let mut samples: Vec<RawSample> = images
        .iter()
        .map(|&(folder, stem, content, name)| RawSample {
            category: "Food".to_owned(),
            folder: folder.to_owned(),
            stem: stem.to_owned(),
            image: format!("Food/{folder}/{stem}.jpg"),
            annotation: format!("Food/{folder}/{stem}.xml"),
            image_blake3: blake3::hash(content.as_bytes()),
            annotation_blake3: blake3::hash(name.as_bytes()),
            image_bytes: content.len() as u64,
            parsed: Annotation {
                objects: vec![Object {
                    name: name.to_owned(),
                    bbox: Err(crate::annotation::BoxDefect::Empty),
                }],
            },
        })
        .collect();
    samples.sort_by_key(|s| (s.folder.clone(), natural_key(&s.stem)));
    let folders: BTreeSet<_> = samples
        .iter()
        .map(|s| (s.category.clone(), s.folder.clone()))
        .collect();
    Scan {
        root: PathBuf::new(),
        folders: folders.into_iter().collect(),
        samples,
        rejects: Vec::new(),
        raw_blake3: blake3::hash(b"tree"),
    }
}

fn consolidated(
    images: &[(&str, &str, &str, &str)],
    overrides: &Overrides,
) -> (Scan, ConsolidationPlan, Catalog) {
    let scan = tree(images);
    let contents: HashMap<PathBuf, String> = images
        .iter()
        .map(|(folder, stem, content, _)| {
            let pixels = content.split('~').next().unwrap().to_owned();
            (PathBuf::from(format!("Food/{folder}/{stem}.jpg")), pixels)
        })
        .collect();
    let pixel_hash = |path: &Path| Some(blake3::hash(contents[path].as_bytes()));
    let plan = propose(&scan, &ConsolidateConfig::default(), overrides, &pixel_hash).unwrap();
    let catalog = apply(&scan, &plan).unwrap();
    (scan, plan, catalog)
}

fn kept(scan: &Scan, catalog: &Catalog) -> Vec<(String, String, String)> {
    catalog
        .samples
        .iter()
        .map(|sample| {
            (
                catalog.brands[sample.brand as usize].name.clone(),
                sample.stem.clone(),
                scan.samples[sample.raw].image.clone(),
            )
        })
        .collect()
}

#[test]
fn identical_copies_are_dropped_once_and_the_lowest_suffix_is_kept() {
    let (scan, plan, catalog) = consolidated(
        &[
            ("x-2", "1", "a", "x-9"),
            ("x-1", "1", "a", "x-1"),
            ("x-10", "1", "a", "x-10"),
            ("x-2", "2", "b", "x-2"),
            ("x-10", "2", "b", "x-10"),
        ],
        &Overrides::default(),
    );
    assert_eq!(
        kept(&scan, &catalog),
        [
            ("x".into(), "1".into(), "Food/x-1/1.jpg".into()),
            ("x".into(), "2".into(), "Food/x-2/2.jpg".into()),
        ]
    );
    assert_eq!(plan.summary.dropped, 3);
    let group = &plan.groups[0];
    let copies: Vec<_> = group
        .dropped
        .iter()
        .map(|c| (&*c.image, &*c.kept, c.same))
        .collect();
    assert_eq!(
        copies,
        [
            ("Food/x-10/1.jpg", "Food/x-1/1.jpg", Sameness::Bytes),
            ("Food/x-10/2.jpg", "Food/x-2/2.jpg", Sameness::Bytes),
            ("Food/x-2/1.jpg", "Food/x-1/1.jpg", Sameness::Bytes),
        ]
    );
    let members: Vec<_> = group.members.iter().map(|m| &*m.folder).collect();
    assert_eq!(members, ["x-1", "x-2", "x-10"]);
    let overlap: Vec<_> = group
        .overlap
        .iter()
        .map(|o| (&*o.a, &*o.b, o.same_bytes))
        .collect();
    assert_eq!(
        overlap,
        [("x-1", "x-2", 1), ("x-1", "x-10", 1), ("x-2", "x-10", 2)]
    );
    // What undoes it is an entry that works as it stands.
    let overrides: Overrides = toml::from_str(&group.undo).unwrap();
    assert_eq!(overrides.keep_apart[0].folders, ["x-1", "x-2", "x-10"]);
}

#[test]
fn the_same_pixels_in_other_bytes_are_a_copy_too() {
    let (scan, plan, catalog) = consolidated(
        &[
            ("x-1", "1", "a", "x"),
            ("x-2", "7", "a~comment", "x"),
            ("x-3", "9", "a~comment", "x"),
            ("x-3", "1", "b", "x"),
        ],
        &Overrides::default(),
    );
    assert_eq!(
        kept(&scan, &catalog),
        [
            ("x".into(), "1".into(), "Food/x-1/1.jpg".into()),
            ("x".into(), "1_3".into(), "Food/x-3/1.jpg".into()),
        ]
    );
    let dropped = &plan.groups[0].dropped;
    assert!(
        dropped
            .iter()
            .all(|c| c.kept == "Food/x-1/1.jpg" && c.same == Sameness::Pixels)
    );
    assert_eq!(plan.groups[0].overlap[0].same_pixels, 1);
}

#[test]
fn disjoint_members_are_merged_under_names_that_collide_with_nothing() {
    let (scan, plan, catalog) = consolidated(
        &[
            ("n-1", "1", "a", "n"),
            ("n-2", "1", "b", "n"),
            ("n-2", "1_2", "c", "n"),
            ("n-3", "1", "d", "n"),
        ],
        &Overrides::default(),
    );
    assert_eq!(plan.summary.kept, 4);
    let stems: Vec<_> = kept(&scan, &catalog)
        .into_iter()
        .map(|k| (k.1, k.2))
        .collect();
    assert_eq!(
        stems,
        [
            ("1".to_owned(), "Food/n-1/1.jpg".to_owned()),
            ("1_2".into(), "Food/n-2/1_2.jpg".into()),
            ("1_2_2".into(), "Food/n-2/1.jpg".into()),
            ("1_3".into(), "Food/n-3/1.jpg".into()),
        ]
    );
}

#[test]
fn copies_in_two_brands_are_listed_and_kept() {
    let (_, plan, catalog) = consolidated(
        &[
            ("p", "1", "a", "p"),
            ("q", "5", "a", "q"),
            ("q", "6", "a", "q"),
        ],
        &Overrides::default(),
    );
    assert_eq!(catalog.samples.len(), 2);
    assert_eq!(plan.copies_across_brands.len(), 1);
    assert_eq!(plan.copies_across_brands[0].b, "Food/q/5.jpg");
    // The copy within q is dropped under the rule of one folder.
    assert_eq!(plan.groups.len(), 1);
    assert_eq!(plan.groups[0].rule, GroupRule::Folder);
}

#[test]
fn a_foreign_name_keeps_its_brand_s_index_unless_the_whole_folder_is_foreign() {
    let (scan, plan, catalog) = consolidated(
        &[
            ("Alcatel", "1", "a", "Alcatel"),
            ("alpine-1", "1", "b", "alpine-1"),
            ("alpine-1", "2", "c", "Alcatel-2"),
            ("alpine-1", "3", "d", "nobody"),
            ("alpine-2", "4", "e", "alpine-1"),
            ("MAD DOG", "1", "f", "Alcatel"),
        ],
        &Overrides::default(),
    );
    let index = |image: &str| {
        let raw = scan.samples.iter().position(|s| s.image == image);
        let sample = catalog.samples.iter().find(|s| Some(s.raw) == raw).unwrap();
        (
            &*catalog.brands[sample.brand as usize].name,
            &*catalog.brands[sample.object_indices[0] as usize].name,
        )
    };
    assert_eq!(index("Food/alpine-1/1.jpg"), ("alpine", "alpine"));
    assert_eq!(index("Food/alpine-1/2.jpg"), ("alpine", "Alcatel"));
    assert_eq!(index("Food/alpine-1/3.jpg"), ("alpine", "alpine"));
    assert_eq!(index("Food/alpine-2/4.jpg"), ("alpine", "alpine"));
    assert_eq!(index("Food/MAD DOG/1.jpg"), ("MAD DOG", "MAD DOG"));
    let foreign: Vec<_> = plan
        .foreign_names
        .iter()
        .map(|f| (&*f.folder, &*f.name, f.brand.as_deref(), f.whole_folder))
        .collect();
    assert_eq!(
        foreign,
        [
            ("MAD DOG", "Alcatel", Some("Alcatel"), true),
            ("alpine-1", "Alcatel-2", Some("Alcatel"), false),
            ("alpine-1", "nobody", None, false),
        ]
    );
}

#[test]
fn overrides_drop_folders_and_images_and_an_unknown_one_is_an_error() {
    let images = [
        ("p", "1", "a", "p"),
        ("p", "2", "b", "p"),
        ("q", "1", "c", "q"),
    ];
    let drop = |path: &str| Overrides {
        drop: vec![DropOverride {
            path: path.to_owned(),
            reason: "not a logo".to_owned(),
        }],
        ..Overrides::default()
    };
    let (_, plan, catalog) = consolidated(&images, &drop("Food/p/2.jpg"));
    assert_eq!((catalog.brands.len(), catalog.samples.len()), (2, 2));
    assert_eq!((plan.summary.images, plan.summary.kept), (3, 2));
    let (_, _, catalog) = consolidated(&images, &drop("Food/q"));
    assert_eq!((catalog.brands.len(), catalog.samples.len()), (1, 2));

    let none = |_: &Path| None;
    for path in ["Food/p/9.jpg", "Food/z", "p"] {
        let scan = tree(&images);
        let error = propose(&scan, &ConsolidateConfig::default(), &drop(path), &none).unwrap_err();
        assert!(error.downcast_ref::<OverrideError>().is_some(), "{error:#}");
        assert!(format!("{error:#}").contains(path), "{error:#}");
    }
}

#[test]
fn a_plan_for_another_tree_is_refused() {
    let mut scan = tree(&[("p", "1", "a", "p")]);
    let none = |_: &Path| None;
    let plan = propose(
        &scan,
        &ConsolidateConfig::default(),
        &Overrides::default(),
        &none,
    )
    .unwrap();
    scan.raw_blake3 = blake3::hash(b"another");
    assert!(apply(&scan, &plan).is_err());
}

#[test]
fn without_its_rule_what_was_merged_is_back() {
    let scan = tree(&[("x-1", "1", "a", "x-1"), ("x-2", "1", "a", "x-2")]);
    let none = |_: &Path| None;
    let rules = ConsolidateConfig {
        suffix_families: false,
        ..ConsolidateConfig::default()
    };
    let plan = propose(&scan, &rules, &Overrides::default(), &none).unwrap();
    assert_eq!(apply(&scan, &plan).unwrap().samples.len(), 2);
    assert!(plan.groups.is_empty());
    assert_eq!(plan.copies_across_brands.len(), 1);
}
