//! A second build of the same directory: what was left behind, what was damaged meanwhile, and that there is nothing to do.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use crate::tree::{Tree, contents, jpeg, xml};

const BUILD: &str = "build --raw @raw --out @dataset --config @build.toml";

/// A tree of several shards that was written long ago, so that its listing is believed.
fn settled() -> Tree {
    let tree = Tree::usual();
    tree.write(
        "build.toml",
        "side = 150\nshard_mib = 1\nregion = \"both\"\n",
    );
    settle(&tree);
    tree
}

fn settle(tree: &Tree) {
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    for path in contents(&tree.path("raw")).into_keys() {
        let file = std::fs::File::options()
            .write(true)
            .open(tree.path("raw").join(path));
        file.unwrap().set_modified(long_ago).unwrap();
    }
}

const NOTHING: &str = "up to date";

#[test]
fn a_hard_link_to_a_raw_file_is_no_change() {
    let tree = settled();
    tree.ok(BUILD);
    assert!(tree.ok(BUILD).contains(NOTHING));
    for (n, path) in contents(&tree.path("raw")).into_keys().enumerate() {
        let link = tree.path(&format!("link-{n}"));
        std::fs::hard_link(tree.path("raw").join(path), link).unwrap();
    }
    assert!(tree.ok(BUILD).contains(NOTHING));
    // Other bytes are a change.
    tree.write("raw/LogoDet-3K/Food/76/8.jpg", jpeg(60, 50, 4242));
    assert!(!tree.ok(BUILD).contains(NOTHING));
}

#[test]
fn a_build_killed_before_its_splits_were_drawn_is_finished() {
    let tree = settled();
    tree.ok(BUILD);
    tree.ok("split --dataset @dataset --name s --seed 3 --test 0.3");
    tree.ok("split --dataset @dataset --name t --seed 4 --test 0.3");
    let old = contents(&tree.path("dataset/splits"));
    tree.write("raw/LogoDet-3K/Food/76/8.jpg", jpeg(60, 50, 4242));
    settle(&tree);
    let said = tree.ok(BUILD);
    assert!(
        said.contains("split s was drawn again") && said.contains("split t was drawn again"),
        "{said}"
    );
    let whole = contents(&tree.path("dataset"));
    let state = tree.path("dataset/.build/state.json");
    let done = std::fs::read_to_string(&state).unwrap();
    let manifest = done.find("\"manifest_blake3\"").unwrap();
    let pending = format!("{}\"manifest_blake3\": null\n}}\n", &done[..manifest]);
    // Killed before the first split, between them, in the middle of one, and before the end was noted.
    for (stale, state_now) in [
        (&["s.csv", "s.json", "t.csv", "t.json"][..], &pending),
        (&["t.csv", "t.json"], &pending),
        (&["s.json", "t.csv", "t.json"], &pending),
        (&[], &pending),
        // As an earlier version left it.
        (&["s.csv", "s.json"], &done),
    ] {
        std::fs::write(&state, state_now).unwrap();
        for name in stale {
            tree.write(&format!("dataset/splits/{name}"), &old[*name]);
        }
        tree.ok(BUILD);
        assert!(contents(&tree.path("dataset")) == whole, "{stale:?}");
        assert_eq!(std::fs::read_to_string(&state).unwrap(), done);
        let said = tree.ok(BUILD);
        assert!(
            said.contains(NOTHING) && !said.contains("drawn again"),
            "{said}"
        );
    }
}

/// The inodes of a dataset's shard files: one that is written has another, one that is renamed has not.
fn shard_inodes(tree: &Tree) -> BTreeSet<u64> {
    let entries = std::fs::read_dir(tree.path("dataset/shards")).unwrap();
    let inode =
        |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().metadata().unwrap().ino();
    entries.map(inode).collect()
}

