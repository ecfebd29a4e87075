//! A run killed at any moment and resumed ends as the run left alone, bit for bit.

use std::fs;
use std::path::Path;
use std::time::Duration;

use logodex_schemas::random::derive;

use crate::support::{TINY, Workspace, assert_same, kill, left_alone, lines, outcome, run};

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
    // epoch is validated or its checkpoint written, within the last.
    let moments: [(&dyn Fn() -> bool, u64); 5] = [
        (&|| true, 300),
        (&|| !lines(&killed, "step").is_empty(), 10),
        (&|| written("000-batch"), 30),
        (&|| lines(&killed, "step").len() >= 4, 20),
        (&|| written("002-batch"), 0),
    ];
    for (i, (ready, after)) in moments.into_iter().enumerate() {
        let after = Duration::from_millis(after + derive(i as u64, "kill", &[]) % 50);
        let mut fit = w.fit(config, "killed");
        kill(fit.arg("--resume-or-start"), &killed, ready, after);
    }
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
    assert!(
        stderr.contains("configuration was changed")
            && stderr.contains("ema.decay is 0.9 in the run and not set now"),
        "{stderr}"
    );
}

#[test]
fn resume_needs_a_run_and_a_longer_one_equals_the_run_of_that_length() {
    let w = Workspace::small();
    let config = w.config("three.toml", TINY);
    let (code, stderr) = run(w.fit(&config, "longer").arg("--resume"));
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("--resume-or-start"), "{stderr}");
    assert!(!w.path("longer").exists());

    let two = TINY.replace("epochs = 3", "epochs = 2");
    let (code, stderr) = run(w
        .fit(&w.config("two.toml", &two), "longer")
        .arg("--resume-or-start"));
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.contains("a new run") && stderr.contains("computing on the CPU, with 1 CPU threads"),
        "{stderr}"
    );
    // Another spelling, a comment and an epoch more.
    let longer = TINY.replace("lr = 1e-2", "lr = 0.01 # as before");
    let (code, stderr) = run(w
        .fit(&w.config("longer.toml", &longer), "longer")
        .arg("--resume"));
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.contains("continuing from checkpoint epoch-002, for 3 epochs instead of 2"),
        "{stderr}"
    );
    let (code, stderr) = run(&mut w.fit(&config, "alone"));
    assert_eq!(code, 0, "{stderr}");
    assert_same(&w.path("alone"), &w.path("longer"));
}

#[test]
fn a_damaged_history_is_an_error_that_names_the_line_and_a_torn_end_is_none() {
    let w = Workspace::small();
    let config = w.config("two.toml", &TINY.replace("epochs = 3", "epochs = 2"));
    let (code, stderr) = run(&mut w.fit(&config, "run"));
    assert_eq!(code, 0, "{stderr}");
    let path = w.path("run/metrics.jsonl");
    let whole = fs::read(&path).expect("metrics");
    let more = w.config("three.toml", TINY);
    let second = whole.iter().position(|b| *b == b'\n').expect("a line") + 1;
    let mut bad_byte = whole.clone();
    bad_byte[second + 3] = 0xff;
    let mut missing = whole.clone();
    let third = second
        + whole[second..]
            .iter()
            .position(|b| *b == b'\n')
            .expect("a line")
        + 1;
    missing.drain(second..third);
    for (bytes, told) in [
        (bad_byte, "line 2 "),
        (missing, "line 2 is step 3 after step 1"),
    ] {
        fs::write(&path, &bytes).expect("written");
        let (code, stderr) = run(w.fit(&more, "run").arg("--resume"));
        assert_eq!(code, 1, "{stderr}");
        assert!(
            stderr.contains("metrics.jsonl")
                && stderr.contains(told)
                && stderr.contains("move it away"),
            "{stderr}"
        );
        assert_eq!(
            fs::read(&path).expect("still there"),
            bytes,
            "nothing is lost"
        );
    }
    let torn = [&whole[..], b"{\"kind\":\"step\",\xff"].concat();
    fs::write(&path, torn).expect("written");
    let (code, stderr) = run(w.fit(&more, "run").arg("--resume"));
    assert_eq!(code, 0, "{stderr}");
    assert!(fs::read(&path).expect("metrics").starts_with(&whole));
}

#[test]
fn threads_that_were_not_chosen_stay_as_many_where_a_run_goes_on() {
    let w = Workspace::small();
    let config = |threads: u32, epochs: u32| {
        let text = TINY.replace("threads = 1", &format!("threads = {threads}"));
        w.config(
            "t.toml",
            &text.replace("epochs = 3", &format!("epochs = {epochs}")),
        )
    };
    let (code, stderr) = run(&mut w.fit(&config(0, 2), "run"));
    assert_eq!(code, 0, "{stderr}");
    // As if the machine had had three cores.
    let path = w.path("run/checkpoints/epoch-002/state.json");
    let state = fs::read(&path).expect("state");
    let mut state: logodex_schemas::run::RunState = serde_json::from_slice(&state).expect("JSON");
    assert!(state.threads.is_some());
    state.threads = Some(3);
    fs::write(
        &path,
        logodex_schemas::header::seal(&state).expect("sealed"),
    )
    .expect("written");
    let (code, stderr) = run(w.fit(&config(0, 3), "run").arg("--resume"));
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("with 3 CPU threads"), "{stderr}");
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
    let first = w.path("killed/checkpoints/last");
    let mut fit = w.fit(&config, "killed");
    let is_written = || first.exists();
    kill(&mut fit, &w.path("killed"), &is_written, Duration::ZERO);
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
