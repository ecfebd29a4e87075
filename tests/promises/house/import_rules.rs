//! One door for each heavy library, and none where it is not meant to be.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::repository;

pub(super) fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
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

/// Every package that building a crate compiles here, by name: its dependencies, theirs, and so on.
fn compiled_with(name: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal,build"])
        .args(["--prefix", "none", "--package", name])
        .current_dir(repository())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let tree = String::from_utf8(output.stdout).unwrap();
    let names = tree
        .lines()
        .skip(1)
        .filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

/// What a crate may use of ours is what its Cargo.toml names, and the compiler refuses all else. Here is what must not come
/// along, by any road.
#[test]
fn heavy_libraries_are_compiled_only_where_they_are_meant() {
    for (name, expected) in [
        ("schemas", &[][..]),
        ("pixels", &[]),
        ("fixtures", &[]),
        ("dataset", &["pixels", "schemas"]),
        ("program", &["dataset", "pixels", "schemas"]),
        ("sampling", &["dataset", "pixels", "program", "schemas"]),
        ("embeddings", &["dataset", "pixels", "program", "schemas"]),
        ("inference", &["dataset", "pixels", "program", "schemas"]),
        (
            "pipeline",
            &[
                "dataset",
                "embeddings",
                "inference",
                "pixels",
                "program",
                "schemas",
            ],
        ),
        (
            "evaluation",
            &["dataset", "embeddings", "pixels", "program", "schemas"],
        ),
        (
            "recognizer",
            &[
                "dataset",
                "embeddings",
                "inference",
                "pixels",
                "program",
                "schemas",
            ],
        ),
        (
            "trainer",
            &[
                "dataset",
                "embeddings",
                "evaluation",
                "pixels",
                "program",
                "sampling",
                "schemas",
            ],
        ),
        (
            "python",
            &[
                "dataset",
                "embeddings",
                "evaluation",
                "inference",
                "pixels",
                "program",
                "recognizer",
                "sampling",
                "schemas",
            ],
        ),
    ] {
        let names = compiled_with(&format!("logodex-{name}"));
        let ours = names
            .iter()
            .filter_map(|name| name.strip_prefix("logodex-"));
        assert_eq!(ours.collect::<Vec<_>>(), expected, "{name}");
        let torch = names.contains("torch-sys");
        assert_eq!(torch, name == "trainer", "{name} and libtorch");
        let polars = names.contains("polars");
        assert_eq!(polars, name == "pipeline", "{name} and polars");
        let onnx = names.contains("ort");
        let runs_models = ["inference", "pipeline", "python", "recognizer"].contains(&name);
        assert_eq!(onnx, runs_models, "{name} and ONNX Runtime");
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
    // What others ask for by SHA-256: Croissant's files, and a page's scripts and styles of the browser.
    only("pipeline/src", "sha2", &["pipeline/src/build/croissant.rs"]);
    only("program/src", "sha2", &["program/src/page.rs"]);
    only(
        "pipeline/src",
        "tiny_http",
        &["pipeline/src/audit/serve.rs"],
    );
    only("trainer/src", "image", &["trainer/src/data/preview"]);
    only("trainer/src", "prost", &["trainer/src/onnx"]);
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
    only("inference/src", "ort", &["inference/src/model.rs"]);
    only(
        "recognizer/src",
        "ort",
        &["recognizer/src/scenes/detector.rs"],
    );
    only("recognizer/src", "axum", &["recognizer/src/serve"]);
    only(
        "fixtures/src",
        "resvg",
        &[
            "fixtures/src/marks/raster.rs",
            "fixtures/src/marks/typefaces.rs",
        ],
    );
    only("fixtures/src", "zip", &["fixtures/src/marks/packages.rs"]);
    for word in ["postgres", "pgvector", "rustls"] {
        only(
            "recognizer/src",
            word,
            &["recognizer/src/gallery/postgres/"],
        );
    }
    only("pipeline/src", "polars", &["pipeline/src/build/parquet.rs"]);
}
