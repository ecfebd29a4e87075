//! The whole line at its smallest: raw tree to report, by the commands of the documentation, with the agreed files between.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use safetensors::{Dtype, SafeTensors};

use crate::workspace::{Workspace, small_dataset, tiny_config};

/// The line run to its end, once for all tests that look at what came of it, and what its last command printed.
fn reported() -> &'static (Workspace, String) {
    static SHARED: OnceLock<(Workspace, String)> = OnceLock::new();
    SHARED.get_or_init(|| {
        let (shared, workspace) = (small_dataset(), Workspace::new());
        let dataset = shared.path("dataset").display().to_string();
        workspace.ok("logodex-data", &format!("check {dataset}"));
        workspace.ok("logodex-data", &format!("stats {dataset} --out stats"));
        let train = |command: &str, more: &str| {
            let arguments = format!("{command} --dataset {dataset} --split s {more}");
            workspace.ok("logodex-train", &arguments)
        };
        let config = tiny_config().display().to_string();
        train("fit", &format!("--config {config} --run runs/tiny"));
        train("evaluate", "--run runs/tiny --out runs/tiny");
        train(
            "embed",
            "--run runs/tiny --fold test --out test.safetensors",
        );
        train("evaluate", "--embeddings test.safetensors --out external");
        let printed = workspace.ok(
            "logodex-train",
            "report --out report stats runs/tiny external",
        );
        (workspace, printed)
    })
}

