//! The quirks of the real tree in small.

use logodex_schemas::dataset::ConsolidateConfig;
use logodex_schemas::plan::{BoxStats, GroupRule, RenamedImage, Sameness};

use super::near_images::Thumbnail;
use super::*;
use crate::plan::apply::apply;
use crate::plan::catalog::Catalog;
use crate::plan::placement::PlanMismatch;
use crate::plan::summary::summarize;
use crate::raw::scan::raw_tree::{RawTree, pixel_hash};

mod alike;
mod copies;
mod disjoint;
mod foreign;
mod person;
mod trust;

fn plan(tree: &RawTree) -> ConsolidationPlan {
    plan_with(tree, "")
}

fn plan_with(tree: &RawTree, overrides: &str) -> ConsolidationPlan {
    try_plan(tree, overrides).expect("a plan")
}

fn try_plan(tree: &RawTree, overrides: &str) -> anyhow::Result<ConsolidationPlan> {
    let overrides: Overrides = toml::from_str(overrides).expect("TOML");
    let config = BuildConfig::default();
    propose_with(&tree.scan(), &config, &overrides, &pixel_hash, &thumbnail)
}

/// What a second look at a written picture would see: another picture where the encoding has a `!`.
fn thumbnail(scan: &Scan, sample: usize) -> anyhow::Result<Option<Thumbnail>> {
    let text = std::fs::read_to_string(scan.root.join(&scan.samples[sample].image))?;
    let (picture, encoding) = text.split_once(';').expect("a picture");
    let seen = if encoding.contains('!') {
        text.as_str()
    } else {
        picture
    };
    let mut luma = [0u8; 1024];
    let mut hasher = blake3::Hasher::new();
    hasher.update(seen.as_bytes());
    hasher.finalize_xof().fill(&mut luma);
    Ok(Thumbnail::new(&luma.map(f32::from)))
}

fn with_rules(consolidate: ConsolidateConfig) -> BuildConfig {
    BuildConfig {
        consolidate,
        ..BuildConfig::default()
    }
}

fn catalog(tree: &RawTree, plan: &ConsolidationPlan) -> Catalog {
    apply(&tree.scan(), plan).expect("a catalog")
}

/// `brand: raw image > stem` for every sample.
fn shown(tree: &RawTree, plan: &ConsolidationPlan) -> Vec<String> {
    let scan = tree.scan();
    let catalog = catalog(tree, plan);
    let line = |s: &crate::plan::catalog::Sample| {
        let brand = &catalog.brands[s.brand as usize].name;
        format!("{brand}: {} > {}", scan.samples[s.raw].image, s.stem)
    };
    catalog.samples.iter().map(line).collect()
}

fn dropped(plan: &ConsolidationPlan) -> Vec<(&str, &str, Sameness)> {
    let copies = plan.groups.iter().flat_map(|g| &g.dropped);
    copies
        .map(|c| (c.image.as_str(), c.kept.as_str(), c.same))
        .collect()
}

fn summary(plan: &ConsolidationPlan) -> [u64; 6] {
    let s = &plan.summary;
    [s.folders, s.brands, s.images, s.kept, s.dropped, s.renamed]
}

/// A family of byte-identical copies; `gree-10`'s annotations were overwritten; one copy is encoded anew; one picture
/// only `gree-10` has.
fn family() -> RawTree {
    let tree = RawTree::new();
    for i in 0..3 {
        tree.pair(&format!("Electronic/gree-2/{i}"), i, &["gree-2"]);
        tree.pair(
            &format!("Electronic/gree-10/{i}"),
            i,
            &["gree-2", "gree-10"],
        );
    }
    tree.encoded("Electronic/gree-10/2", 2, "anew", &["gree-10"])
        .pair("Electronic/gree-10/7", 7, &["gree-10"]);
    tree
}

