//! Ctrl-C and SIGTERM end a run cleanly, and it goes on from the very step.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{assert_same, left_alone, lines, run, wait};

#[test]
fn a_signal_finishes_the_step_writes_a_checkpoint_and_tells_how_to_go_on() {
    let (w, config) = left_alone();
    let directory = w.path("interrupted");
    for (signal, code, steps) in [("INT", 130, 1), ("TERM", 143, 4)] {
        let mut child = w
            .fit(config, "interrupted")
            .arg("--resume-or-start")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let ready = || lines(&directory, "step").len() >= steps;
        assert!(wait(&mut child, ready, Duration::ZERO), "still at work");
        let pid = child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.expect("kill").success());
        let output = child.wait_with_output().expect("waited for");
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