#[test]
fn from_a_raw_tree_to_a_report() {
    let (workspace, printed) = reported();
    let bytes = std::fs::read(workspace.path("test.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let embeddings = tensors.tensor("embeddings").unwrap();
    assert_eq!(embeddings.dtype(), Dtype::F32);
    let n = embeddings.shape()[0];
    for name in ["brand", "row"] {
        let tensor = tensors.tensor(name).unwrap();
        assert_eq!((tensor.dtype(), tensor.shape()), (Dtype::I64, &[n][..]));
    }
    let rows = |path: &str| {
        let text = std::fs::read_to_string(workspace.path(path)).unwrap();
        let mut lines = text.lines();
        assert_eq!(
            lines.next(),
            Some("model,protocol,shots,metric,mean,ci_low,ci_high,region,slice,brands")
        );
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let map_of = |rows: &[String], model: &str| {
        rows.iter()
            .find_map(|row| row.strip_prefix(&format!("{model},paper,1,map,")))
            .unwrap_or_else(|| panic!("no 1-shot map of {model} in {rows:?}"))
            .to_owned()
    };
    // The embeddings of a fold, scored as anyone's would be, give the same ranking metrics as the run itself.
    let run = rows("runs/tiny/evaluation.csv");
    assert_eq!(
        map_of(&run, "tiny"),
        map_of(&rows("external/evaluation.csv"), "test")
    );

    for row in ["Accuracy", "Precision", "Recall", "F1", "R@95P", "mAP", "J"] {
        assert!(printed.contains(row), "{printed}");
    }
    let gathered = rows("report/evaluation.csv");
    let field = |at: usize| {
        gathered
            .iter()
            .map(|row| row.split(',').nth(at).unwrap())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        field(0),
        BTreeSet::from(["colour_histogram", "random", "reject_all", "test", "tiny"])
    );
    assert_eq!(
        field(1),
        BTreeSet::from([
            "paper",
            "paper_oracle",
            "paper_cosine",
            "paper_cosine_oracle",
            "n_way_k_shot",
            "retrieval",
            "retrieval_query_gallery",
            "open_set"
        ])
    );
    let of_paper: BTreeSet<_> = gathered
        .iter()
        .map(|row| row.split(',').collect::<Vec<_>>())
        .filter(|cells| cells[1] == "paper")
        .map(|cells| cells[3])
        .collect();
    assert_eq!(
        of_paper,
        BTreeSet::from([
            "accuracy",
            "precision",
            "recall",
            "f1",
            "r_at_95p",
            "map",
            "trace_ratio",
            "distance_ratio"
        ])
    );
    for row in &gathered {
        let values: Vec<f64> = row
            .split(',')
            .skip(4)
            .take(3)
            .map(|value| value.parse().unwrap())
            .collect();
        assert!(
            values[1] <= values[0] && values[0] <= values[2],
            "the mean lies in its interval: {row}"
        );
    }
    let html = std::fs::read_to_string(workspace.path("report/report.html")).unwrap();
    assert!(html.contains("<svg") && html.contains("data:image/jpeg;base64,"));
    assert!(workspace.path("report/report.md").exists());
}

#[test]
#[ignore = "takes Chromium: in PATH, or LOGODEX_CHROMIUM"]
fn the_map_of_the_report_turns_in_a_browser() {
    crate::browser::browse(&reported().0.path("report/report.html"));
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let workspace = Workspace::new();
    for (program, commands) in [
        ("logodex-fixtures", &["tree"][..]),
        (
            "logodex-data",
            &["plan", "build", "split", "check", "stats", "export"],
        ),
        (
            "logodex-train",
            &[
                "fit", "embed", "config", "sweep", "curve", "evaluate", "report",
            ],
        ),
    ] {
        for command in commands {
            let help = workspace.ok(program, &format!("{command} --help"));
            assert!(
                help.contains("Example") && help.contains(&format!("{program} {command}")),
                "{program} {command} --help:\n{help}"
            );
        }
    }
}

/// JPEG shards and rows of both regions go through training and evaluation as raw ones do.
#[test]
fn jpeg_shards_of_both_regions_train_and_evaluate() {
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 24 --images-per-brand 6 --seed 5",
    );
    let config = "side = 32\nregion = \"both\"\nfit = \"letterbox\"\n";
    workspace.write("raw.toml", config);
    workspace.write("build.toml", &format!("{config}encoding = \"jpeg\"\n"));
    for (config, out) in [("build", "dataset"), ("raw", "stored_raw")] {
        workspace.ok(
            "logodex-data",
            &format!("build --raw raw --out {out} --config {config}.toml"),
        );
    }
    workspace.ok("logodex-data", "check dataset");
    workspace.ok(
        "logodex-data",
        "split --dataset dataset --name s --seed 1 --test 0.3 --val 0.3",
    );
    // Every row of JPEG decodes to the picture that is stored raw, but for what JPEG loses, and to no other; and the trainer
    // reads only the region that it is asked for.
    let [open, raw] = ["dataset", "stored_raw"]
        .map(|name| logodex_dataset::Dataset::open(&workspace.path(name)).unwrap());
    assert_eq!(open.n_rows(), raw.n_rows());
    let difference = |jpeg: u64, stored: u64| {
        let (jpeg, stored) = (open.pixels(jpeg).unwrap(), raw.pixels(stored).unwrap());
        assert_eq!((jpeg.len(), stored.len()), (32 * 32 * 3, 32 * 32 * 3));
        let sum: u32 = jpeg
            .iter()
            .zip(&*stored)
            .map(|(a, b)| u32::from(a.abs_diff(*b)))
            .sum();
        f64::from(sum) / jpeg.len() as f64
    };
    let catalog =
        logodex_pipeline::build::parquet::read_catalog(&workspace.path("dataset/catalog.parquet"))
            .unwrap();
    let objects = catalog.iter().filter(|row| row.object.is_some()).count();
    assert!(objects > 0 && objects < catalog.len());
    for row in 0..open.n_rows() {
        let (own, other) = (
            difference(row, row),
            difference(row, (row + 40) % open.n_rows()),
        );
        assert!(
            own < 6.0 && own < other / 2.0,
            "row {row}: {own} levels, {other} to another"
        );
    }
    let tiny = std::fs::read_to_string(tiny_config()).unwrap();
    assert!(tiny.contains("[data]"));
    workspace.write(
        "tiny.toml",
        &tiny.replace("[data]", "[data]\nregion = \"object\""),
    );
    workspace.ok(
        "logodex-train",
        "fit --dataset dataset --split s --config tiny.toml --run run",
    );
    workspace.ok(
        "logodex-train",
        "embed --dataset dataset --split s --run run --fold test --out test.safetensors",
    );
    let bytes = std::fs::read(workspace.path("test.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let rows = tensors.tensor("row").unwrap();
    let numbers: Vec<i64> = rows
        .data()
        .chunks(8)
        .map(|eight| i64::from_le_bytes(eight.try_into().unwrap()))
        .collect();
    assert!(!numbers.is_empty());
    for row in numbers {
        assert!(
            catalog[row as usize].object.is_some(),
            "row {row} is no object"
        );
    }
}
