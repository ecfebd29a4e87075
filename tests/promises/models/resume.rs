//! A run killed in any epoch and resumed ends with the same weights, bit for bit, as the run left alone.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::workspace::{Workspace, binary, contents, small_dataset};

const EPOCHS: u32 = 4;

/// Everything that has state: dropout and BatchNorm in the head, momentum, augmentation, unfreezing, a moving rate.
const CONFIG: &str = r#"
seed = 9
[model]
arch = "resnet18"
head = "triplet"
[loss]
kind = "triplet"
margin = 1.0
[optimizer]
kind = "sgd"
lr = 0.05
backbone_factor = 0.5
weight_decay = 1e-4
[schedule]
epochs = 4
lr = "cosine"
warmup_steps = 2
freeze = 4
[[schedule.unfreeze]]
epoch = 2
freeze = 2
lr_factor = 0.5
[data]
batch = 24
[augment]
[runtime]
threads = 1
"#;

fn fit(workspace: &Workspace, dataset: &Path, run: &str) -> std::process::Command {
    let mut command = binary("logodex-train");
    command
        .args(["fit", "--split", "s", "--config", "fit.toml", "--run", run])
        .arg("--dataset")
        .arg(dataset)
        .current_dir(workspace.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Waits until the run has logged a step of this epoch, or the process has ended.
fn wait_for_epoch(metrics: &Path, epoch: u32, child: &mut std::process::Child) {
    let since = Instant::now();
    let step = format!("\"kind\":\"step\",\"epoch\":{epoch},");
    while since.elapsed() < Duration::from_secs(120) {
        let logged = std::fs::read_to_string(metrics).unwrap_or_default();
        if logged.replace(' ', "").contains(&step) || child.try_wait().unwrap().is_some() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("no step of epoch {epoch} after 120 s");
}

#[test]
fn a_killed_run_resumes_bit_for_bit() {
    let dataset = small_dataset().path("dataset");
    let workspace = Workspace::new();
    workspace.write("fit.toml", CONFIG);
    assert!(
        fit(&workspace, &dataset, "alone")
            .status()
            .unwrap()
            .success()
    );
    let expected = contents(&workspace.path("alone/checkpoints"));
    assert!(
        expected
            .keys()
            .any(|path| path.ends_with("model.safetensors"))
    );

    let mut killed = 0;
    for epoch in 0..EPOCHS {
        let run = format!("killed-{epoch}");
        let mut child = fit(&workspace, &dataset, &run).spawn().unwrap();
        wait_for_epoch(
            &workspace.path(&format!("{run}/metrics.jsonl")),
            epoch,
            &mut child,
        );
        child.kill().unwrap(); // SIGKILL
        killed += u32::from(!child.wait().unwrap().success());
        let resumed = fit(&workspace, &dataset, &run).arg("--resume").status();
        assert!(resumed.unwrap().success());
        let found = contents(&workspace.path(&format!("{run}/checkpoints")));
        let different: Vec<_> = expected
            .keys()
            .filter(|path| found.get(*path) != expected.get(*path))
            .collect();
        assert!(
            different.is_empty(),
            "killed in epoch {epoch}: {different:?}"
        );
    }
    assert!(
        killed >= EPOCHS - 1,
        "the kills came too late to test anything"
    );
}
