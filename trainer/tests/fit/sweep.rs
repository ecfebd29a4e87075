//! Sweeps of real runs: what is skipped, continued, refused and told.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use logodex_schemas::split::Fold;

use crate::support::{TINY, Workspace, kill, run, train};

fn sweep(w: &Workspace, what: &[&str]) -> Command {
    let mut command = train();
    command
        .args(["sweep", "--split", "s"])
        .arg("--dataset")
        .arg(&w.dataset);
    command
        .arg("--out")
        .arg(w.path("out"))
        .args(what)
        .current_dir(w.dir.path());
    command
}

/// A configuration of `epochs` epochs with a linear head.
fn short(epochs: u32) -> String {
    TINY.replace("epochs = 3", &format!("epochs = {epochs}"))
        .replace(
            "unfreeze = [{ epoch = 1, freeze = 0, lr_factor = 0.5 }]\n",
            "",
        )
        .replace("head = \"triplet\"", "head = \"linear\"")
}

/// The field of a run in `sweep.csv`.
fn field(out: &Path, run: &str, name: &str) -> String {
    let mut reader = csv::Reader::from_path(out.join("sweep.csv")).expect("sweep.csv");
    let column = reader
        .headers()
        .expect("a header")
        .iter()
        .position(|n| n == name)
        .expect(name);
    let rows = reader.records().map(|row| row.expect("a row"));
    let row = rows.into_iter().find(|row| &row[0] == run).expect(run);
    row[column].to_owned()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?}"))
}

/// The 1-shot mAP in a run's `evaluation.csv`.
fn evaluated(run: &Path, name: &str) -> f64 {
    let text = fs::read_to_string(run.join("evaluation.csv")).expect("evaluation");
    let start = format!("{name},paper,1,map,");
    let row = text
        .lines()
        .find_map(|line| line.strip_prefix(&start))
        .expect("its mAP");
    number(row.split(',').next().expect("a mean"))
}

#[test]
fn a_sweep_goes_on_after_a_failure_and_the_next_one_does_only_what_is_left() {
    let w = Workspace::small();
    w.config("a.toml", &short(1));
    let missing = "head = \"linear\"\nweights = \"later.safetensors\"";
    w.config("b.toml", &short(1).replace("head = \"linear\"", missing));
    let c = w.config("c.toml", &short(10).replace("lr = 1e-2", "lr = 1e-3"));
    // One run is half done: killed after its first epoch.
    let out = w.path("out");
    let mut fit = w.fit(&c, "out/c");
    let first = out.join("c/checkpoints/last");
    kill(&mut fit, &out.join("c"), &|| first.exists(), Duration::ZERO);
    let half = fs::read_to_string(out.join("c/checkpoints/last/state.json")).expect("state");
    assert!(half.contains("\"epochs_done\": "), "{half}");

    let configs = ["--configs", "a.toml", "b.toml", "c.toml", "--evaluate"];
    let output = sweep(&w, &configs).output().expect("starts");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("1 of 3 runs failed: b (fit: exit code 2)"),
        "{stderr}"
    );
    assert!(stderr.contains("continued after epoch "), "{stderr}");
    assert!(
        stdout.contains("failed: fit: exit code 2") && stdout.contains("optimizer.lr = 0.001"),
        "{stdout}"
    );
    assert!(
        fs::read_to_string(out.join("sweep.md"))
            .expect("sweep.md")
            .contains("| `optimizer.lr` | 0.01 | 0.01 | 0.001 |")
    );

    // The table says what the runs say.
    for (name, epochs) in [("a", 1), ("c", 10)] {
        let metrics = fs::read_to_string(out.join(name).join("metrics.jsonl")).expect("metrics");
        let lines = metrics
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        let values =
            lines.filter_map(|line| Some((line["map_at_r"].as_f64()?, line["f1"].as_f64()?)));
        let best = values.fold((-1.0, 0.0), |best, v| if v.0 > best.0 { v } else { best });
        let told = ["map_at_r", "f1"].map(|column| number(&field(&out, name, column)));
        assert_eq!(told, [best.0, best.1]);
        assert_eq!(field(&out, name, "epochs"), epochs.to_string());
        // 24 training rows, each an anchor once, three pictures a triplet.
        assert_eq!(field(&out, name, "images"), (72 * epochs).to_string());
        assert!(
            field(&out, name, "images_per_sec")
                .parse::<f64>()
                .expect("speed")
                > 0.0
        );
        assert_eq!(
            number(&field(&out, name, "map_1")),
            evaluated(&out.join(name), name)
        );
    }

    // What failed runs once its reason is gone; the others are not touched.
    let stamp = |name: &str| {
        fs::metadata(out.join(name))
            .and_then(|m| m.modified())
            .expect("a file")
    };
    let before = (
        stamp("a/metrics.jsonl"),
        stamp("a/evaluation.json"),
        stamp("c/metrics.jsonl"),
    );
    fs::copy(
        out.join("a/checkpoints/last/model.safetensors"),
        w.path("later.safetensors"),
    )
    .expect("copied");
    let (code, stderr) = run(&mut sweep(&w, &configs));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(stderr.matches("  finished").count(), 2, "{stderr}");
    assert_eq!(
        before,
        (
            stamp("a/metrics.jsonl"),
            stamp("a/evaluation.json"),
            stamp("c/metrics.jsonl")
        )
    );
    assert_eq!(field(&out, "b", "outcome"), "done");

    // A configuration that was changed since is no longer that run's.
    w.config("a.toml", &short(1).replace("lr = 1e-2", "lr = 1e-3"));
    let (code, stderr) = run(&mut sweep(&w, &configs));
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("the configuration was changed"), "{stderr}");

    // Two of these runs as curves.
    let mut curve = train();
    curve
        .args(["curve", "--split", "s", "--dataset"])
        .arg(&w.dataset)
        .arg("--out")
        .arg(w.path("curve"));
    let output = curve
        .arg(out.join("a"))
        .arg(out.join("c"))
        .output()
        .expect("starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = fs::read_to_string(w.path("curve/learning_per_image.csv")).expect("CSV");
    assert!(text.contains("\na,1,72,1,"), "{text}");
    assert!(text.contains("\nc,10,720,1,"), "{text}");
    let last = text.lines().last().expect("a line");
    let map = number(last.split(',').nth(4).expect("its mAP"));
    assert_eq!(map, evaluated(&out.join("c"), "c"), "{last}");
    let svg = fs::read_to_string(w.path("curve/figures/learning_per_image.svg")).expect("SVG");
    assert!(svg.contains("— a</text>") && svg.contains("— c</text>"));
}

