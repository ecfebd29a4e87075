//! One door for each heavy library, and no crate imports what it must not.

use std::path::{Path, PathBuf};

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

fn manifest_names(crate_dir: &str, dependency: &str) -> bool {
    let manifest =
        std::fs::read_to_string(repository().join(crate_dir).join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
    dependencies
        .lines()
        .any(|line| line.split(['.', ' ', '=']).next() == Some(dependency))
}

#[test]
fn crates_import_only_what_the_plan_allows() {
    let ours = [
        "logodex-fixtures",
        "logodex-pipeline",
        "logodex-schemas",
        "logodex-trainer",
    ];
    for (crate_dir, allowed) in [
        ("schemas", &[][..]),
        ("pipeline", &["logodex-schemas"][..]),
        ("trainer", &["logodex-schemas"][..]),
        ("fixtures", &[][..]),
    ] {
        for name in ours {
            assert_eq!(
                manifest_names(crate_dir, name),
                allowed.contains(&name),
                "{crate_dir}/Cargo.toml and {name}"
            );
        }
    }
    assert!(
        !manifest_names("trainer", "polars"),
        "the trainer never compiles polars"
    );
    assert!(
        !manifest_names("pipeline", "tch"),
        "the pipeline never links libtorch"
    );
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
    only(
        "trainer/src",
        "image",
        // JPEG shards, figures and sheets.
        &[
            "trainer/src/dataset.rs",
            "trainer/src/eval/write.rs",
            "trainer/src/preview",
            "trainer/src/report/raster.rs",
            "trainer/src/report/tests",
        ],
    );
    only("trainer/src", "resvg", &["trainer/src/report/raster.rs"]);
    only("pipeline/src", "polars", &["pipeline/src/build/parquet.rs"]);
    for crate_dir in ["schemas/src", "pipeline/src", "fixtures/src"] {
        assert!(users(crate_dir, "tch").is_empty());
    }
    // Metrics are judged without a tensor library, so that anyone's embeddings can be.
    for file in users("trainer/src", "tch") {
        assert!(
            !file.starts_with("trainer/src/report")
                && (!file.starts_with("trainer/src/eval") || file.ends_with("command.rs")),
            "{file} uses tch"
        );
    }
}
