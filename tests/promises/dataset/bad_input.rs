//! Bad input gives one clear error that names the file and the reason, the documented exit code, and loses nothing.

use logodex_schemas::dataset::DATASET_VERSION;

use crate::workspace::{Workspace, contents, small_dataset, tiny_config};

const USAGE: i32 = 2;
const REJECTS: i32 = 3;
const PLAN: i32 = 4;
const CORRUPT: i32 = 5;

fn copy_dataset(workspace: &Workspace) {
    for (path, bytes) in contents(&small_dataset().path("dataset")) {
        let to = workspace.path("dataset").join(path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, bytes).unwrap();
    }
}

/// `fit` on the small dataset with the tiny configuration after one replacement.
fn fit_with(workspace: &Workspace, from: &str, to: &str) -> String {
    let config = std::fs::read_to_string(tiny_config()).unwrap();
    assert!(config.contains(from), "tiny.toml has no {from:?}");
    workspace.write("fit.toml", &config.replacen(from, to, 1));
    format!(
        "fit --dataset {} --split s --config fit.toml --run run",
        small_dataset().path("dataset").display()
    )
}

#[test]
fn a_missing_or_empty_raw_tree_is_named() {
    let workspace = Workspace::new();
    let error = workspace.fails(USAGE, "logodex-data", "build --raw nowhere --out dataset");
    assert!(error.contains("nowhere"), "{error}");
    std::fs::create_dir_all(workspace.path("empty/LogoDet-3K/Food/brand")).unwrap();
    let error = workspace.fails(USAGE, "logodex-data", "build --raw empty --out dataset");
    assert!(error.contains("empty"), "{error}");
    assert!(!workspace.path("dataset").exists());
}

#[test]
fn broken_files_are_rejects_and_too_many_stop_the_build() {
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 4 --images-per-brand 4 --seed 2 --defects",
    );
    workspace.write("strict.toml", "max_rejects = 1\n");
    let error = workspace.fails(
        REJECTS,
        "logodex-data",
        "build --raw raw --out dataset --config strict.toml",
    );
    assert!(error.contains("max_rejects"), "{error}");
    assert!(!workspace.path("dataset/manifest.json").exists());
    let listed = std::fs::read_to_string(workspace.path("dataset.rejects.jsonl")).unwrap();
    for reason in ["image_truncated", "annotation_broken"] {
        assert!(listed.contains(reason), "{reason} is not in {listed}");
    }
    workspace.ok("logodex-data", "build --raw raw --out dataset");
}

#[test]
fn a_plan_that_changed_since_its_review_stops_the_build() {
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 3 --images-per-brand 4 --seed 2",
    );
    workspace.ok("logodex-data", "plan --raw raw --out plan.json");
    let image = contents(&workspace.path("raw/LogoDet-3K"))
        .into_keys()
        .find(|path| path.ends_with(".jpg"))
        .unwrap();
    std::fs::remove_file(workspace.path("raw/LogoDet-3K").join(&image)).unwrap();
    let xml = image.replace(".jpg", ".xml");
    std::fs::remove_file(workspace.path("raw/LogoDet-3K").join(xml)).unwrap();
    workspace.fails(
        PLAN,
        "logodex-data",
        "build --raw raw --out dataset --plan plan.json",
    );
    assert!(!workspace.path("dataset/manifest.json").exists());
}

#[test]
fn an_unknown_key_is_named_by_either_program() {
    let workspace = Workspace::new();
    workspace.write("build.toml", "sides = 64\n");
    let error = workspace.fails(
        USAGE,
        "logodex-data",
        "build --raw raw --out dataset --config build.toml",
    );
    assert!(
        error.contains("sides") && error.contains("build.toml"),
        "{error}"
    );
    let arguments = fit_with(&workspace, "[model]", "[model]\nhaed = 1");
    let error = workspace.fails(USAGE, "logodex-train", &arguments);
    assert!(
        error.contains("haed") && error.contains("fit.toml"),
        "{error}"
    );
}

#[test]
fn a_wrong_margin_is_found_before_any_data_is_read() {
    let workspace = Workspace::new();
    let arguments = fit_with(&workspace, "margin = ", "margin = -3.0 #");
    let arguments = arguments.replace(
        &small_dataset().path("dataset").display().to_string(),
        "nowhere",
    );
    let error = workspace.fails(USAGE, "logodex-train", &arguments);
    assert!(error.contains("margin"), "{error}");
}

#[test]
fn missing_weights_are_named_with_the_way_to_make_them() {
    let workspace = Workspace::new();
    let arguments = fit_with(
        &workspace,
        "[model]",
        "[model]\nweights = \"absent.safetensors\"",
    );
    let error = workspace.fails(USAGE, "logodex-train", &arguments);
    assert!(error.contains("absent.safetensors"), "{error}");
}

