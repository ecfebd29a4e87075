//! The collapse monitor on real runs: a planted collapse is told within 50 steps, a healthy run is left alone.

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
    assert_eq!(readings.len(), 5);
    assert!(lines(&w.path("run"), "warning").is_empty(), "{stderr}");
}

/// Only the head is trained, at rates that are known to destroy it whatever the pictures.
const HEAD: &str = r#"
[model]
arch = "resnet18"
head = "linear"
L2
[loss]
LOSS
[optimizer]
kind = "sgd"
lr = 0.1
momentum = 0.0
DECAY
[schedule]
epochs = 3
freeze = 5
RATE
[data]
batch = 6
[runtime]
device = "cpu"
threads = 1
"#;

/// Runs it; the step of the only warning of this cause.
fn told(text: &str, cause: &str) -> u64 {
    let w = workspace();
    let config = w.config("planted.toml", text);
    let (code, stderr) = run(&mut w.fit(&config, "run"));
    assert_eq!(code, 0, "{stderr}");
    let steps = lines(&w.path("run"), "step");
    let looked: Vec<_> = steps
        .iter()
        .filter(|line| line["monitor"].is_object())
        .collect();
    let warnings = lines(&w.path("run"), "warning");
    let of: Vec<_> = warnings
        .iter()
        .filter(|line| line["cause"] == cause)
        .collect();
    assert_eq!(of.len(), 1, "{warnings:?} {looked:#?}");
    let message = of[0]["message"].as_str().expect("words");
    assert_eq!(stderr.matches(message).count(), 1, "{stderr}");
    of[0]["step"].as_u64().expect("a step")
}

#[test]
fn embeddings_that_decay_to_a_point_are_told_within_50_steps() {
    // Each step halves the weights, and so next to no margin keeps the brands apart.
    let text = HEAD
        .replace("L2", "l2_normalize = false")
        .replace("LOSS", "kind = \"contrastive_euclidean\"\nmargin = 1e-6")
        .replace("DECAY", "weight_decay = 5.0")
        .replace("RATE", "");
    assert!(told(&text, "point") <= 50);
}

#[test]
fn a_rate_that_blows_up_the_head_is_told_within_50_steps_as_a_gradient_that_vanished() {
    // From step 16 on the rate is a billion times as high. The gradient of a normalised embedding is inverse to the
    // weights: after one such step it is a billionth, and stays so.
    let text = HEAD
        .replace("L2", "")
        .replace("LOSS", "kind = \"contrastive_cosine\"\nmargin = 0.2")
        .replace("DECAY", "")
        .replace("RATE", "lr = \"step\"\nstep_epochs = 1\nstep_factor = 1e9");
    let step = told(&text, "gradient");
    assert!((17..=66).contains(&step), "{step}");
}