#[test]
fn copies_in_a_family_are_dropped_once_and_nothing_unique_is_lost() {
    let tree = family();
    let plan = plan(&tree);
    assert_eq!(summary(&plan), [2, 1, 7, 4, 3, 0]);
    let group = &plan.groups[0];
    assert_eq!(
        (group.brand.as_str(), group.rule),
        ("gree", GroupRule::SuffixFamily)
    );
    let members: Vec<_> = group
        .members
        .iter()
        .map(|m| {
            let counts = (m.images, m.objects, m.named_as_folder, m.named_as_family);
            (m.folder.as_str(), counts)
        })
        .collect();
    assert_eq!(
        members,
        [("gree-2", (3, 3, 3, 0)), ("gree-10", (4, 6, 4, 2))]
    );
    let overlap = &group.overlap[0];
    assert_eq!((overlap.same_bytes, overlap.same_pixels), (2, 3));
    let stats = |per_image| BoxStats {
        per_image,
        median_width: 8.0,
        median_height: 8.0,
        median_area: 64.0,
        median_coverage: 0.0064,
    };
    let boxes: Vec<_> = group.members.iter().map(|m| m.boxes).collect();
    assert_eq!(boxes, [Some(stats(1.0)), Some(stats(1.5))]);
    let effect = Effect {
        kept: 4,
        dropped: 3,
        renamed: 0,
        relabelled: 4,
    };
    assert_eq!(group.effect, effect, "no object names gree");
    let copy = |i, same| {
        let path = |folder: &str| format!("Electronic/{folder}/{i}.jpg");
        (path("gree-10"), path("gree-2"), same)
    };
    let expected = [
        copy(0, Sameness::Bytes),
        copy(1, Sameness::Bytes),
        copy(2, Sameness::Pixels),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(a, b, same)| (a.as_str(), b.as_str(), *same))
        .collect();
    assert_eq!(dropped(&plan), expected);
    assert!(plan.foreign_names.is_empty(), "members are family");
    assert_eq!(
        shown(&tree, &plan),
        [
            "gree: Electronic/gree-2/0.jpg > 0",
            "gree: Electronic/gree-2/1.jpg > 1",
            "gree: Electronic/gree-2/2.jpg > 2",
            "gree: Electronic/gree-10/7.jpg > 7",
        ]
    );
}

#[test]
fn undo_keeps_the_folders_apart() {
    let tree = family();
    let undo = &plan(&tree).groups[0].undo;
    let entry: Overrides = toml::from_str(undo).expect("an entry of the overrides");
    assert_eq!(entry.keep_apart[0].folders, ["gree-2", "gree-10"]);
    let apart = plan_with(&tree, undo);
    assert_eq!(summary(&apart), [2, 2, 7, 7, 0, 0]);
    assert!(apart.groups.is_empty());
    let across: Vec<_> = apart
        .copies_across_brands
        .iter()
        .map(|c| (c.images[0].as_str(), c.images[1].as_str()))
        .collect();
    let expected = [0, 1].map(|i| {
        (
            format!("Electronic/gree-10/{i}.jpg"),
            format!("Electronic/gree-2/{i}.jpg"),
        )
    });
    let expected: Vec<_> = expected
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    assert_eq!(across, expected, "never dropped across brands, but listed");
    let foreign = &apart.foreign_names[0];
    assert_eq!(
        (
            foreign.name.as_str(),
            foreign.brand.as_deref(),
            foreign.objects
        ),
        ("gree-2", Some("gree-2"), 2),
        "kept apart, a former member is another brand"
    );
}

#[test]
fn a_copy_whose_trusted_original_is_refused_is_kept() {
    let tree = family();
    tree.file("Electronic/gree-2/0.xml", "<annotation>");
    let plan = plan(&tree);
    assert_eq!(summary(&plan), [2, 1, 6, 4, 2, 0]);
    let kept = shown(&tree, &plan);
    assert_eq!(kept[0], "gree: Electronic/gree-10/0.jpg > 0");
}

#[test]
fn chains_of_copies_end_at_an_image_that_is_kept() {
    let tree = RawTree::new();
    tree.encoded("Food/a-1/0", 1, "x", &["a-1"])
        .encoded("Food/a-2/0", 1, "y", &["a-2"])
        .encoded("Food/a-3/5", 1, "y", &["a-3"])
        .file("Food/a-3/6.jpg", "no picture")
        .file("Food/a-3/6.xml", crate::raw::scan::raw_tree::xml(&["a-3"]));
    let plan = plan(&tree);
    let expected = [
        ("Food/a-2/0.jpg", "Food/a-1/0.jpg", Sameness::Pixels),
        ("Food/a-3/5.jpg", "Food/a-1/0.jpg", Sameness::Pixels),
    ];
    assert_eq!(dropped(&plan), expected);
    let overlap: Vec<_> = plan.groups[0]
        .overlap
        .iter()
        .map(|o| (o.a.as_str(), o.b.as_str(), o.same_bytes, o.same_pixels))
        .collect();
    assert_eq!(
        overlap,
        [
            ("a-1", "a-2", 0, 1),
            ("a-1", "a-3", 0, 1),
            ("a-2", "a-3", 1, 1)
        ]
    );
    assert_eq!(plan.summary.kept, 2, "what cannot be decoded is no copy");
}

