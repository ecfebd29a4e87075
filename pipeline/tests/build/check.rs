//! What `check` finds, and what a reader refuses.

use logodex_dataset::Dataset;
use logodex_program::failure::exit_code;

use logodex_schemas::dataset::DATASET_VERSION;
use logodex_schemas::header::seal;

use crate::tree::{Tree, contents};

fn built() -> Tree {
    let tree = Tree::usual();
    tree.write("build.toml", "side = 24\nregion = \"object\"\n");
    tree.ok("build --raw @raw --out @dataset --config @build.toml");
    tree.ok("split --dataset @dataset --name s --seed 1 --test 0.2 --val 0.2");
    tree
}

#[test]
fn a_flipped_bit_in_any_file_is_found_and_named() {
    let tree = built();
    tree.ok("check @dataset");
    let files = contents(&tree.path("dataset"));
    let mut kinds = std::collections::BTreeSet::new();
    for (path, bytes) in &files {
        // One annotation stands for all.
        let kind = path.split('/').next().unwrap().to_owned() + path.rsplit('.').next().unwrap();
        if !kinds.insert(kind) && path.contains("annotations/") {
            continue;
        }
        let places = if path.starts_with("shards/") {
            // Header length, header, padding, pixels, and the last image number.
            vec![0, 40, 4000, 5000, bytes.len() - 8]
        } else {
            vec![bytes.len() / 3, bytes.len() - 2]
        };
        for at in places.into_iter().filter(|&at| at < bytes.len()) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            tree.write(&format!("dataset/{path}"), &flipped);
            let error = tree.fails(5, "check @dataset");
            let named = if path.starts_with("annotations/") {
                "annotations"
            } else {
                path.as_str()
            };
            assert!(
                error.contains(named) || path.starts_with("splits/") && error.contains("splits/s."),
                "byte {at} of {path}: {error}"
            );
        }
        tree.write(&format!("dataset/{path}"), bytes);
    }
    assert!(kinds.len() >= 8, "{kinds:?}");
    tree.ok("check @dataset");
}

#[test]
fn missing_and_foreign_files_are_named_all_at_once() {
    let tree = built();
    std::fs::remove_file(tree.path("dataset/brand_to_index.csv")).unwrap();
    std::fs::remove_file(tree.path("dataset/shards/00000.safetensors")).unwrap();
    std::fs::remove_file(tree.path("dataset/annotations/Food/76/8.xml")).unwrap();
    std::fs::remove_file(tree.path("dataset/splits/s.json")).unwrap();
    tree.write("dataset/notes.txt", "mine");
    let error = tree.fails(5, "check @dataset");
    for named in [
        "brand_to_index.csv",
        "00000.safetensors",
        "its annotation is missing",
        "s.json",
        "notes.txt",
    ] {
        assert!(error.contains(named), "{named}: {error}");
    }
}

#[test]
fn a_split_of_another_dataset_is_found() {
    let tree = built();
    tree.write("other.toml", "side = 8\n");
    tree.ok("build --raw @raw --out @other --config @other.toml");
    for extension in ["csv", "json"] {
        let bytes = std::fs::read(tree.path(&format!("dataset/splits/s.{extension}"))).unwrap();
        tree.write(&format!("other/splits/s.{extension}"), bytes);
    }
    let error = tree.fails(5, "check @other");
    assert!(error.contains("another dataset"), "{error}");
}

#[test]
fn another_version_is_told_from_damage_and_from_no_dataset_at_all() {
    let tree = built();
    let error = tree.fails(2, "check @nowhere");
    assert!(error.contains("not a dataset"), "{error}");
    let error = tree.fails(2, "check @raw");
    assert!(error.contains("not a dataset"), "{error}");
    let manifest = std::fs::read_to_string(tree.path("dataset/manifest.json")).unwrap();
    tree.write(
        "dataset/manifest.json",
        manifest.replacen(
            &format!("\"version\": {DATASET_VERSION}"),
            "\"version\": 99",
            1,
        ),
    );
    for command in [
        "check @dataset",
        "split --dataset @dataset --name t --seed 1",
    ] {
        let error = tree.fails(5, command);
        assert!(
            error.contains("version 99") && error.contains("manifest.json"),
            "{error}"
        );
    }
    tree.write("dataset/manifest.json", &manifest[..manifest.len() / 2]);
    tree.fails(5, "check @dataset");
    let lie = manifest.replace("shards/00000", "../00000");
    tree.write("dataset/manifest.json", &lie);
    let error = tree.fails(5, "check @dataset");
    assert!(error.contains("seal"), "{error}");
    let lie: serde_json::Value = serde_json::from_str(&lie).unwrap();
    tree.write("dataset/manifest.json", seal(&lie).unwrap());
    let error = tree.fails(5, "check @dataset");
    assert!(error.contains("outside the dataset"), "{error}");
}

#[test]
fn a_reader_checks_lengths_before_it_maps_and_each_row_when_it_is_touched() {
    let tree = built();
    let path = tree.path("dataset/shards/00000.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let mut flipped = bytes.clone();
    // The second row.
    flipped[4096 + 24 * 24 * 3 + 17] ^= 0x40;
    std::fs::write(&path, &flipped).unwrap();
    let dataset = Dataset::open(&tree.path("dataset")).unwrap();
    dataset.pixels(0).unwrap();
    for _ in 0..2 {
        let error = anyhow::Error::from(dataset.pixels(1).unwrap_err());
        assert_eq!(exit_code(&error), 5);
        let text = format!("{error:#}");
        assert!(
            text.contains("00000.safetensors") && text.contains("row 1 "),
            "{text}"
        );
    }
    dataset.pixels(2).unwrap();
    drop(dataset);
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let error = anyhow::Error::from(Dataset::open(&tree.path("dataset")).unwrap_err());
    assert_eq!(exit_code(&error), 5);
    assert!(
        format!("{error:#}").contains("00000.safetensors"),
        "{error:#}"
    );
}