#[test]
fn sigterm_to_a_sweep_reaches_the_run_which_writes_a_checkpoint() {
    let w = Workspace::small();
    w.config("long.toml", &short(1000));
    let mut child = sweep(&w, &["--configs", "long.toml"])
        .spawn()
        .expect("starts");
    while crate::support::lines(&w.path("out/long"), "step").is_empty() {
        assert!(child.try_wait().expect("child").is_none(), "at work");
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", "TERM", &pid])
            .status()
            .expect("kill")
            .success()
    );
    let status = child.wait().expect("waited for");
    assert_eq!(status.code(), Some(143));
    // The sweep waited for its run: the checkpoint is of the last step told, and nobody writes any more.
    let state = fs::read(w.path("out/long/checkpoints/last/state.json")).expect("a checkpoint");
    let state: serde_json::Value = serde_json::from_slice(&state).expect("JSON");
    let told = crate::support::lines(&w.path("out/long"), "step").len();
    assert_eq!(state["steps_done"], told);
}

#[test]
fn a_grid_with_a_combination_that_cannot_run_runs_none() {
    let w = Workspace::small();
    w.config("base.toml", &short(1));
    w.config(
        "grid.toml",
        "base = \"base.toml\"\n[grid]\n\"loss.margin\" = [1.0, -1.0]\n",
    );
    let (code, stderr) = run(&mut sweep(&w, &["--grid", "grid.toml"]));
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.contains("loss.margin = -1.0: loss.margin = -1 must be"),
        "{stderr}"
    );
    // More brands in a batch than the split has for training.
    w.config(
        "grid.toml",
        "base = \"base.toml\"\n[grid]\n\"data.sampler\" = [\"pk\"]\n\"data.batch\" = [4000]\n",
    );
    let (code, stderr) = run(&mut sweep(&w, &["--grid", "grid.toml"]));
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.contains("batch-4000_sampler-pk: ") && stderr.contains("brands"),
        "{stderr}"
    );
    assert!(!w.path("out").exists());
}