#[test]
fn a_dataset_of_another_version_and_a_corrupt_one_are_told_apart() {
    let workspace = Workspace::new();
    copy_dataset(&workspace);
    workspace.ok("logodex-data", "check dataset");
    let manifest = workspace.path("dataset/manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();

    std::fs::write(
        &manifest,
        text.replacen(
            &format!("\"version\": {DATASET_VERSION}"),
            "\"version\": 99",
            1,
        ),
    )
    .unwrap();
    let error = workspace.fails(CORRUPT, "logodex-data", "check dataset");
    assert!(error.contains("version 99"), "{error}");
    let fit = fit_with(&workspace, "[model]", "[model]").replace(
        &small_dataset().path("dataset").display().to_string(),
        "dataset",
    );
    let error = workspace.fails(CORRUPT, "logodex-train", &fit);
    assert!(error.contains("version 99"), "{error}");
    std::fs::write(&manifest, &text).unwrap();

    let shard = workspace.path("dataset/shards/00000.safetensors");
    let mut bytes = std::fs::read(&shard).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&shard, &bytes).unwrap();
    let error = workspace.fails(CORRUPT, "logodex-data", "check dataset");
    assert!(error.contains("00000.safetensors"), "{error}");
    bytes.truncate(9000);
    std::fs::write(&shard, &bytes).unwrap();
    let error = workspace.fails(CORRUPT, "logodex-train", &fit);
    assert!(error.contains("00000.safetensors"), "{error}");
}

#[test]
fn a_brand_with_one_image_is_skipped_and_said_and_nothing_but_such_brands_is_an_error() {
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 12 --images-per-brand 4 --seed 8",
    );
    let brands = contents(&workspace.path("raw/LogoDet-3K"))
        .into_keys()
        .filter(|path| path.ends_with(".xml"))
        .map(|path| path.rsplit_once('/').unwrap().0.to_owned())
        .collect::<std::collections::BTreeSet<_>>();
    let thin = |brand: &str| {
        let mut files: Vec<_> = std::fs::read_dir(workspace.path("raw/LogoDet-3K").join(brand))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let keep = files[0].with_extension("");
        for file in files.iter().filter(|file| file.with_extension("") != keep) {
            std::fs::remove_file(file).unwrap();
        }
    };
    let config = std::fs::read_to_string(tiny_config()).unwrap();
    workspace.write("fit.toml", &config);
    workspace.write("build.toml", "side = 64\n");

    // A split by hand would not be ours: thin every brand of the drawn train fold but two, then all.
    workspace.ok(
        "logodex-data",
        "build --raw raw --out d0 --config build.toml",
    );
    workspace.ok(
        "logodex-data",
        "split --dataset d0 --name s --seed 1 --test 0.2 --val 0.3",
    );
    let split = std::fs::read_to_string(workspace.path("d0/splits/s.csv")).unwrap();
    let train: Vec<&String> = brands
        .iter()
        .filter(|brand| {
            let name = brand.rsplit('/').next().unwrap();
            split
                .lines()
                .any(|line| line.ends_with(r#","train""#) && line.contains(name))
        })
        .collect();
    assert!(train.len() >= 4, "{split}");
    thin(train[0]);
    workspace.ok(
        "logodex-data",
        "build --raw raw --out d1 --config build.toml",
    );
    workspace.ok(
        "logodex-data",
        "split --dataset d1 --name s --seed 1 --test 0.2 --val 0.3",
    );
    let output = workspace.run(
        "logodex-train",
        "fit --dataset d1 --split s --config fit.toml --run r1",
    );
    assert_eq!(output.status.code(), Some(0));
    let metrics = std::fs::read_to_string(workspace.path("r1/metrics.jsonl")).unwrap();
    assert!(metrics.contains("\"skipped_images\":1"), "{metrics}");

    for brand in &train[1..] {
        thin(brand);
    }
    workspace.ok(
        "logodex-data",
        "build --raw raw --out d2 --config build.toml",
    );
    workspace.ok(
        "logodex-data",
        "split --dataset d2 --name s --seed 1 --test 0.2 --val 0.3",
    );
    let error = workspace.fails(
        USAGE,
        "logodex-train",
        "fit --dataset d2 --split s --config fit.toml --run r2",
    );
    assert!(error.contains("only one"), "{error}");
}

#[test]
fn a_brand_that_the_map_cannot_show_is_refused_before_anything_is_embedded() {
    let workspace = Workspace::new();
    let dataset = small_dataset().path("dataset").display().to_string();
    let error = workspace.fails(
        USAGE,
        "logodex-train",
        &format!(
            "evaluate --dataset {dataset} --split s --run nowhere --out out --map-brands nobody"
        ),
    );
    assert!(
        error.contains("--map-brands") && error.contains("\"nobody\" is not in the dataset"),
        "{error}"
    );
    assert!(error.contains("the nearest test brands are"), "{error}");
}
