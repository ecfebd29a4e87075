//! The collapse monitor on real runs: a planted collapse is told within 50 steps, a healthy run is not warned of.

use logodex_schemas::split::Fold;

use crate::support::{Workspace, lines, run};

/// 12 brands for training, 96 pairs an epoch.
fn workspace() -> Workspace {
    let folds = (0..16).map(|i| (8, if i < 12 { Fold::Train } else { Fold::Val }));
    Workspace::new(32, &folds.collect::<Vec<_>>())
}

const HEALTHY: &str = r#"
[model]
arch = "resnet18"
head = "linear"
[loss]
kind = "contrastive_euclidean"
margin = 1.0
[optimizer]
kind = "adam"
lr = 1e-3
[schedule]
epochs = 4
[data]
batch = 6
[runtime]
device = "cpu"
threads = 1
"#;

#[test]
fn a_healthy_run_is_quiet() {
    let w = workspace();
    let config = w.config("healthy.toml", HEALTHY);
    let (code, stderr) = run(&mut w.fit(&config, "run"));
    assert_eq!(code, 0, "{stderr}");
    let readings: Vec<_> = lines(&w.path("run"), "step")
        .into_iter()
        .filter(|line| line["monitor"].is_object())
        .collect();
    assert_eq!(readings.len(), 6);
    assert!(lines(&w.path("run"), "warning").is_empty(), "{stderr}");
}

#[test]
fn a_loss_that_only_pulls_together_is_told_within_50_steps() {
    let w = workspace();
    // With next to no margin nothing is pushed apart: the best embedding is a point.
    let text = HEALTHY.replace("margin = 1.0", "margin = 1e-6");
    let config = w.config("pulls.toml", &text);
    let (code, stderr) = run(&mut w.fit(&config, "run"));
    assert_eq!(code, 0, "{stderr}");
    for line in lines(&w.path("run"), "step") {
        if line["monitor"].is_object() {
            println!("{line}");
        }
    }
    let warnings = lines(&w.path("run"), "warning");
    println!("{warnings:?}");
    let points: Vec<_> = warnings
        .iter()
        .filter(|line| line["cause"] == "point")
        .collect();
    assert_eq!(points.len(), 1, "{warnings:?}");
    assert!(points[0]["step"].as_u64().expect("a step") <= 50);
    assert!(stderr.contains("shrinking to a point"), "{stderr}");
}
