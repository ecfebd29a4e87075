//! Bad input to the binary: one clear error, the right exit code, and nothing left behind.

use std::fs;

use logodex_schemas::dataset::DATASET_VERSION;
use logodex_schemas::run::{Stopped, stopped_header};
use logodex_schemas::split::Fold;

use crate::support::{TINY, Workspace, run, train};

#[test]
fn slips_in_the_configuration_are_exit_2_and_leave_no_run() {
    let w = Workspace::small();
    for (from, to, told) in [
        ("batch = 8", "bacth = 8", "bacth"),
        ("margin = 1.0", "margin = -1.0", "loss.margin"),
        (
            "head = \"triplet\"",
            "head = \"triplet\"\nweights = \"nowhere.safetensors\"",
            "nowhere.safetensors",
        ),
    ] {
        let config = w.config("bad.toml", &TINY.replace(from, to));
        let (code, stderr) = run(&mut w.fit(&config, "run"));
        assert_eq!(code, 2, "{to}: {stderr}");
        assert!(stderr.contains(told), "{to}: {stderr}");
        assert_eq!(stderr.matches("error:").count(), 1, "once: {stderr}");
        assert!(!w.path("run").exists(), "{to}");
    }
    let (code, _) = run(&mut w.fit(&w.path("nowhere.toml"), "run"));
    assert_eq!(code, 2);
}

#[test]
fn weights_that_do_not_fit_are_exit_2() {
    let w = Workspace::small();
    // A dataset's shard is a safetensors file, but no network.
    let shard = w.dataset.join("shards/00000.safetensors");
    let line = format!("head = \"triplet\"\nweights = {shard:?}");
    let config = w.config("bad.toml", &TINY.replace("head = \"triplet\"", &line));
    let (code, stderr) = run(&mut w.fit(&config, "run"));
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("00000.safetensors"), "{stderr}");
}

#[test]
fn a_missing_dataset_or_split_is_2_and_a_corrupt_one_5() {
    let w = Workspace::small();
    let config = w.config("tiny.toml", TINY);
    let fit = |dataset: &str, split: &str| {
        let mut command = train();
        command.arg("fit").arg("--dataset").arg(w.path(dataset));
        command
            .args(["--split", split])
            .arg("--config")
            .arg(&config);
        run(command.arg("--run").arg(w.path("run")))
    };
    assert_eq!(fit("nowhere", "s").0, 2);
    let (code, stderr) = fit("data", "t");
    assert_eq!(code, 2);
    assert!(stderr.contains("it has s"), "{stderr}");

    let manifest = w.dataset.join("manifest.json");
    let text = fs::read_to_string(&manifest).expect("manifest");
    fs::write(
        &manifest,
        text.replace(&format!("\"version\": {DATASET_VERSION}"), "\"version\": 9"),
    )
    .expect("manifest");
    let (code, stderr) = fit("data", "s");
    assert_eq!(code, 5);
    assert!(stderr.contains("version 9"), "{stderr}");
    fs::remove_file(&manifest).expect("removed");
    assert_eq!(fit("data", "s").0, 5);
}

#[test]
fn a_fold_of_one_image_brands_is_refused() {
    let w = Workspace::new(
        32,
        &[
            (1, Fold::Train),
            (1, Fold::Train),
            (1, Fold::Train),
            (4, Fold::Val),
        ],
    );
    let config = w.config("tiny.toml", TINY);
    let (code, stderr) = run(&mut w.fit(&config, "run"));
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.contains("nothing to train on") && stderr.contains("3 training brands"),
        "{stderr}"
    );
}

#[test]
fn a_margin_out_of_reach_and_a_batch_above_the_fold_are_told_and_run() {
    let w = Workspace::small();
    let text = TINY
        .replace("margin = 1.0", "margin = 3.0")
        .replace("batch = 8", "batch = 64")
        .replace("epochs = 3", "epochs = 1")
        .replace(
            "unfreeze = [{ epoch = 1, freeze = 0, lr_factor = 0.5 }]",
            "",
        );
    let (code, stderr) = run(&mut w.fit(&w.config("odd.toml", &text), "odd"));
    assert_eq!(code, 0, "{stderr}");
    for told in [
        "loss.margin = 3 cannot be reached",
        "data.batch = 64 is more than the 24 triplets",
    ] {
        assert_eq!(stderr.matches(told).count(), 1, "{told}: {stderr}");
    }
    let config = w.config("even.toml", &text.replace("3.0", "1.0").replace("64", "24"));
    let (code, stderr) = run(&mut w.fit(&config, "even"));
    assert_eq!(code, 0, "{stderr}");
    assert!(!stderr.contains("WARN"), "{stderr}");
}