#[test]
fn an_added_image_rewrites_one_shard_and_so_does_an_added_brand() {
    let tree = settled();
    tree.ok(BUILD);
    let objects = xml(&[("7-Up", [10, 12, 60, 50])]);
    for (what, brand, n) in [("image", "7-Up", 99), ("brand", "7-Upper", 1)] {
        let before = shard_inodes(&tree);
        assert!(before.len() >= 5, "{before:?}");
        tree.pair("Food", brand, n, &jpeg(90, 70, 4200 + n), &objects);
        tree.ok(BUILD);
        let written = shard_inodes(&tree).difference(&before).count();
        assert_eq!(written, 1, "an added {what}");
        tree.ok("check @dataset");
        let fresh = format!("fresh-{what}");
        tree.ok(&BUILD.replace("@dataset", &format!("@{fresh}")));
        assert!(contents(&tree.path("dataset")) == contents(&tree.path(&fresh)));
    }
}

#[test]
fn no_damaged_shard_gets_into_the_next_dataset() {
    let tree = settled();
    tree.ok(BUILD);
    let shards: Vec<String> = contents(&tree.path("dataset/shards")).into_keys().collect();
    assert!(shards.len() >= 4, "{shards:?}");
    // A bit flips in a published shard, and an image of another shard changes.
    let damaged = tree.path("dataset/shards").join(&shards[shards.len() - 1]);
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[9000] ^= 4;
    std::fs::write(&damaged, bytes).unwrap();
    tree.fails(5, "check @dataset");
    tree.write("raw/LogoDet-3K/Food/76/8.jpg", jpeg(60, 50, 4242));
    let said = tree.ok(BUILD);
    assert!(said.contains("used again"), "{said}");
    tree.ok("check @dataset");
    tree.ok(&BUILD.replace("@dataset", "@fresh"));
    assert!(contents(&tree.path("dataset")) == contents(&tree.path("fresh")));
}

#[test]
fn no_damaged_line_of_the_journal_gets_into_the_next_dataset() {
    let tree = settled();
    tree.ok(BUILD);
    // What a row shows, as the journal has it; its JSON stays valid.
    let journal = tree.path("dataset/.build/shards.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    let flipped = text.replacen("\"width\":9", "\"width\":1", 1);
    assert_ne!(text, flipped);
    std::fs::write(&journal, flipped).unwrap();
    tree.write("raw/LogoDet-3K/Sports/999/8.jpg", jpeg(60, 50, 4242));
    tree.ok(BUILD);
    tree.ok(&BUILD.replace("@dataset", "@fresh"));
    assert!(contents(&tree.path("dataset")) == contents(&tree.path("fresh")));
}

#[test]
fn a_dataset_may_lie_beside_the_folder_of_the_categories() {
    let tree = settled();
    let beside = BUILD.replace("@dataset", "@raw/dataset");
    tree.ok(&beside);
    tree.ok("check @raw/dataset");
    assert!(tree.ok(&beside).contains(NOTHING));
    tree.ok("plan --raw @raw --out @raw/plan.json");
    tree.ok("export @raw/dataset --to coco --raw @raw --out @raw/coco");
    for out in [
        "@raw/LogoDet-3K/dataset",
        "@raw/LogoDet-3K",
        "@raw/LogoDet-3K/Food/../x",
    ] {
        let error = tree.fails(2, &BUILD.replace("@dataset", out));
        assert!(error.contains("never written"), "{error}");
    }
    // Where the categories lie in the folder itself, nothing is beside them.
    let error = tree.fails(
        2,
        "build --raw @raw/LogoDet-3K --out @raw/LogoDet-3K/dataset --config @build.toml",
    );
    assert!(error.contains("never written"), "{error}");
    let error = tree.fails(2, "plan --raw @raw --out @raw/LogoDet-3K/plan.json");
    assert!(error.contains("never written"), "{error}");
    let error = tree.fails(
        2,
        "export @raw/dataset --to coco --raw @raw --out @raw/LogoDet-3K/coco",
    );
    assert!(error.contains("never written"), "{error}");
}
