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
kind = "contrastive_cosine"
margin = 0.2
[optimizer]
kind = "adam"
lr = 1e-3
[schedule]
epochs = 3
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
    assert_eq!(readings.len(), 4);
    assert!(lines(&w.path("run"), "warning").is_empty(), "{stderr}");
}

#[test]
fn weights_that_decay_to_nothing_are_told_within_50_steps_as_a_point_and_a_gradient_that_vanished()
{
    let w = workspace();
    // Each step takes away 30 % of every weight, far more than the loss puts back.
    let text = HEALTHY.replace(
        "kind = \"adam\"\nlr = 1e-3",
        "kind = \"adamw\"\nlr = 1e-2\nweight_decay = 30.0",
    );
    let config = w.config("decay.toml", &text);
    let (code, stderr) = run(&mut w.fit(&config, "run"));
    assert_eq!(code, 0, "{stderr}");
    let warnings = lines(&w.path("run"), "warning");
    let readings: Vec<_> = lines(&w.path("run"), "step")
        .into_iter()
        .map(|line| line["monitor"].to_string())
        .filter(|reading| reading != "null")
        .collect();
    let told = |cause: &str| -> Vec<u64> {
        let of = warnings.iter().filter(|line| line["cause"] == cause);
        of.map(|line| line["step"].as_u64().expect("a step"))
            .collect()
    };
    for cause in ["point", "gradient"] {
        let steps = told(cause);
        assert!(
            steps.len() == 1 && steps[0] <= 50,
            "{cause}: {warnings:?} {readings:#?}"
        );
    }
    assert_eq!(
        stderr.matches("shrinking to a point").count(),
        1,
        "{stderr}"
    );
}
