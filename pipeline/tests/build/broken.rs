//! Broken files in the raw tree.

use logodex_dataset::Dataset;
use logodex_pipeline::build::render;
use logodex_pipeline::plan::apply::apply;
use logodex_pipeline::plan::catalog::Catalog;
use logodex_pipeline::plan::consolidate::propose;
use logodex_pipeline::plan::sharding::{ShardInputs, shard_specs};
use logodex_pipeline::raw::scan::{Scan, scan};
use logodex_schemas::dataset::{BuildConfig, Reject, RejectReason};
use logodex_schemas::plan::Overrides;

use crate::tree::{Tree, jpeg, xml};

fn rejects(tree: &Tree, path: &str) -> Vec<Reject> {
    std::fs::read_to_string(tree.path(path))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A healthy brand, and one with a defect of every kind that only decoding tells.
fn tree_with_defects() -> Tree {
    let tree = Tree::new();
    let good = xml(&[("a", [5, 5, 40, 40])]);
    for n in 0..4 {
        tree.pair("Food", "a", n, &jpeg(60, 50, n), &good);
        tree.pair("Food", "b", n, &jpeg(60, 50, 10 + n), &good);
    }
    let whole = jpeg(60, 50, 20);
    tree.pair("Food", "b", 10, &whole[..whole.len() * 2 / 3], &good);
    tree.pair("Food", "b", 11, b"<html>not found</html>", &good);
    let mut huge = whole.clone();
    let frame = huge.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    huge[frame + 5..frame + 9].fill(0xff);
    tree.pair("Food", "b", 12, &huge, &good);
    let outside = xml(&[("a", [5, 5, 40, 40]), ("a", [60, 0, 90, 40])]);
    tree.pair("Food", "b", 13, &jpeg(60, 50, 23), &outside);
    tree
}

#[test]
fn each_defect_is_listed_with_its_reason_and_the_rest_is_built() {
    for region in ["image", "object"] {
        let tree = tree_with_defects();
        tree.write("build.toml", format!("side = 8\nregion = \"{region}\"\n"));
        let printed = tree.ok("build --raw @raw --out @dataset --config @build.toml");
        assert!(printed.contains("4 refused"), "{printed}");
        let found: Vec<_> = rejects(&tree, "dataset/rejects.jsonl")
            .into_iter()
            .map(|reject| (reject.path, reject.object, reject.reason))
            .collect();
        assert_eq!(
            found,
            [
                (
                    "Food/b/10.jpg".to_owned(),
                    None,
                    RejectReason::ImageTruncated
                ),
                ("Food/b/11.jpg".to_owned(), None, RejectReason::ImageBroken),
                (
                    "Food/b/12.jpg".to_owned(),
                    None,
                    RejectReason::ImageTooLarge
                ),
                (
                    "Food/b/13.xml".to_owned(),
                    Some(1),
                    RejectReason::BoxOutside
                ),
            ]
        );
        let dataset = Dataset::open(&tree.path("dataset")).unwrap();
        assert_eq!(
            dataset.n_rows(),
            9,
            "the image with a bad box and a good one is kept"
        );
        assert_eq!(dataset.manifest().counts.rejects, 4);
        assert!(!tree.path("dataset/annotations/Food/b/10.xml").exists());
        assert!(tree.path("dataset/annotations/Food/b/13.xml").exists());
        tree.ok("check @dataset");
    }
}

#[test]
fn more_rejects_than_allowed_publish_nothing_and_are_listed_beside() {
    let tree = tree_with_defects();
    tree.write("build.toml", "side = 8\nmax_rejects = 3\n");
    let error = tree.fails(3, "build --raw @raw --out @dataset --config @build.toml");
    assert!(
        error.contains("max_rejects is 3") && error.contains("Food/b/10.jpg"),
        "{error}"
    );
    assert!(!tree.path("dataset").exists());
    assert_eq!(
        rejects(&tree, "dataset.rejects.jsonl").len(),
        4,
        "all of them, not the first too many"
    );
    tree.write("build.toml", "side = 8\nmax_rejects = 4\n");
    tree.ok("build --raw @raw --out @dataset --config @build.toml");
}

#[test]
fn a_folder_whose_images_are_all_broken_is_no_brand() {
    let tree = Tree::usual();
    let mut broken = 0;
    for n in [8, 10, 12, 14, 16, 18] {
        let path = tree.path(&format!("raw/LogoDet-3K/Clothes/C-IN2/{n}.jpg"));
        if path.exists() {
            std::fs::write(path, format!("no image {n}")).unwrap();
            broken += 1;
        }
    }
    tree.write("build.toml", "side = 8\n");
    tree.ok("build --raw @raw --out @dataset --config @build.toml");
    let dataset = Dataset::open(&tree.path("dataset")).unwrap();
    assert_eq!(dataset.brands().len(), 8);
    assert!(dataset.brands().iter().all(|brand| brand.brand != "C-IN2"));
    let listed = rejects(&tree, "dataset/rejects.jsonl");
    let of_it = listed.iter().filter(|r| r.path.contains("/C-IN2/"));
    assert_eq!(of_it.count(), broken, "every one of them is listed");
    tree.ok("check @dataset");
}

#[test]
fn a_tree_in_which_nothing_decodes_is_no_dataset() {
    let tree = Tree::new();
    tree.pair("Food", "a", 1, b"no image", &xml(&[("a", [5, 5, 40, 40])]));
    let error = tree.fails(2, "build --raw @raw --out @dataset");
    assert!(error.contains("Food/a/1.jpg"), "{error}");
    assert!(!tree.path("dataset").exists());
}

fn scanned(tree: &Tree, config: &BuildConfig) -> (Scan, Catalog) {
    let scan = scan(&tree.path("raw")).unwrap();
    let plan = propose(&scan, config, &Overrides::default()).unwrap();
    let catalog = apply(&scan, &plan).unwrap();
    (scan, catalog)
}

#[test]
fn a_tree_that_changes_meanwhile_stops_the_build() {
    let tree = tree_with_defects();
    let config = BuildConfig {
        side: 8,
        ..BuildConfig::default()
    };
    let (scan, catalog) = scanned(&tree, &config);
    let inputs = ShardInputs::new(&scan, &catalog, &config);
    let specs = shard_specs(inputs);
    let rendered = |tree: &Tree, n: u32| {
        tree.write("raw/LogoDet-3K/Food/a/2.jpg", jpeg(60, 50, n));
        render::render(inputs, &specs[0], Vec::new(), &|| {})
    };
    rendered(&tree, 2).unwrap();
    let error = format!("{:#}", rendered(&tree, 99).unwrap_err());
    assert!(
        error.contains("Food/a/2.jpg") && error.contains("changed"),
        "{error}"
    );
}

#[test]
fn what_the_buffer_held_before_is_of_no_account() {
    let tree = tree_with_defects();
    let config = BuildConfig {
        side: 8,
        ..BuildConfig::default()
    };
    let (scan, catalog) = scanned(&tree, &config);
    let inputs = ShardInputs::new(&scan, &catalog, &config);
    let specs = shard_specs(inputs);
    let render = |buffer| render::render(inputs, &specs[0], buffer, &|| {}).unwrap();
    let (fresh, dirty) = (render(Vec::new()), render(vec![77; 100_000]));
    assert_eq!(fresh.stored, dirty.stored);
    assert_eq!(fresh.images, dirty.images);
    assert_eq!(fresh.stored.len(), 9 * 8 * 8 * 3);
    for (row, pixels) in fresh
        .images
        .iter()
        .flat_map(|image| &image.rows)
        .zip(fresh.stored.chunks(8 * 8 * 3))
    {
        assert_eq!(
            row.crc32,
            crc32fast::hash(pixels),
            "each row has its own pixels"
        );
    }
}
