//! A run killed at any moment and resumed ends as the run left alone, bit for bit.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use logodex_trainer::random::derive;

use crate::support::{TINY, Workspace, run};

/// Everything that must be equal: the weights, the optimiser's state, and the metrics but for the speed.
fn outcome(run: &Path) -> (Vec<u8>, Vec<u8>, Vec<serde_json::Value>) {
    let last = run.join("checkpoints/last");
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    let metrics = metrics.lines().map(|line| {
        let mut line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        if let Some(object) = line.as_object_mut() {
            object.remove("images_per_sec");
        }
        line
    });
    (
        fs::read(last.join("model.safetensors")).expect("model"),
        fs::read(last.join("optimizer.safetensors")).expect("optimizer"),
        metrics.collect(),
    )
}

/// Waits until `ready`, then `after` more; false when the process ended first.
fn wait(child: &mut std::process::Child, ready: impl Fn() -> bool, after: Duration) -> bool {
    let mut since: Option<Instant> = None;
    loop {
        if since.is_none() && ready() {
            since = Some(Instant::now());
        }
        if since.is_some_and(|s| s.elapsed() >= after) {
            return true;
        }
        if child.try_wait().expect("child").is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn killed_in_every_epoch_and_resumed_equals_left_alone() {
    let w = Workspace::small();
    let config = w.config("tiny.toml", TINY);
    let (code, stderr) = run(&mut w.fit(&config, "alone"));
    assert_eq!(code, 0, "{stderr}");

    let killed = w.path("killed");
    let lines = |needle: &str| {
        fs::read_to_string(killed.join("metrics.jsonl"))
            .unwrap_or_default()
            .matches(needle)
            .count()
    };
    // Where to kill: while starting, within the first epoch, right after the first and the second epoch's line (that
    // is, while the checkpoint is written), then some moments later. Each delay differs from run to run of the test
    // suite by the machine's load alone; the promise holds for all.
    let moments: [(&dyn Fn() -> bool, u64); 5] = [
        (&|| true, 300),
        (&|| killed.join("metrics.jsonl").exists(), 150),
        (&|| lines("\"kind\":\"epoch\"") >= 1, 10),
        (&|| killed.join("checkpoints/last").exists(), 400),
        (&|| lines("\"kind\":\"epoch\"") >= 2, 60),
    ];
    let mut kills = 0;
    for (i, (ready, after)) in moments.into_iter().enumerate() {
        let jitter = derive(i as u64, "kill", &[]) % 50;
        let mut child = w
            .fit(&config, "killed")
            .arg("--resume")
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("starts");
        if wait(&mut child, ready, Duration::from_millis(after + jitter)) {
            child.kill().expect("SIGKILL");
            kills += 1;
        }
        child.wait().expect("waited for");
    }
    assert!(kills >= 3, "the kills must hit a running process");
    let (code, stderr) = run(w.fit(&config, "killed").arg("--resume"));
    assert_eq!(code, 0, "{stderr}");
    let (alone, resumed) = (outcome(&w.path("alone")), outcome(&killed));
    assert_eq!(alone.2, resumed.2);
    assert!(alone.0 == resumed.0, "the weights differ");
    assert!(alone.1 == resumed.1, "the optimiser's state differs");

    let mut names: Vec<String> = fs::read_dir(killed.join("checkpoints"))
        .expect("checkpoints")
        .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.iter().all(|n| !n.starts_with('.')), "{names:?}");
    assert_eq!(names.last().map(String::as_str), Some("last"));
    assert!(names.contains(&"epoch-003".to_owned()), "{names:?}");

    a_finished_run_says_so(&w, &config);
    a_changed_configuration_is_refused(&w);
    an_existing_run_tells_both_ways_out(&w, &config);
}

// The next three need a finished run, which takes seconds to make: the test above calls them with its own.

fn a_finished_run_says_so(w: &Workspace, config: &Path) {
    let output = w
        .fit(config, "alone")
        .arg("--resume")
        .output()
        .expect("starts");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("finished already"));
}

fn a_changed_configuration_is_refused(w: &Workspace) {
    let other = w.config("other.toml", &TINY.replace("batch = 8", "batch = 9"));
    let (code, stderr) = run(w.fit(&other, "alone").arg("--resume"));
    assert_eq!(code, 2);
    assert!(stderr.contains("configuration was changed"), "{stderr}");
}

fn an_existing_run_tells_both_ways_out(w: &Workspace, config: &Path) {
    let before = outcome(&w.path("alone"));
    let (code, stderr) = run(&mut w.fit(config, "alone"));
    assert_eq!(code, 2);
    assert!(
        stderr.contains("--resume") && stderr.contains("another --run"),
        "{stderr}"
    );
    assert!(before == outcome(&w.path("alone")), "the run is untouched");
}

#[test]
fn class_weights_and_adam_s_moments_survive_too() {
    let w = Workspace::small();
    let text = TINY
        .replace(
            "kind = \"triplet\"\nmargin = 1.0",
            "kind = \"norm_softmax\"\ntemperature = 0.05",
        )
        .replace("kind = \"sgd\"\nlr = 1e-2", "kind = \"adamw\"\nlr = 1e-3")
        .replace("epochs = 3", "epochs = 2\nlr = \"cosine\"");
    let config = w.config("softmax.toml", &text);
    let (code, stderr) = run(&mut w.fit(&config, "alone"));
    assert_eq!(code, 0, "{stderr}");
    let mut child = w.fit(&config, "killed").spawn().expect("starts");
    let first = w.path("killed/checkpoints/last");
    assert!(
        wait(&mut child, || first.exists(), Duration::ZERO),
        "killed before its end"
    );
    child.kill().expect("SIGKILL");
    child.wait().expect("waited for");
    let (code, stderr) = run(w.fit(&config, "killed").arg("--resume"));
    assert_eq!(code, 0, "{stderr}");
    assert!(outcome(&w.path("alone")) == outcome(&w.path("killed")));
    let model = fs::read(w.path("alone/checkpoints/last/model.safetensors")).expect("model");
    let model = safetensors::SafeTensors::deserialize(&model).expect("safetensors");
    assert_eq!(
        model.tensor("loss.weight").expect("class weights").shape(),
        [6, 128]
    );
}
