//! `logodex-train evaluate` on a dataset: how embeddings are matched to it, what is refused and what is left on disk.

#[allow(dead_code)]
#[path = "../fit/support.rs"]
mod support;

mod files;

use std::fs;
use std::path::PathBuf;

use logodex_evaluation::command::evaluate::EvaluateArgs;
use logodex_evaluation::command::options::Options;
use logodex_evaluation::embeddings::set::EmbeddingSet;
use logodex_evaluation::settings::Protocol;
use logodex_schemas::evaluation::Evaluation;
use logodex_schemas::split::Fold::{self, Test, Train, Val};
use logodex_trainer::cli::exit_code;
use logodex_trainer::evaluate::{RunOrFiles, evaluate_command};
use logodex_trainer::run::Which;

use support::Workspace;

const ROWS: usize = 8;
const FOLDS: [Fold; 9] = [Test, Train, Test, Val, Test, Train, Val, Test, Val];

fn workspace() -> Workspace {
    Workspace::new(16, &FOLDS.map(|fold| (ROWS, fold)))
}

/// Embeddings of the brands in `folds` that tell brands apart.
fn embeddings(folds: &[Fold]) -> EmbeddingSet {
    let brands: Vec<usize> = (0..FOLDS.len())
        .filter(|b| folds.contains(&FOLDS[*b]))
        .collect();
    let rows: Vec<usize> = brands
        .iter()
        .flat_map(|b| b * ROWS..(b + 1) * ROWS)
        .collect();
    EmbeddingSet {
        dim: 4,
        embeddings: rows
            .iter()
            .flat_map(|&row| {
                let angle = (row / ROWS) as f32 * 0.7 + (row % ROWS) as f32 * 0.08;
                [angle.cos(), angle.sin(), 0.1 * (row % 3) as f32, -0.2]
            })
            .collect(),
        brand: rows.iter().map(|&row| (row / ROWS) as i64).collect(),
        row: rows.iter().map(|&row| row as i64).collect(),
    }
}

fn args(workspace: &Workspace, files: &[PathBuf]) -> RunOrFiles {
    RunOrFiles {
        files: EvaluateArgs {
            options: Options {
                dataset: workspace.dataset.clone(),
                split: "s".to_owned(),
                out: workspace.path("out"),
                protocols: Protocol::ALL.to_vec(),
                region: None,
                seed: 1,
                map_brands: None,
            },
            embeddings: files.to_vec(),
            rows: vec![],
            name: None,
        },
        run: None,
        checkpoint: Which::Last,
    }
}

fn file(workspace: &Workspace, name: &str, set: &EmbeddingSet) -> PathBuf {
    let path = workspace.path(name);
    set.write(&path, None).unwrap();
    path
}

fn refusal(args: &RunOrFiles) -> String {
    let error = evaluate_command(args).unwrap_err();
    assert_eq!(exit_code(&error), 2, "{error:#}");
    format!("{error:#}")
}

fn result(args: &RunOrFiles) -> Evaluation {
    evaluate_command(args).unwrap();
    serde_json::from_slice(&fs::read(args.files.options.out.join("evaluation.json")).unwrap())
        .unwrap()
}

#[test]
fn embeddings_of_any_tool_are_judged_with_the_threshold_of_their_validation_rows() {
    let workspace = workspace();
    let test = file(&workspace, "any.safetensors", &embeddings(&[Test]));
    let val = file(&workspace, "val.safetensors", &embeddings(&[Val]));
    let all = file(
        &workspace,
        "all.safetensors",
        &embeddings(&[Train, Val, Test]),
    );
    let mut args = args(&workspace, &[test, val]);
    let two_files = result(&args);
    assert_eq!(
        (two_files.model.as_str(), two_files.split.as_str()),
        ("any", "s")
    );
    assert_eq!((two_files.test_brands, two_files.test_rows), (4, 32));
    let manifest = fs::read(workspace.dataset.join("manifest.json")).unwrap();
    assert_eq!(
        two_files.manifest_blake3,
        blake3::hash(&manifest).to_hex().as_str()
    );
    assert!(
        two_files
            .rows
            .iter()
            .any(|r| r.protocol == "paper" && r.metric == "f1")
    );
    // Four pictures a brand, of two rows each: five supports need six.
    assert!(two_files.rows.iter().all(|r| r.shots <= 1));
    assert_eq!(two_files.too_few[1].brands.len(), 4);
    assert_eq!(two_files.too_few[1].brands[0], "brand 00");
    assert!(!two_files.examples.is_empty());
    for example in &two_files.examples {
        assert_ne!(
            example.query.row / 2,
            example.positive.row / 2,
            "not from the same picture"
        );
    }

    args.files.embeddings = vec![all];
    args.files.name = Some("any".to_owned());
    assert_eq!(result(&args), two_files, "training rows change nothing");
}

/// Whether the JPEG shows that row: within a mean error that comes of its quality (the pattern is hard on JPEG), and
/// from no other row's picture by less than twice that.
fn is_picture_of(path: &std::path::Path, row: usize) -> bool {
    let rgb = image::open(path).unwrap().to_rgb8();
    assert_eq!(rgb.dimensions(), (16, 16));
    let apart = |row: usize| {
        let expected = support::picture(16, row / ROWS, row);
        let pixels = rgb.as_raw().iter().zip(&expected);
        pixels.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / expected.len() as f64
    };
    let others = (0..FOLDS.len() * ROWS).filter(|other| *other != row);
    let nearest_other = others.map(apart).fold(f64::INFINITY, f64::min);
    apart(row) < 8.0 && apart(row) * 2.0 < nearest_other
}

