//! What frozen stages give, computed once, trains the same network as when every step computes it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::{Workspace, assert_same, kill, lines, run, tensors};

/// Pooled features at first, then maps of two levels, then nothing that is frozen.
const CACHED: &str = r#"
[model]
arch = "resnet18"
head = "triplet"
[loss]
kind = "triplet"
margin = 1.0
[optimizer]
kind = "sgd"
lr = 1e-2
[schedule]
epochs = 4
freeze = 5
unfreeze = [{ epoch = 1, freeze = 4 }, { epoch = 2, freeze = 2 }, { epoch = 3, freeze = 0 }]
[data]
batch = 8
[augment]
views = 3
[checkpoint]
every_steps = 1
[runtime]
device = "cpu"
threads = 1
feature_cache_gib = 1.0
"#;

fn losses(run: &Path) -> Vec<f64> {
    let steps = lines(run, "step").into_iter();
    steps
        .map(|line| line["loss"].as_f64().expect("a loss"))
        .collect()
}

fn files(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(run.join("features")).into_iter().flatten();
    let mut names: Vec<String> = entries
        .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn cached_and_uncached_training_on_the_same_views_are_one_and_a_killed_run_resumes_bit_for_bit() {
    let w = Workspace::small();
    let cached = w.config("cached.toml", CACHED);
    let uncached = w.config(
        "uncached.toml",
        &CACHED.replace("feature_cache_gib = 1.0", ""),
    );
    for (config, name) in [(&cached, "cached"), (&uncached, "uncached")] {
        let (code, stderr) = run(&mut w.fit(config, name));
        assert_eq!(code, 0, "{stderr}");
        assert!(
            !w.path(name).join("features").exists(),
            "deleted at the end"
        );
    }
    let (with, without) = (losses(&w.path("cached")), losses(&w.path("uncached")));
    assert!(with.len() >= 8, "{with:?}");
    assert_eq!(with.len(), without.len());
    for (with, without) in with.iter().zip(&without) {
        assert!(
            (with - without).abs() <= 1e-4 * without.abs(),
            "{with} {without}"
        );
    }
    let weights = |name: &str| tensors(&w.path(name).join("checkpoints/last"), "model.safetensors");
    let (with, without) = (weights("cached"), weights("uncached"));
    for (name, with) in &with {
        let differs = with.iter().zip(&without[name]);
        let differs = differs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let largest = with.iter().map(|x| x.abs()).fold(0.0, f32::max);
        assert!(
            differs <= 1e-3 * largest.max(1e-3),
            "{name}: {differs} of {largest}"
        );
    }

    // Killed with files of the second level, then with one of them damaged, then while those of the third are used.
    let killed = w.path("killed");
    let level = |n: u8| {
        let killed = killed.clone();
        move || {
            let wanted = [
                format!("level{n}_train.safetensors"),
                format!("level{n}_val.safetensors"),
            ];
            wanted.iter().all(|name| files(&killed).contains(name))
        }
    };
    kill(
        w.fit(&cached, "killed").arg("--resume-or-start"),
        &killed,
        &level(4),
        Duration::from_millis(5),
    );
    let left = files(&killed);
    if let Some(name) = left.iter().find(|name| !name.starts_with('.')) {
        let path = killed.join("features").join(name);
        let mut bytes = fs::read(&path).expect("a file");
        *bytes.last_mut().expect("numbers") ^= 1;
        fs::write(&path, bytes).expect("written");
    }
    kill(
        w.fit(&cached, "killed").arg("--resume"),
        &killed,
        &level(2),
        Duration::from_millis(5),
    );
    let (code, stderr) = run(w.fit(&cached, "killed").arg("--resume"));
    assert_eq!(code, 0, "{stderr}");
    assert_same(&w.path("cached"), &killed);
    assert_eq!(files(&killed), [""; 0]);
}

#[test]
fn runs_share_what_is_the_same_for_them() {
    let w = Workspace::small();
    let shared = w.path("shared");
    let with = |name: &str, from: &str, to: &str| {
        let dir = format!("feature_cache_gib = 1.0\nfeature_cache_dir = {shared:?}");
        let text = CACHED.replace("feature_cache_gib = 1.0", &dir);
        assert!(text.contains(from), "{from}");
        w.config(name, &text.replace(from, to))
    };
    let fitted = |config: &Path, name: &str| {
        let (code, stderr) = run(&mut w.fit(config, name));
        assert_eq!(code, 0, "{stderr}");
        let taken_up = stderr.matches("taken up").count();
        let entries = fs::read_dir(&shared).expect("a folder");
        (taken_up, entries.count())
    };
    // Three frozen levels, of training and validation pictures; what is frozen does not depend on the rate.
    assert_eq!(
        fitted(&with("a.toml", "lr = 1e-2", "lr = 1e-2"), "a"),
        (0, 6)
    );
    assert_eq!(
        fitted(&with("b.toml", "lr = 1e-2", "lr = 1e-3"), "b"),
        (6, 6)
    );
    // Other views of the training pictures.
    assert_eq!(
        fitted(&with("c.toml", "views = 3", "views = 2"), "c"),
        (3, 9)
    );
    let alone = w.config("alone.toml", CACHED);
    fitted(&alone, "alone");
    assert_eq!(
        losses(&w.path("a")),
        losses(&w.path("alone")),
        "where the files lie changes nothing"
    );
    let tidy = w.path("a").join("features");
    assert!(!tidy.exists());
}

#[test]
fn what_does_not_fit_is_refused_before_a_run_begins_or_computed_in_every_step() {
    let w = Workspace::small();
    // 24 training pictures in 3 views and 8 of validation: 80 × 512 × 4 bytes of pooled features, 80 × 256 × 2 × 2 × 4 of the
    // maps of level 4, 80 × 64 × 8 × 8 × 4 of those of level 2.
    let of = |gib: f64| {
        let text = CACHED.replace(
            "feature_cache_gib = 1.0",
            &format!("feature_cache_gib = {gib:e}"),
        );
        w.config("bound.toml", &text)
    };
    let gib = f64::from(1 << 30);
    let (code, stderr) = run(&mut w.fit(&of(1e5 / gib), "small"));
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.contains("runtime.feature_cache_gib")
            && stderr.contains("the first 5 stages")
            && stderr.contains("augment.views"),
        "{stderr}"
    );
    assert!(!w.path("small").exists());
    let (code, stderr) = run(&mut w.fit(&of(4e5 / gib), "middle"));
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.contains("what the first 2 stages give") && !stderr.contains("the first 4 stages"),
        "{stderr}"
    );
}
