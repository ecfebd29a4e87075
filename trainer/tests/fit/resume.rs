//! A run killed at any moment and resumed ends as the run left alone, bit for bit.

use std::fs;
use std::path::Path;
use std::time::Duration;

use logodex_schemas::random::derive;

use crate::support::{TINY, Workspace, assert_same, left_alone, lines, outcome, run, spawn, wait};

#[test]
fn killed_in_every_epoch_and_resumed_equals_left_alone() {
    let (w, config) = left_alone();
    let killed = w.path("killed");
    let written = |part: &str| {
        let names = fs::read_dir(killed.join("checkpoints"))
            .into_iter()
            .flatten();
        names.flatten().any(|e| {
            let name = e.file_name().to_string_lossy().into_owned();
            name.starts_with("epoch-") && name.contains(part)
        })
    };
    // Where to kill: while starting, after the first step, with a checkpoint within the first epoch, while the second
    // epoch is validated or its checkpoint written, within the last. Each delay differs from run to run of the test suite
    // by the machine's load alone; the promise holds for all.
    let moments: [(&dyn Fn() -> bool, u64); 5] = [
        (&|| true, 300),
        (&|| !lines(&killed, "step").is_empty(), 10),
        (&|| written("000-batch"), 30),
        (&|| lines(&killed, "step").len() >= 4, 20),
        (&|| written("002-batch"), 0),
    ];
    let mut kills = 0;
    for (i, (ready, after)) in moments.into_iter().enumerate() {
        let jitter = derive(i as u64, "kill", &[]) % 50;
        let mut child = spawn(w.fit(config, "killed").arg("--resume"));
        if wait(&mut child, ready, Duration::from_millis(after + jitter)) {
            child.kill().expect("SIGKILL");
            kills += 1;
        }
        child.wait().expect("waited for");
    }
    assert!(kills >= 3, "the kills must hit a running process");
    let (code, stderr) = run(w.fit(config, "killed").arg("--resume"));
    assert_eq!(code, 0, "{stderr}");
    assert_same(&w.path("alone"), &killed);

    let mut names: Vec<String> = fs::read_dir(killed.join("checkpoints"))
        .expect("checkpoints")
        .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.iter().all(|n| !n.starts_with('.')), "{names:?}");
    assert_eq!(names.last().map(String::as_str), Some("last"));
    assert!(names.contains(&"epoch-003".to_owned()), "{names:?}");
}

#[test]
fn a_finished_run_says_so_and_a_changed_or_existing_one_is_refused() {
    let (w, config) = left_alone();
    a_finished_run_says_so(w, config);
    a_changed_configuration_is_refused(w);
    an_existing_run_tells_both_ways_out(w, config);
}

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
    let other = w.config("other.toml", TINY);
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
    let mut child = spawn(&mut w.fit(&config, "killed"));
    let first = w.path("killed/checkpoints/last");
    assert!(
        wait(&mut child, || first.exists(), Duration::ZERO),
        "killed before its end"
    );
    child.kill().expect("SIGKILL");
    child.wait().expect("waited for");
    let (code, stderr) = run(w.fit(&config, "killed").arg("--resume"));
    assert_eq!(code, 0, "{stderr}");
    assert_same(&w.path("alone"), &w.path("killed"));
    let model = fs::read(w.path("alone/checkpoints/last/model.safetensors")).expect("model");
    let model = safetensors::SafeTensors::deserialize(&model).expect("safetensors");
    assert_eq!(
        model.tensor("loss.weight").expect("class weights").shape(),
        [6, 128]
    );
}
