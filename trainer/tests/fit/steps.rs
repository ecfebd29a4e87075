//! What a step of the optimiser is made of: several batches, a clipped gradient, an average, and when there are no more.

use std::fs;

use logodex_evaluation::embeddings::set::EmbeddingSet;
use logodex_evaluation::protocols::retrieval;
use logodex_schemas::run::RunState;
use logodex_schemas::split::Fold;

use crate::support::{TINY, Workspace, lines, run, tensors, train};

/// A linear head on a frozen network: nothing but the head's weights and their gradient.
const LINEAR: &str = r#"
[model]
arch = "resnet18"
head = "linear"
[loss]
kind = "triplet"
margin = 1.0
[optimizer]
kind = "sgd"
lr = 0.1
momentum = 0.0
[schedule]
epochs = 1
freeze = 5
[data]
batch = 24
[runtime]
device = "cpu"
threads = 1
"#;

/// Runs a configuration to its end.
fn fit(w: &Workspace, name: &str, text: &str) {
    let config = w.config(&format!("{name}.toml"), text);
    let (code, stderr) = run(&mut w.fit(&config, name));
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn a_short_last_batch_weighs_by_its_samples() {
    let w = Workspace::small();
    // 24 pairs as batches of 10, 10 and 4, in one step: it is also the epoch.
    let text = TINY
        .replace("lr = 1e-2", "lr = 1e-2\naccumulate = 3")
        .replace("batch = 8", "batch = 10");
    let (code, stderr) = run(&mut w.fit(&w.config("c.toml", &text), "run"));
    assert_eq!(code, 0, "{stderr}");
    let (steps, epochs) = (
        lines(&w.path("run"), "step"),
        lines(&w.path("run"), "epoch"),
    );
    assert_eq!(steps.len(), 3);
    for (step, epoch) in steps.iter().zip(&epochs) {
        assert_eq!(step["loss"], epoch["train_loss"]);
    }
}

#[test]
fn the_gradient_of_batches_of_different_sizes_is_that_of_the_whole_batch() {
    let w = Workspace::small();
    // 24 triplets at once, or as 10, 10 and 4 of which each triplet counts the same.
    fit(&w, "whole", LINEAR);
    let parts = LINEAR.replace("batch = 24", "batch = 10");
    fit(
        &w,
        "parts",
        &parts.replace("lr = 0.1", "lr = 0.1\naccumulate = 3"),
    );
    fit(&w, "start", &LINEAR.replace("lr = 0.1", "lr = 1e-30"));
    let [whole, parts, start] = ["whole", "parts", "start"].map(|name| {
        assert_eq!(lines(&w.path(name), "step").len(), 1);
        tensors(&w.path(name).join("checkpoints/last"), "model.safetensors").remove("fc.weight")
    });
    let (whole, parts) = (whole.expect("a head"), parts.expect("a head"));
    let start = start.expect("a head");
    let difference = |a: &[f32], b: &[f32]| {
        let each = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs()));
        each.fold(0.0, f64::max)
    };
    let moved = difference(&whole, &start);
    let apart = difference(&whole, &parts);
    // Batches that counted the same, whatever their size, would be apart by a good part of the step.
    assert!(moved > 1e-4 && apart < 1e-3 * moved, "{apart} of {moved}");
}

#[test]
fn accumulated_batches_are_one_batch_and_an_incomplete_group_is_divided_by_its_size() {
    let w = Workspace::small();
    let momentum = LINEAR.replace("momentum = 0.0", "momentum = 0.9");
    // Of 24 triplets: 16 and 8, or four of 4 and two of 4.
    fit(&w, "whole", &momentum.replace("batch = 24", "batch = 16"));
    let parts = momentum.replace("batch = 24", "batch = 4");
    fit(
        &w,
        "parts",
        &parts.replace("lr = 0.1", "lr = 0.1\naccumulate = 4"),
    );
    let [whole, parts] = ["whole", "parts"].map(|name| w.path(name));
    let steps = |run| -> Vec<f64> {
        let lines = lines(run, "step");
        lines
            .iter()
            .map(|line| line["loss"].as_f64().expect("a loss"))
            .collect()
    };
    let (expected, found) = (steps(&whole), steps(&parts));
    assert_eq!((expected.len(), found.len()), (2, 2));
    for (expected, found) in expected.iter().zip(&found) {
        assert!((expected - found).abs() < 1e-5, "{expected} {found}");
    }
    let weights =
        |run: &std::path::Path| tensors(&run.join("checkpoints/last"), "model.safetensors");
    let (expected, found) = (weights(&whole), weights(&parts));
    for (name, expected) in &expected {
        for (e, f) in expected.iter().zip(&found[name]) {
            assert!((e - f).abs() < 1e-5, "{name}: {e} {f}");
        }
    }
}

