//! One door for each heavy library, and none where it is not meant to be.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::workspace::repository;

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// The source files below `dir` that name `word` followed by `::`, relative to the repository.
fn users(dir: &str, word: &str) -> Vec<String> {
    let root = repository();
    let mut files = Vec::new();
    sources(&root.join(dir), &mut files);
    let mut users: Vec<String> = files
        .iter()
        .filter(|path| {
            std::fs::read_to_string(path)
                .unwrap()
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .any(|line| {
                    line.match_indices(&format!("{word}::")).any(|(at, _)| {
                        !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
                    })
                })
        })
        .map(|path| {
            path.strip_prefix(&root)
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    users.sort();
    users
}

/// Every package that building a crate of ours compiles, by name: its dependencies, theirs, and so on, without those of
/// tests alone.
fn compiled_with(metadata: &Value, name: &str) -> BTreeSet<String> {
    let packages = metadata["packages"].as_array().unwrap();
    let name_of: HashMap<&str, &str> = packages
        .iter()
        .map(|p| (p["id"].as_str().unwrap(), p["name"].as_str().unwrap()))
        .collect();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let needs = |id: &str| -> Vec<String> {
        let node = nodes.iter().find(|node| node["id"] == id).unwrap();
        let kinds = |dep: &Value| dep["dep_kinds"].as_array().unwrap().clone();
        let deps = node["deps"].as_array().unwrap().iter();
        deps.filter(|dep| kinds(dep).iter().any(|kind| kind["kind"] != "dev"))
            .map(|dep| dep["pkg"].as_str().unwrap().to_owned())
            .collect()
    };
    let root = name_of.iter().find(|(_, other)| **other == name);
    let mut found = BTreeSet::new();
    let mut open = vec![(*root.expect("a crate of this name").0).to_owned()];
    while let Some(id) = open.pop() {
        for next in needs(&id) {
            if found.insert(name_of[next.as_str()].to_owned()) {
                open.push(next);
            }
        }
    }
    found
}

/// What a crate may use of ours is what its Cargo.toml names, and the compiler refuses all else. Here is what must not come
/// along, by any road.
#[test]
fn heavy_libraries_are_compiled_only_where_they_are_meant() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(repository())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ours = |names: &BTreeSet<String>| -> Vec<String> {
        let ours = names
            .iter()
            .filter_map(|name| name.strip_prefix("logodex-"));
        ours.map(str::to_owned).collect()
    };
    for (name, expected) in [
        ("schemas", &[][..]),
        ("pixels", &[]),
        ("fixtures", &[]),
        ("dataset", &["pixels", "schemas"]),
        ("program", &["dataset", "pixels", "schemas"]),
        ("pipeline", &["dataset", "pixels", "program", "schemas"]),
        ("evaluation", &["dataset", "pixels", "program", "schemas"]),
        (
            "trainer",
            &["dataset", "evaluation", "pixels", "program", "schemas"],
        ),
    ] {
        let names = compiled_with(&metadata, &format!("logodex-{name}"));
        assert_eq!(ours(&names), expected, "{name}");
        let torch = names.contains("torch-sys");
        assert_eq!(torch, name == "trainer", "{name} and libtorch");
        let polars = names.contains("polars");
        assert_eq!(polars, name == "pipeline", "{name} and polars");
    }
}

#[test]
fn each_heavy_library_has_one_door() {
    let only = |dir: &str, word: &str, doors: &[&str]| {
        let found = users(dir, word);
        assert!(
            !found.is_empty(),
            "nothing in {dir} uses {word}: is this rule still meant?"
        );
        for file in &found {
            assert!(
                doors.iter().any(|door| file.starts_with(door)),
                "{file} uses {word}, whose door is {doors:?}"
            );
        }
    };
    only(
        "pipeline/src",
        "quick_xml",
        &["pipeline/src/raw/annotation"],
    );
    only("pipeline/src", "walkdir", &["pipeline/src/raw/listing.rs"]);
    // Figures and exports encode their pictures as PNG; every JPEG goes through one decoder.
    only(
        "pipeline/src",
        "image",
        &[
            "pipeline/src/read/stats",
            "pipeline/src/read/export/webdataset.rs",
        ],
    );
    only(
        "pipeline/src",
        "tar",
        &["pipeline/src/read/export/webdataset.rs"],
    );
    only("pipeline/src", "sha2", &["pipeline/src/build/croissant.rs"]);
    only("trainer/src", "image", &["trainer/src/data/preview"]);
    only(
        "evaluation/src",
        "image",
        &[
            "evaluation/src/plot/raster.rs",
            "evaluation/src/report/tests",
            "evaluation/src/write.rs",
        ],
    );
    only(
        "evaluation/src",
        "resvg",
        &["evaluation/src/plot/raster.rs"],
    );
    only("evaluation/src", "plotters", &["evaluation/src/plot"]);
    only(
        "pixels/src",
        "image",
        &["pixels/src/decode", "pixels/src/encode.rs"],
    );
    only("pipeline/src", "polars", &["pipeline/src/build/parquet.rs"]);
}
