//! What a run optimises: a loss's own weights are trained through the whole program, and a miner and a memory survive a kill.

use std::fs;
use std::path::Path;
use std::time::Duration;

use logodex_trainer::torch::load_tensors;

use crate::support::{TINY, Workspace, kill, run};

const TRIPLET: &str = "kind = \"triplet\"\nmargin = 1.0";

#[test]
fn the_own_weights_of_a_loss_are_trained_and_kept_with_the_model() {
    let w = Workspace::small();
    let arc_face = "kind = \"arc_face\"\nmargin_deg = 28.6\nscale = 16.0\nsub_centers = 2";
    let weights = |epochs: u32, name: &str| {
        let text = TINY
            .replace(TRIPLET, arc_face)
            .replace(
                "unfreeze = [{ epoch = 1, freeze = 0, lr_factor = 0.5 }]",
                "",
            )
            .replace("epochs = 3", &format!("epochs = {epochs}"));
        let config = w.config(&format!("{name}.toml"), &text);
        let (code, stderr) = run(&mut w.fit(&config, name));
        assert_eq!(code, 0, "{stderr}");
        let model = w.path(name).join("checkpoints/last/model.safetensors");
        load_tensors(&model).expect("a model")["loss.weight"].shallow_clone()
    };
    let (before, after) = (weights(0, "initial"), weights(1, "trained"));
    // Six training brands with two centres each.
    assert_eq!(before.size(), [12, 128]);
    assert!((after - before).abs().max().double_value(&[]) > 1e-5);
}

#[test]
fn a_run_with_a_miner_and_a_memory_continues_bit_for_bit() {
    let w = Workspace::small();
    let tables =
        "[miner]\nkind = \"distance_weighted\"\n[memory]\nsize = 20\nstart_step = 2\n[augment]";
    let text = TINY
        .replace(
            TRIPLET,
            "kind = \"multi_similarity\"\nalpha = 2.0\nbeta = 50.0\nbase = 0.5",
        )
        .replace("[augment]", tables)
        .replace("epochs = 3", "epochs = 2");
    let config = w.config("memory.toml", &text);
    let (code, stderr) = run(&mut w.fit(&config, "alone"));
    assert_eq!(code, 0, "{stderr}");

    let last = |run: &Path| run.join("checkpoints/last");
    let killed = w.path("killed");
    let is_written = || last(&killed).exists();
    let mut fit = w.fit(&config, "killed");
    kill(&mut fit, &killed, &is_written, Duration::ZERO);
    let (code, stderr) = run(w.fit(&config, "killed").arg("--resume"));
    assert_eq!(code, 0, "{stderr}");
    let alone = w.path("alone");
    for file in ["model.safetensors", "optimizer.safetensors"] {
        let bytes = |run: &Path| fs::read(last(run).join(file)).expect(file);
        assert!(bytes(&alone) == bytes(&killed), "{file}");
    }
    let state = load_tensors(&last(&alone).join("optimizer.safetensors")).expect("a state");
    assert_eq!(state["memory.embeddings"].size(), [20, 128]);
}