#[test]
fn disjoint_images_under_taken_stems_are_renamed_without_collision() {
    let tree = RawTree::new();
    tree.pair("Food/norton-1/1", 1, &["norton-1"])
        .pair("Food/norton-2/1", 2, &["norton-2"])
        .pair("Food/norton-3/1", 3, &["norton-3"])
        .pair("Food/norton-1/1_2", 4, &["norton-1"])
        .pair("Food/norton-3/1_3", 5, &["norton-3"])
        .pair("Food/Norton/1", 6, &["Norton"]);
    let plan = plan(&tree);
    assert_eq!(plan.groups[0].rule, GroupRule::SuffixFamilyAndFoldedName);
    let renamed = |folder: &str, stem: &str| RenamedImage {
        image: format!("Food/{folder}/1.jpg"),
        stem: stem.to_owned(),
    };
    let expected = [
        renamed("norton-2", "1_2_2"),
        renamed("norton-3", "1_3_2"),
        renamed("Norton", "1_Norton"),
    ];
    // `norton` has more images than `Norton`; no object names it without a suffix, but suffixes do not count.
    assert_eq!(plan.groups[0].brand, "norton");
    assert_eq!(plan.groups[0].renamed, expected);
    assert_eq!(summary(&plan), [4, 1, 6, 6, 0, 3]);
    assert_eq!(
        shown(&tree, &plan),
        [
            "norton: Food/norton-1/1.jpg > 1",
            "norton: Food/norton-1/1_2.jpg > 1_2",
            "norton: Food/norton-2/1.jpg > 1_2_2",
            "norton: Food/norton-3/1_3.jpg > 1_3",
            "norton: Food/norton-3/1.jpg > 1_3_2",
            "norton: Food/Norton/1.jpg > 1_Norton",
        ]
    );
}

#[test]
fn the_canonical_spelling_is_what_objects_name_then_images_then_byte_order() {
    let canonical = |folders: [(&str, u32, &str); 2]| {
        let tree = RawTree::new();
        for (n, (folder, images, name)) in folders.iter().enumerate() {
            for i in 0..*images {
                tree.pair(&format!("Food/{folder}/{i}"), n as u32 * 100 + i, &[name]);
            }
        }
        let group = plan(&tree).groups.remove(0);
        (group.brand, group.members[0].folder.clone())
    };
    let both = |name: &str| (name.to_owned(), name.to_owned());
    let twin = |upper, lower, name| [("McDonald's", upper, name), ("mcdonalds", lower, name)];
    assert_eq!(canonical(twin(1, 3, "McDonald's")), both("McDonald's"));
    assert_eq!(canonical(twin(3, 1, "mcdonalds")), both("mcdonalds"));
    assert_eq!(canonical(twin(1, 2, "other")), both("mcdonalds"));
    assert_eq!(canonical(twin(2, 2, "other")), both("McDonald's"));
}

#[test]
fn copies_within_one_folder_and_across_brands() {
    let tree = RawTree::new();
    tree.pair("Sports/snow peak/10", 1, &["snow peak"])
        .pair("Sports/snow peak/9", 1, &["snow peak"])
        .encoded("Sports/snow peak/11", 1, "anew", &["snow peak"])
        .pair("Food/twin/1", 1, &["twin"])
        .pair("Food/mohawk-7/1", 2, &["mohawk-7"]);
    let scan = tree.scan();
    let calls = std::sync::atomic::AtomicU64::new(0);
    let counted = |scan: &Scan, sample: usize| {
        calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        pixel_hash(scan, sample)
    };
    let plan = propose_with(
        &scan,
        &BuildConfig::default(),
        &Overrides::default(),
        &counted,
        &thumbnail,
    )
    .expect("a plan");
    assert_eq!(calls.into_inner(), 0, "single folders are not decoded");
    assert_eq!(plan.groups.len(), 1, "what stands as it is, is not listed");
    assert_eq!(plan.groups[0].rule, GroupRule::Folder);
    assert!(plan.groups[0].undo.starts_with('#'));
    let expected = [(
        "Sports/snow peak/10.jpg",
        "Sports/snow peak/9.jpg",
        Sameness::Bytes,
    )];
    assert_eq!(dropped(&plan), expected, "the first in natural order stays");
    assert_eq!(plan.copies_across_brands.len(), 1);
    assert_eq!(
        plan.copies_across_brands[0].images,
        ["Food/twin/1.jpg", "Sports/snow peak/9.jpg"]
    );
    assert_eq!(summary(&plan), [3, 3, 5, 4, 1, 0]);
}
