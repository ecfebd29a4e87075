//! The configurations that are shipped: each is accepted and says how it is run, and the paper's are the paper's.

use std::fs;
use std::path::{Path, PathBuf};

use logodex_schemas::train::BestBy;
use logodex_trainer::config::explain::effective;
use logodex_trainer::config::read;
use logodex_trainer::experiments::sweep::runs::of_grid;

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs")
}

/// Every TOML file below a folder.
fn below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files.extend(below(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

#[test]
fn each_is_accepted_and_names_itself_in_its_command() {
    let (mut runs, mut grids) = (0, 0);
    for path in below(&configs()) {
        let text = fs::read_to_string(&path).expect("UTF-8");
        let name = path.strip_prefix(configs()).expect("below").display();
        let option = if text.contains("\n[grid]\n") {
            of_grid(&path).unwrap_or_else(|e| panic!("{e}"));
            grids += 1;
            "--grid"
        } else {
            read(&path).unwrap_or_else(|e| panic!("{e}"));
            runs += 1;
            "--config"
        };
        assert!(
            text.contains(&format!("{option} trainer/configs/{name}")),
            "{name} has no command"
        );
        assert!(
            text.contains("\n# Expected"),
            "{name} does not say what to expect"
        );
    }
    assert!(
        runs >= 32 && grids >= 1,
        "{runs} configurations, {grids} grids"
    );
}

/// `file`: `key value` pairs that must hold once defaults are filled in.
fn holds(file: &str, rows: &[(&str, &str)]) {
    let (config, _) = read(&configs().join(file)).expect(file);
    let config = toml::Value::try_from(effective(config)).expect("TOML");
    for (key, expected) in rows {
        let value = key.split('.').try_fold(&config, |value, part| match value {
            toml::Value::Array(list) => list.first()?.get(part),
            _ => value.get(part),
        });
        let found = value.map_or("unset".to_owned(), toml::Value::to_string);
        assert_eq!(found, *expected, "{file}: {key}");
    }
}

#[test]
fn the_paper_s_choose_their_best_epoch_as_the_paper_and_ours_by_retrieval() {
    let judged_by = |file: &Path| read(file).expect("accepted").0.checkpoint.best_by;
    for path in below(&configs()) {
        let text = fs::read_to_string(&path).expect("UTF-8");
        let name = path
            .strip_prefix(configs())
            .expect("below")
            .display()
            .to_string();
        if text.contains("\n[grid]\n") {
            continue;
        }
        let trains = read(&path).expect("accepted").0.schedule.epochs > 0;
        let ours = [
            "demo/",
            "demo_generated/",
            "learning_better/",
            "best.toml",
            "tiny.toml",
            "proxy_anchor",
            "pk_multi",
        ];
        let expected = match ours.iter().any(|part| name.contains(part)) {
            true => BestBy::MapAtR,
            false => BestBy::F1,
        };
        assert!(!trains || judged_by(&path) == expected, "{name}");
    }
}

#[test]
fn table_2_the_early_overfitting_row_by_row() {
    holds(
        "overfitting.toml",
        &[
            ("data.total_images", "10000"),
            ("data.batch", "32"),
            ("optimizer.kind", "\"adam\""),
            ("optimizer.weight_decay", "0.0"),
            ("loss.kind", "\"triplet\""),
            ("loss.margin", "1.0"),
            ("optimizer.lr", "0.001"),
            ("optimizer.backbone_factor", "1.0"),
            ("model.l2_normalize", "false"),
            ("model.head", "\"linear\""),
            ("model.embedding_dim", "128"),
            ("schedule.freeze", "0"),
            ("augment", "unset"),
        ],
    );
}

/// The paper's final list of transforms.
const FINAL_LIST: [(&str, &str); 10] = [
    ("augment.crop_scale", "unset"),
    ("augment.perspective", "0.5"),
    ("augment.perspective_p", "0.3"),
    ("augment.flip_p", "0.3"),
    ("augment.rotation_deg", "15.0"),
    ("augment.grayscale_p", "0.1"),
    ("augment.brightness", "0.2"),
    ("augment.contrast", "0.2"),
    ("augment.saturation", "0.2"),
    ("augment.hue", "0.1"),
];

#[test]
fn table_3_the_final_triplet_run_row_by_row() {
    holds(
        "triplet.toml",
        &[
            ("data.total_images", "unset"),
            ("data.batch", "256"),
            ("optimizer.kind", "\"sgd\""),
            ("optimizer.momentum", "0.9"),
            ("optimizer.weight_decay", "0.0001"),
            ("loss.kind", "\"triplet\""),
            ("loss.margin", "1.0"),
            ("optimizer.lr", "0.1"),
            ("schedule.unfreeze.lr_factor", "0.2"),
            ("optimizer.backbone_factor", "0.03"),
            ("model.l2_normalize", "true"),
            ("model.head", "\"triplet\""),
            ("model.embedding_dim", "128"),
            ("schedule.freeze", "4"),
            ("schedule.unfreeze.freeze", "3"),
            ("schedule.unfreeze.epoch", "15"),
            ("schedule.epochs", "30"),
        ],
    );
    holds("triplet.toml", &FINAL_LIST);
}

#[test]
fn table_4_the_cosine_baseline_row_by_row() {
    holds(
        "contrastive_cosine_baseline.toml",
        &[
            ("data.total_images", "10000"),
            ("data.batch", "64"),
            ("optimizer.kind", "\"sgd\""),
            ("optimizer.weight_decay", "0.0"),
            ("loss.kind", "\"contrastive_cosine\""),
            ("loss.margin", "0.2"),
            ("optimizer.lr", "0.01"),
            ("schedule.unfreeze.lr_factor", "1.0"),
            ("optimizer.backbone_factor", "0.5"),
            ("model.l2_normalize", "true"),
            ("model.head", "\"contrastive\""),
            ("model.embedding_dim", "256"),
            ("schedule.freeze", "4"),
            ("schedule.unfreeze.freeze", "3"),
            ("schedule.unfreeze.epoch", "5"),
        ],
    );
    holds("contrastive_cosine_baseline.toml", &FINAL_LIST);
}

#[test]
fn the_final_cosine_and_euclidean_runs_differ_in_the_loss_alone() {
    let shared = [
        ("data.total_images", "unset"),
        ("data.batch", "256"),
        ("optimizer.kind", "\"sgd\""),
        ("optimizer.lr", "0.01"),
        ("optimizer.backbone_factor", "0.25"),
        ("optimizer.weight_decay", "0.0"),
        ("model.head", "\"contrastive\""),
        ("schedule.epochs", "50"),
        ("schedule.freeze", "4"),
        ("schedule.unfreeze.epoch", "15"),
        ("schedule.unfreeze.freeze", "3"),
        ("schedule.unfreeze.lr_factor", "1.0"),
    ];
    let losses = [
        ("contrastive_cosine.toml", "\"contrastive_cosine\"", "0.2"),
        (
            "contrastive_euclidean.toml",
            "\"contrastive_euclidean\"",
            "1.0",
        ),
    ];
    for (file, kind, margin) in losses {
        holds(file, &shared);
        holds(file, &FINAL_LIST);
        holds(file, &[("loss.kind", kind), ("loss.margin", margin)]);
    }
}
