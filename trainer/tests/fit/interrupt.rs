//! Ctrl-C and SIGTERM end a run cleanly, and it goes on from the very step.

use std::time::Duration;

use crate::support::{assert_same, caught, left_alone, lines, run};

#[test]
fn a_signal_finishes_the_step_writes_a_checkpoint_and_tells_how_to_go_on() {
    let (w, config) = left_alone();
    let directory = w.path("interrupted");
    for (signal, code, steps) in [("INT", 130, 1), ("TERM", 143, 4)] {
        let mut fit = w.fit(config, "interrupted");
        let ready = || lines(&directory, "step").len() >= steps;
        let output = caught(
            signal,
            fit.arg("--resume-or-start"),
            &directory,
            &ready,
            Duration::ZERO,
        );
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(
            stderr.contains("stopped: ")
                && stderr.contains(&format!("SIG{signal}"))
                && stderr.contains("--resume"),
            "{stderr}"
        );
        let state = std::fs::read(directory.join("checkpoints/last/state.json")).expect("state");
        let state: serde_json::Value = serde_json::from_slice(&state).expect("JSON");
        let told = lines(&directory, "step").len();
        assert_eq!(state["steps_done"], told, "no step is lost");
        assert!(told < 6, "before its end");
    }
    let (code, stderr) = run(w.fit(config, "interrupted").arg("--resume"));
    assert_eq!(code, 0, "{stderr}");
    assert_same(&w.path("alone"), &directory);
}
