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
    let error = tree.fails(2, "build --raw @raw --out @raw/LogoDet-3K/dataset");
    assert!(error.contains("never written"), "{error}");
    let error = tree.fails(2, "plan --raw @raw --out @raw/LogoDet-3K/plan.json");
    assert!(error.contains("never written"), "{error}");
    tree.ok("build --raw @raw --out @dataset --config @build.toml");
    let before = contents(&tree.path("dataset"));
    // Another configuration or tree would lose what is there.
    tree.write("other.toml", "side = 16\n");
    let error = tree.fails(2, "build --raw @raw --out @dataset --config @other.toml");
    assert!(error.contains("another configuration"), "{error}");
    tree.pair(
        "Food",
        "x",
        1,
        &jpeg(50, 50, 7),
        &xml(&[("x", [1, 1, 40, 40])]),
    );
    std::fs::rename(tree.path("raw"), tree.path("moved")).unwrap();
    let error = tree.fails(2, "build --raw @moved --out @dataset --config @build.toml");
    assert!(error.contains("another raw tree"), "{error}");
    std::fs::remove_dir_all(tree.path("dataset/.build")).unwrap();
    let error = tree.fails(2, "build --raw @moved --out @dataset --config @build.toml");
    assert!(error.contains("is a dataset already"), "{error}");
    assert!(before == contents(&tree.path("dataset")));
}

#[test]
fn what_a_killed_build_left_is_finished() {
    let tree = Tree::usual();
    tree.write("build.toml", "side = 8\n");
    tree.write("dataset/.build/stage/shards/00000.tmp", "half");
    tree.write("dataset/.build/stage/brands.csv", "half");
    // Killed while it was published.
    tree.write("dataset/shards/00007.safetensors", "of another build");
    tree.write("dataset/annotations/Food/gone/1.xml", "<annotation/>");
    tree.ok("build --raw @raw --out @dataset --config @build.toml");
    tree.ok("build --raw @raw --out @fresh --config @build.toml");
    assert!(contents(&tree.path("dataset")) == contents(&tree.path("fresh")));
    assert!(!tree.path("dataset/.build/stage").exists());
}

#[test]
fn a_dataset_is_brought_up_to_date_in_place() {
    let tree = Tree::usual();
    // Three shards or more.
    tree.write(
        "build.toml",
        "side = 150\nshard_mib = 1\nregion = \"both\"\n",
    );
    tree.ok("build --raw @raw --out @dataset --config @build.toml");
    tree.ok("split --dataset @dataset --name s --seed 3 --test 0.3");
    let before = contents(&tree.path("dataset"));
    let shards: Vec<&String> = before
        .keys()
        .filter(|name| name.starts_with("shards/"))
        .collect();
    assert!(shards.len() >= 3, "{shards:?}");
    let stamp = |name: &str| {
        tree.path(&format!("dataset/{name}"))
            .metadata()
            .unwrap()
            .modified()
    };
    let written: Vec<_> = shards.iter().map(|name| stamp(name).unwrap()).collect();

    // The times of a tree this young are not trusted; its content is, and no shard is written.
    tree.ok("build --raw @raw --out @dataset --config @build.toml");
    assert!(before == contents(&tree.path("dataset")));

    // One image gets other pixels.
    let folder = tree.path("raw/LogoDet-3K/Clothes/C-IN2");
    let mut images: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jpg"))
        .collect();
    images.sort();
    std::fs::write(&images[0], jpeg(60, 50, 4242)).unwrap();
    let said = tree.ok("build --raw @raw --out @dataset --config @build.toml");
    assert!(
        said.contains("used again") && said.contains("split s was drawn again"),
        "{said}"
    );
    let rewritten =
        |(name, before): (&&String, &std::time::SystemTime)| stamp(name).unwrap() != *before;
    let changed = shards
        .iter()
        .zip(&written)
        .filter(|pair| rewritten(*pair))
        .count();
    assert_eq!(changed, 1, "one changed image rewrites only its shard");
    tree.ok("check @dataset");
    tree.ok("build --raw @raw --out @fresh --config @build.toml");
    tree.ok("split --dataset @fresh --name s --seed 3 --test 0.3");
    assert!(contents(&tree.path("dataset")) == contents(&tree.path("fresh")));

    // A brand goes, and with it rows, annotations and perhaps a shard.
    std::fs::remove_dir_all(images[0].parent().unwrap()).unwrap();
    tree.ok("build --raw @raw --out @dataset --config @build.toml");
    tree.ok("check @dataset");
    tree.ok("build --raw @raw --out @fresh2 --config @build.toml");
    tree.ok("split --dataset @fresh2 --name s --seed 3 --test 0.3");
    assert!(contents(&tree.path("dataset")) == contents(&tree.path("fresh2")));
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
