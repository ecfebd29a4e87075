//! Command lines that are refused before anything is written.

use crate::tree::{Tree, contents, jpeg, xml};

#[test]
fn a_raw_tree_that_is_missing_or_empty() {
    let tree = Tree::new();
    let error = tree.fails(2, "build --raw @nowhere --out @dataset");
    assert!(error.contains("nowhere"), "{error}");
    std::fs::create_dir_all(tree.path("empty/LogoDet-3K/Food/brand")).unwrap();
    for command in [
        "build --raw @empty --out @dataset",
        "plan --raw @empty --out @plan.json",
    ] {
        let error = tree.fails(2, command);
        assert!(error.contains("empty"), "{error}");
    }
    assert!(!tree.path("dataset").exists() && !tree.path("plan.json").exists());
}

#[test]
fn an_unknown_key_and_a_missing_file() {
    let tree = Tree::usual();
    tree.write("build.toml", "sides = 64\n");
    let error = tree.fails(2, "build --raw @raw --out @dataset --config @build.toml");
    assert!(
        error.contains("sides") && error.contains("build.toml"),
        "{error}"
    );
    tree.fails(2, "build --raw @raw --out @dataset --config @absent.toml");
    tree.fails(2, "build --raw @raw --out @dataset --plan @absent.json");
    tree.write("overrides.toml", "[[merg]]\n");
    let error = tree.fails(
        2,
        "plan --raw @raw --out @plan.json --overrides @overrides.toml",
    );
    assert!(error.contains("merg"), "{error}");
    assert!(!tree.path("dataset").exists());
}

#[test]
fn an_output_that_is_not_ours_to_write() {
    let tree = Tree::usual();
    tree.write("build.toml", "side = 8\n");
    tree.write("home/thesis.tex", "mine");
    let error = tree.fails(2, "build --raw @raw --out @home");
    assert!(error.contains("thesis.tex"), "{error}");
    let error = tree.fails(2, "build --raw @raw --out @raw/dataset");
    assert!(error.contains("never written"), "{error}");
    let error = tree.fails(2, "plan --raw @raw --out @raw/LogoDet-3K/plan.json");
    assert!(error.contains("never written"), "{error}");
    tree.ok("build --raw @raw --out @dataset --config @build.toml");
    let before = contents(&tree.path("dataset"));
    let error = tree.fails(2, "build --raw @raw --out @dataset --config @build.toml");
    assert!(error.contains("is a dataset already"), "{error}");
    assert!(before == contents(&tree.path("dataset")));
}

#[test]
fn an_unfinished_build_is_begun_again() {
    let tree = Tree::usual();
    tree.write("build.toml", "side = 8\n");
    tree.write("dataset/.building", "");
    tree.write("dataset/shards/00000.tmp", "half");
    tree.write("dataset/annotations/Food/gone/1.xml", "<annotation/>");
    tree.ok("build --raw @raw --out @dataset --config @build.toml");
    tree.ok("build --raw @raw --out @fresh --config @build.toml");
    assert!(contents(&tree.path("dataset")) == contents(&tree.path("fresh")));
}

#[test]
fn a_reviewed_plan_is_what_is_built_or_nothing() {
    let tree = Tree::usual();
    tree.write("build.toml", "side = 8\n");
    tree.write(
        "overrides.toml",
        "[[merge]]\ncategory = \"Sports\"\nfolders = [\"magic 8-ball\", \"999\"]\nbrand = \"both\"\nreason = \"a test\"\n",
    );
    tree.ok("plan --raw @raw --out @plan.json --overrides @overrides.toml");
    tree.ok("build --raw @raw --out @dataset --config @build.toml --plan @plan.json");
    let brands = std::fs::read_to_string(tree.path("dataset/brands.csv")).unwrap();
    assert!(
        brands.contains(r#""Sports","both""#) && !brands.contains("magic"),
        "{brands}"
    );
    let plan = std::fs::read(tree.path("plan.json")).unwrap();
    assert!(plan == std::fs::read(tree.path("dataset/consolidation.json")).unwrap());

    tree.pair(
        "Sports",
        "999",
        77,
        &jpeg(50, 50, 7),
        &xml(&[("999", [1, 1, 40, 40])]),
    );
    let error = tree.fails(
        4,
        "build --raw @raw --out @again --config @build.toml --plan @plan.json",
    );
    assert!(
        error.contains("raw_blake3") && error.contains("images: 45 reviewed, 46 now"),
        "{error}"
    );
    assert!(!tree.path("again").exists());
}

#[test]
fn a_brand_that_is_no_file_name() {
    let tree = Tree::usual();
    tree.write(
        "overrides.toml",
        "[[rename]]\ncategory = \"Sports\"\nbrand = \"999\"\nto = \"../../999\"\nreason = \"a test\"\n",
    );
    if tree
        .run("plan --raw @raw --out @plan.json --overrides @overrides.toml")
        .is_ok()
    {
        let error = tree.fails(2, "build --raw @raw --out @dataset --plan @plan.json");
        assert!(error.contains("../../999"), "{error}");
    } else {
        tree.fails(
            2,
            "plan --raw @raw --out @plan.json --overrides @overrides.toml",
        );
    }
    assert!(!tree.path("dataset").exists());
}

#[test]
fn a_split_is_drawn_once() {
    let tree = Tree::usual();
    tree.write("build.toml", "side = 8\n");
    tree.ok("build --raw @raw --out @dataset --config @build.toml");
    let split = "split --dataset @dataset --name s --seed 1 --test 0.2 --val 0.2";
    let printed = tree.ok(split);
    for word in [
        "train", "val", "test", "Food", "Clothes", "Sports", "images",
    ] {
        assert!(printed.contains(word), "{printed}");
    }
    let first = contents(&tree.path("dataset/splits"));
    assert_eq!(tree.ok(split), printed, "the same again is fine");
    let error = tree.fails(
        2,
        "split --dataset @dataset --name s --seed 2 --test 0.2 --val 0.2",
    );
    assert!(error.contains("another --name"), "{error}");
    assert!(first == contents(&tree.path("dataset/splits")));
    tree.ok("split --dataset @dataset --name t --seed 2 --test 0.2 --val 0.2");
    for arguments in [
        "--name ../s --seed 1",
        "--name s --seed 1 --test 1.0",
        "--name s --seed 1 --val -1",
    ] {
        let result = tree.run(&format!("split --dataset @dataset {arguments}"));
        assert!(result.is_err(), "{arguments}");
    }
    let error = tree.fails(2, "split --dataset @raw --name s --seed 1");
    assert!(error.contains("not a dataset"), "{error}");
}
