//! A damaged checkpoint or a full disk costs at most the newest checkpoint, and is said.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::{assert_same, caught, left_alone, lines, run, train};

/// Runs a shell command in the workspace; `$FIT` is the command line of `fit` but for `--run`.
fn shell(dir: &Path, dataset: &Path, config: &Path, script: &str) -> (Option<i32>, String) {
    let fit = format!(
        "{} fit --split s --dataset {} --config {}",
        train().get_program().to_string_lossy(),
        dataset.display(),
        config.display()
    );
    let output = Command::new("bash")
        .args(["-c", script])
        .env("FIT", fit)
        .current_dir(dir)
        .output()
        .expect("bash starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!stderr.contains("panicked"), "{stderr}");
    (output.status.code(), stderr)
}

#[test]
fn a_damaged_newest_checkpoint_costs_what_came_after_the_one_before() {
    let (w, config) = left_alone();
    let torn = w.path("torn");
    let copied = Command::new("cp")
        .arg("-al")
        .arg(w.path("alone"))
        .arg(&torn)
        .status();
    assert!(copied.expect("cp").success());
    let path = torn.join("checkpoints/last/model.safetensors");
    let mut bytes = fs::read(&path).expect("read");
    bytes.truncate(bytes.len() / 3);
    // The file is shared with the run that was copied: a new one takes its place.
    fs::remove_file(&path).expect("removed");
    fs::write(&path, bytes).expect("written");

    let (code, stderr) = run(w.fit(config, "torn").arg("--resume"));
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.contains("checkpoint epoch-003 is damaged")
            && stderr.contains("continuing from epoch-002-batch-000002"),
        "{stderr}"
    );
    assert_same(&w.path("alone"), &torn);
}

#[test]
#[ignore = "takes a file system of its own: unshare -rm"]
fn a_full_disk_is_told_keeps_the_checkpoint_before_and_the_run_goes_on_when_there_is_room() {
    let (w, config) = left_alone();
    // Room for one checkpoint of 134 MB and not for a second.
    let script = "mkdir small && unshare -rm bash -c 'mount -t tmpfs -o size=200m none small && \
         { $FIT --run small/run; code=$?; test -e small/run/checkpoints/last/state.json || code=77; \
         ls -A small/run/checkpoints | grep -q \"^[.]\" && code=78; \
         mount -o remount,size=900m small && $FIT --run small/run --resume && cp -a small/run freed || code=79; \
         exit $code; }'";
    let (code, error) = shell(w.dir.path(), &w.dataset, config, script);
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("No space left") && error.contains("the one before is whole: make room"),
        "{error}"
    );
    assert_same(&w.path("alone"), &w.path("freed"));
}

/// A limit on the length of files stands for the disk's end.
#[test]
fn a_checkpoint_that_cannot_be_written_whole_is_told_and_the_one_before_is_kept() {
    let (w, config) = left_alone();
    let full = w.path("full");
    let begun = || !lines(&full, "step").is_empty();
    let output = caught(
        "INT",
        &mut w.fit(config, "full"),
        &full,
        &begun,
        Duration::ZERO,
    );
    assert_eq!(output.status.code(), Some(130));
    let before = fs::read_link(full.join("checkpoints/last")).expect("a checkpoint");

    // No network of 45 MB can be written.
    let limited = "trap '' XFSZ; ulimit -f 20000; exec $FIT --run full --resume";
    let (code, error) = shell(w.dir.path(), &w.dataset, config, limited);
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("cannot write checkpoint") && error.contains("the one before is whole"),
        "{error}"
    );
    assert_eq!(
        fs::read_link(full.join("checkpoints/last")).expect("still"),
        before
    );
    let names = fs::read_dir(full.join("checkpoints")).expect("checkpoints");
    let hidden = names
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().starts_with('.'));
    assert_eq!(hidden.count(), 0, "nothing half written is left");

    let (code, stderr) = run(w.fit(config, "full").arg("--resume"));
    assert_eq!(code, 0, "{stderr}");
    assert_same(&w.path("alone"), &full);
}