#[test]
fn a_one_image_brand_is_skipped_counted_and_told_once() {
    let w = Workspace::new(
        32,
        &[
            (4, Fold::Train),
            (1, Fold::Train),
            (4, Fold::Train),
            (4, Fold::Val),
            (4, Fold::Val),
        ],
    );
    let config = w.config("tiny.toml", &TINY.replace("epochs = 3", "epochs = 2"));
    let (code, stderr) = run(&mut w.fit(&config, "run"));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(stderr.matches("only one image").count(), 1, "{stderr}");
    let metrics = fs::read_to_string(w.path("run/metrics.jsonl")).expect("metrics");
    assert_eq!(
        metrics.matches("\"skipped_images\":1").count(),
        2,
        "{metrics}"
    );
    // 8 triplets fit one batch of 8.
    assert_eq!(metrics.matches("\"kind\":\"step\"").count(), 2);
}

#[test]
fn a_diverging_run_stops_with_step_and_rows_and_keeps_no_checkpoint_of_it() {
    let w = Workspace::small();
    let config = w.config(
        "hot.toml",
        &TINY.replace("lr = 1e-2", "lr = 1e30").replace(
            "head = \"triplet\"",
            "head = \"linear\"\nl2_normalize = false",
        ),
    );
    let (code, stderr) = run(&mut w.fit(&config, "run"));
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("the loss is") && stderr.contains("step 2 (epoch 0), rows "),
        "{stderr}"
    );
    assert!(!w.path("run/checkpoints/last").exists());
    let stopped = fs::read(w.path("run/stopped.json")).expect("stopped.json");
    let stopped: Stopped = stopped_header().parse(&stopped).expect("its schema");
    assert_eq!((stopped.epoch, stopped.step), (0, 2));
    assert!(
        ["NaN", "inf"].contains(&stopped.loss.as_str()),
        "{stopped:?}"
    );
    assert_eq!(stopped.rows.len(), 24);
    let first = &stopped.rows[0];
    assert!(stderr.contains(&format!("rows {}", first.row)), "{stderr}");
    assert_eq!(first.brand, format!("brand {:02}", first.row / 4));
    assert_eq!(first.image, first.row as i64 / 2);
}

#[test]
fn weights_that_are_no_numbers_at_a_monitored_step_stop_the_run_as_at_any_other() {
    let w = Workspace::small();
    // Four steps an epoch: the ninth is the first at a rate beyond all numbers, the monitor looks at the tenth.
    let text = TINY
        .replace("batch = 8", "batch = 6")
        .replace(
            "unfreeze = [{ epoch = 1, freeze = 0, lr_factor = 0.5 }]",
            "lr = \"step\"\nstep_epochs = 2\nstep_factor = 1e60",
        )
        .replace("freeze = 2", "freeze = 5");
    let (code, stderr) = run(&mut w.fit(&w.config("hot.toml", &text), "run"));
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("step 10 (epoch 2)") && !stderr.contains("panicked"),
        "{stderr}"
    );
    let stopped = fs::read(w.path("run/stopped.json")).expect("stopped.json");
    let stopped: Stopped = stopped_header().parse(&stopped).expect("its schema");
    assert_eq!((stopped.epoch, stopped.step), (2, 10));
}

#[test]
fn no_epochs_write_the_network_as_a_run_that_embeds() {
    let w = Workspace::small();
    let config = w.config("zero.toml", "[model]\narch = \"resnet18\"\nhead = \"none\"\n[loss]\nkind = \"contrastive_cosine\"\nmargin = 0.2\n[schedule]\nepochs = 0\n[runtime]\nthreads = 1\n");
    let (code, stderr) = run(&mut w.fit(&config, "run"));
    assert_eq!(code, 0, "{stderr}");
    let out = w.path("out/test.safetensors");
    let embed = |checkpoint: &str| {
        let mut command = train();
        command.args([
            "embed",
            "--split",
            "s",
            "--fold",
            "test",
            "--checkpoint",
            checkpoint,
        ]);
        command
            .arg("--dataset")
            .arg(&w.dataset)
            .arg("--run")
            .arg(w.path("run"));
        run(command.arg("--out").arg(&out))
    };
    assert_eq!(embed("last").0, 0);
    let file = fs::read(&out).expect("embeddings");
    let tensors = safetensors::SafeTensors::deserialize(&file).expect("safetensors");
    assert_eq!(
        tensors.tensor("embeddings").expect("embeddings").shape(),
        [8, 512]
    );
    let rows: Vec<i64> = tensors
        .tensor("row")
        .expect("row")
        .data()
        .chunks_exact(8)
        .map(|b| i64::from_le_bytes(b.try_into().expect("8 bytes")))
        .collect();
    assert_eq!(rows, [24, 25, 26, 27, 36, 37, 38, 39]);
    let (code, stderr) = embed("best");
    assert_eq!(code, 2);
    assert!(stderr.contains("best"), "{stderr}");
}

#[test]
fn usage_is_exit_2_and_help_has_an_example() {
    assert_eq!(run(train().args(["fit", "--nonsense"])).0, 2);
    for command in ["fit", "embed", "config", "sweep", "curve", "evaluate"] {
        let output = train().args([command, "--help"]).output().expect("starts");
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("Example"));
    }
}