#[test]
fn one_step_moves_by_the_rate_times_the_clipped_norm_and_the_average_follows_by_its_share() {
    let w = Workspace::small();
    fit(&w, "before", &LINEAR.replace("epochs = 1", "epochs = 0"));
    let clipped = LINEAR.replace("lr = 0.1", "lr = 0.1\nclip_norm = 0.001");
    fit(&w, "after", &format!("{clipped}\n[ema]\ndecay = 0.75\n"));
    let last = w.path("after/checkpoints/last");
    let before = tensors(&w.path("before/checkpoints/last"), "model.safetensors");
    let (average, trained) = (
        tensors(&last, "model.safetensors"),
        tensors(&last, "optimizer.safetensors"),
    );
    let mut squares = 0.0;
    for (name, average) in &average {
        let Some(trained) = trained.get(&format!("weights.{name}")) else {
            assert!(name.contains("running_"), "{name}");
            assert_eq!(average, &before[name], "frozen statistics");
            continue;
        };
        for ((a, t), b) in average.iter().zip(trained).zip(&before[name]) {
            squares += f64::from(t - b).powi(2);
            assert!((a - (0.75 * b + 0.25 * t)).abs() < 1e-7, "{name}");
        }
    }
    let step = &lines(&w.path("after"), "step")[0];
    assert!(step["grad_norm"].as_f64().expect("a norm") > 0.001);
    let moved = squares.sqrt();
    assert!((moved - 0.1 * 0.001).abs() < 1e-6, "{moved}");
}

#[test]
fn a_run_without_progress_stops_early_says_so_and_stays_stopped() {
    let w = Workspace::small();
    let still = LINEAR
        .replace("lr = 0.1", "lr = 1e-30")
        .replace("epochs = 1", "epochs = 9");
    let text = format!("{still}\n[checkpoint]\npatience_epochs = 2\nevery_epochs = 2\n");
    let config = w.config("still.toml", &text);
    let output = w.fit(&config, "run").output().expect("starts");
    assert!(output.status.success());
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("stopped early after 3 epochs"), "{told}");
    assert_eq!(lines(&w.path("run"), "epoch").len(), 3);

    let metrics = fs::read(w.path("run/metrics.jsonl")).expect("metrics");
    let resumed = w
        .fit(&config, "run")
        .arg("--resume")
        .output()
        .expect("starts");
    assert!(resumed.status.success());
    let told = String::from_utf8_lossy(&resumed.stdout);
    assert!(
        told.contains("finished already") && told.contains("stopped early"),
        "{told}"
    );
    assert!(metrics == fs::read(w.path("run/metrics.jsonl")).expect("metrics"));
    let mut names: Vec<String> = fs::read_dir(w.path("run/checkpoints"))
        .expect("checkpoints")
        .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["best", "epoch-001", "epoch-002", "epoch-003", "last"]
    );
    for figure in ["loss", "map_at_r", "f1", "threshold", "lr"] {
        let svg = fs::read_to_string(w.path(&format!("run/figures/{figure}.svg"))).expect(figure);
        assert!(svg.starts_with("<svg xmlns=") && svg.trim_end().ends_with("</svg>"));
    }
}

/// `best` under either choice, and the value that the evaluator finds for it.
#[test]
fn the_best_epoch_is_that_of_the_highest_map_at_r_or_as_the_paper_s_of_the_highest_f1() {
    let w = Workspace::of_noise(
        32,
        &[
            (4, Fold::Train),
            (4, Fold::Train),
            (8, Fold::Val),
            (8, Fold::Val),
            (8, Fold::Val),
        ],
    );
    let text = LINEAR.replace("epochs = 1", "epochs = 5");
    for (name, more, judged_by) in [
        ("map", "", "map_at_r"),
        ("f1", "[checkpoint]\nbest_by = \"f1\"\n", "f1"),
    ] {
        let config = w.config(&format!("{name}.toml"), &format!("{text}\n{more}"));
        let output = w.fit(&config, name).output().expect("starts");
        assert!(output.status.success());
        let epochs = lines(&w.path(name), "epoch");
        let values: Vec<f64> = epochs
            .iter()
            .map(|line| line[judged_by].as_f64().expect(judged_by))
            .collect();
        let highest = values.iter().copied().fold(f64::MIN, f64::max);
        assert!(values.iter().any(|v| *v < highest), "it moves: {values:?}");
        let first = values
            .iter()
            .position(|v| *v == highest)
            .expect("it is there");
        let best = fs::read(w.path(&format!("{name}/checkpoints/best/state.json")));
        let best: RunState = serde_json::from_slice(&best.expect("best")).expect("a state");
        assert_eq!(best.epochs_done as usize, first + 1, "{values:?}");
        assert_eq!(best.best_value, Some(highest));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let expected = format!("validation {} was highest", best.best_by.name());
        assert!(told.contains(&expected), "{told}");
        // Neither takes the time for the other's pictures.
        assert_eq!(epochs[0].get("map_at_r").is_some(), name == "map");

        let embeddings = w.path(&format!("{name}.safetensors"));
        let mut embed = train();
        embed
            .args([
                "embed",
                "--split",
                "s",
                "--fold",
                "val",
                "--checkpoint",
                "best",
            ])
            .arg("--dataset")
            .arg(&w.dataset)
            .arg("--run")
            .arg(w.path(name))
            .arg("--out")
            .arg(&embeddings);
        let (code, stderr) = run(&mut embed);
        assert_eq!(code, 0, "{stderr}");
        if name == "map" {
            let set = EmbeddingSet::read(&embeddings).expect("embeddings");
            let dataset = logodex_dataset::Dataset::open(&w.dataset).expect("a dataset");
            let image_of_row = |row: i64| dataset.image_of(row.cast_unsigned());
            let seed = 42;
            let found = retrieval::map_at_r(&set, &image_of_row, seed);
            assert_eq!(found, Some(highest));
        }
    }
}