#[test]
fn a_dry_run_says_what_would_be_done_and_leaves_nothing() {
    let w = Workspace::small();
    w.config("base.toml", &short(2));
    w.config(
        "grid.toml",
        "base = \"base.toml\"\n[grid]\n\"loss.margin\" = [1.0, 0.5]\n",
    );
    let output = sweep(&w, &["--grid", "grid.toml", "--dry-run"])
        .output()
        .expect("starts");
    assert!(output.status.success());
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        stdout.contains("margin-0.5") && stdout.contains("2 runs, 288 images to go"),
        "{stdout}"
    );
    assert!(!w.path("out").exists());
}

#[test]
fn the_grid_that_ran_keeps_its_configurations_and_can_be_continued() {
    let w = Workspace::small();
    w.config("base.toml", &short(1));
    w.config(
        "grid.toml",
        "base = \"base.toml\"\n[grid]\n\"optimizer.lr\" = [1e-2, 1e-3]\n",
    );
    for _ in 0..2 {
        let (code, stderr) = run(&mut sweep(&w, &["--grid", "grid.toml"]));
        assert_eq!(code, 0, "{stderr}");
    }
    let written = fs::read(w.path("out/configs/lr-0.001.toml")).expect("its configuration");
    assert_eq!(
        written,
        fs::read(w.path("out/lr-0.001/config.toml")).expect("the run's")
    );
    assert_eq!(field(&w.path("out"), "lr-0.001", "optimizer.lr"), "0.001");
}

#[test]
fn config_answers_with_2_for_a_slip_and_names_all_of_them() {
    let w = Workspace::small();
    let bad = TINY
        .replace("batch = 8", "bacth = 8")
        .replace("margin = 1.0", "margn = 1.0");
    w.config("bad.toml", &bad);
    let check = |file: &str| run(train().args(["config", "--check"]).arg(w.path(file)));
    let (code, stderr) = check("bad.toml");
    assert_eq!(code, 2, "{stderr}");
    for told in [
        "did you mean data.batch?",
        "did you mean loss.margin?",
        "loss.margin is missing",
    ] {
        assert!(stderr.contains(told), "{told}: {stderr}");
    }
    w.config("good.toml", TINY);
    assert_eq!(check("good.toml").0, 0);
    assert_eq!(
        run(train().args(["config", "--explain", "loss.margn"])).0,
        2
    );
    assert_eq!(run(train().args(["config", "--explain"])).0, 0);
    assert_eq!(run(train().arg("config")).0, 2);
}

#[test]
fn seeds_are_trained_judged_and_their_spread_told_beside_the_interval_over_brands() {
    use Fold::{Test, Train, Val};
    let folds = [Train, Train, Val, Val, Test, Test, Test];
    let w = Workspace::of_noise(32, &folds.map(|fold| (6, fold)));
    w.config("a.toml", &short(1));
    let (code, stderr) = run(&mut sweep(
        &w,
        &["--configs", "a.toml", "--seeds", "3", "--evaluate"],
    ));
    assert_eq!(code, 0, "{stderr}");
    let out = w.path("out");
    let names = ["a", "a_seed-43", "a_seed-44"];
    let values = names.map(|name| evaluated(&out.join(name), name));
    assert!(values.iter().any(|v| *v != values[0]), "{values:?}");
    let mean = values.iter().sum::<f64>() / 3.0;
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
    for (name, value) in names.into_iter().zip(values) {
        let told = |column: &str| number(&field(&out, name, column));
        assert_eq!(told("map_1"), value);
        assert!((told("map_1_seeds_mean") - mean).abs() < 1e-12);
        assert!((told("map_1_seeds_deviation") - deviation).abs() < 1e-12);
        assert_eq!(told("map_1_seeds"), 3.0);
    }
    let spread = format!("{mean:.3} ± {deviation:.3} (3)");
    let text = fs::read_to_string(out.join("sweep.md")).expect("sweep.md");
    assert_eq!(text.matches(&spread).count() % 3, 0, "{text}");
    assert!(
        text.contains(&spread) && text.contains("| `seed` | 42 | 43 | 44 |"),
        "{text}"
    );

    // The report finds them together.
    let mut report = train();
    report.arg("report").arg("--out").arg(w.path("report"));
    let (code, stderr) = run(report.args(names.map(|name| out.join(name))));
    assert_eq!(code, 0, "{stderr}");
    let text = fs::read_to_string(w.path("report/report.md")).expect("report.md");
    let line = text
        .lines()
        .find(|line| line.starts_with("| `a, a_seed-43, a_seed-44` | 1-shot mAP |"))
        .unwrap_or_else(|| panic!("{text}"));
    assert!(
        line.contains(&format!("± {deviation:.3} (3 seeds)")),
        "{line}"
    );
}
