//! A run killed in any epoch and resumed ends with the same weights, bit for bit, as the run left alone.

use std::path::Path;
use std::process::Stdio;

use crate::workspace::{Workspace, binary, contents, kill, small_dataset};

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

    for epoch in 0..EPOCHS {
        let run = format!("killed-{epoch}");
        let metrics = workspace.path(&format!("{run}/metrics.jsonl"));
        let step = format!("\"kind\":\"step\",\"epoch\":{epoch},");
        let has_begun = || {
            let logged = std::fs::read_to_string(&metrics).unwrap_or_default();
            logged.replace(' ', "").contains(&step)
        };
        kill(
            &workspace.path(&run),
            &mut fit(&workspace, &dataset, &run),
            &has_begun,
        );
        let resumed = fit(&workspace, &dataset, &run).arg("--resume").status();
        assert!(resumed.unwrap().success());
        let found = contents(&workspace.path(&format!("{run}/checkpoints")));
        let different: Vec<_> = expected
            .keys()
            .filter(|path| found.get(*path) != expected.get(*path))
            .collect();
        assert!(
            different.is_empty() && found.len() == expected.len(),
            "killed in epoch {epoch}: {different:?}"
        );
    }
}