#[test]
fn brands_that_the_map_cannot_show_are_refused_with_the_nearest_names() {
    let workspace = workspace();
    let set = embeddings(&[Val, Test]).filter(|i| i >= ROWS);
    let mut args = args(&workspace, &[file(&workspace, "any.safetensors", &set)]);
    let mut refused = |names: &str| {
        args.files.options.map_brands = Some(names.to_owned());
        refusal(&args)
    };
    assert_eq!(
        refused("brand 02,Brand 44,brand 07"),
        "--map-brands: brand \"Brand 44\" is not in the dataset; the nearest test brands are [\"brand 04\", \"brand 00\", \"brand 02\"]"
    );
    assert!(
        refused("brand 02,brand 03,brand 07")
            .contains("brand \"brand 03\" is no test brand of split \"s\"")
    );
    assert!(refused("brand 02,brand 02,brand 07").contains("named twice"));
    assert!(refused("brand 02,brand 07").contains("3 to 20 brands, not 2"));
    assert!(refused("").contains("3 to 20 brands, not 0"));
    assert!(refused("brand 00,brand 02,brand 07").contains("brand \"brand 00\" has no embedding"));
}

#[test]
fn a_run_is_embedded_and_judged() {
    let workspace = workspace();
    let config = workspace.config(
        "baseline.toml",
        "[model]\narch = \"resnet18\"\nhead = \"none\"\n[loss]\nkind = \"norm_softmax\"\ntemperature = 0.05\n[schedule]\nepochs = 0\n",
    );
    let output = workspace.fit(&config, "untrained").output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut args = args(&workspace, &[]);
    args.run = Some(workspace.path("untrained"));
    let evaluation = result(&args);
    assert_eq!(
        (evaluation.model.as_str(), evaluation.embedding_dim),
        ("untrained", 512)
    );
    assert!(
        evaluation
            .rows
            .iter()
            .any(|r| r.model == "untrained" && r.metric == "accuracy" && r.protocol == "paper")
    );
}

#[test]
fn what_does_not_fit_the_dataset_is_refused_by_name() {
    let workspace = workspace();
    let refused = |change: &dyn Fn(&mut EmbeddingSet)| {
        let mut set = embeddings(&[Test]);
        change(&mut set);
        refusal(&args(
            &workspace,
            &[file(&workspace, "bad.safetensors", &set)],
        ))
    };
    assert!(
        refused(&|set| set.row[3] = 72)
            .contains("row 72 is not in the dataset, whose rows are 0 to 71")
    );
    let other_brand = refused(&|set| set.brand[9] = 0);
    assert!(
        other_brand
            .contains("row 17 has brand 0, but in the dataset it is of brand 2 (\"brand 02\")"),
        "{other_brand}"
    );
    assert!(refused(&|set| *set = embeddings(&[Train])).contains("belongs to a test brand"));
    assert!(refused(&|set| *set = set.filter(|i| i < ROWS)).contains("at least two"));

    let twice = file(&workspace, "a.safetensors", &embeddings(&[Test]));
    assert!(
        refusal(&args(&workspace, &[twice.clone(), twice])).contains("row 0 occurs more than once")
    );
    let missing = workspace.path("missing.safetensors");
    assert!(refusal(&args(&workspace, &[missing])).contains("cannot read the embedding file"));
    let mut unknown_split = args(&workspace, &[workspace.path("a.safetensors")]);
    unknown_split.files.options.split = "t".to_owned();
    assert!(refusal(&unknown_split).contains("no split named"));
}

#[test]
fn every_protocol_has_its_numbers_its_floors_and_the_list_of_what_it_asked() {
    let workspace = workspace();
    let mut args = args(
        &workspace,
        &[file(
            &workspace,
            "any.safetensors",
            &embeddings(&[Val, Test]),
        )],
    );
    let evaluation = result(&args);
    for (protocol, shots, metric) in [
        ("paper", 1, "map"),
        ("paper_cosine", 1, "f1"),
        ("n_way_k_shot", 1, "accuracy_all_way"),
        ("retrieval", 0, "map_at_r"),
        ("retrieval_query_gallery", 0, "recall_at_1"),
        ("open_set", 1, "auroc"),
    ] {
        for model in ["any", "random", "colour_histogram"] {
            let found = evaluation.rows.iter().find(|r| {
                (
                    r.model.as_str(),
                    r.protocol.as_str(),
                    r.shots,
                    r.metric.as_str(),
                ) == (model, protocol, shots, metric)
            });
            let row = found.unwrap_or_else(|| panic!("{model} {protocol} {metric}"));
            assert!(row.ci_low <= row.mean && row.mean <= row.ci_high, "{row:?}");
            assert!(row.brands > 1, "{row:?}");
        }
    }
    for name in [
        "paper_1",
        "n_way_k_shot_all_1",
        "retrieval",
        "retrieval_query_gallery",
        "open_set_1",
    ] {
        let text = fs::read_to_string(
            args.files
                .options
                .out
                .join(format!("episodes/image/{name}.csv")),
        )
        .unwrap();
        assert!(text.lines().count() > 2, "{name}");
    }
    let lines = fs::read_to_string(args.files.options.out.join("retrieval.csv")).unwrap();
    assert_eq!(lines.lines().count(), 1 + 32);

    args.files.options.protocols = vec![Protocol::Retrieval];
    args.files.options.out = workspace.path("retrieval alone");
    let alone = result(&args);
    assert!(
        alone
            .rows
            .iter()
            .all(|r| r.protocol.starts_with("retrieval"))
    );
    assert!(alone.rows.iter().all(|r| evaluation.rows.contains(r)));

    args.files.options.region = Some(logodex_schemas::dataset::Region::Object);
    assert!(refusal(&args).contains("no test row of that region"));
}
