//! Writes how a made-up model was trained.

use std::fs;
use std::path::Path;

use logodex_schemas::run::{LearningRates, MetricsLine};

use super::model::Made;

pub fn write_training(dir: &Path, made: &Made, epochs: u32) {
    let unfreeze = match epochs > 10 && made.name != "norm_softmax" {
        true => "freeze = 4\nunfreeze = [{ epoch = 8, freeze = 3 }]\n",
        false => "",
    };
    let loss = match made.name {
        "norm_softmax" => "kind = \"norm_softmax\"\ntemperature = 0.05",
        _ => "kind = \"contrastive_cosine\"\nmargin = 0.2",
    };
    let config = format!(
        "[model]\narch = \"resnet18\"\nhead = \"linear\"\n[loss]\n{loss}\n[schedule]\nepochs = {epochs}\n{unfreeze}"
    );
    fs::write(dir.join("config.toml"), config).unwrap();
    let lines: String = (0..epochs)
        .map(|epoch| {
            let t = f64::from(epoch);
            let rates = LearningRates {
                backbone: 1e-4,
                head: 1e-3,
                loss: 1e-3,
            };
            let step = MetricsLine::Step {
                epoch,
                step: u64::from(epoch) * 10,
                loss: 0.5,
                lr: rates,
                grad_norm: 1.0,
                monitor: None,
                images_per_sec: 250.0,
            };
            let line = MetricsLine::Epoch {
                epoch,
                step: u64::from(epoch + 1) * 10,
                train_loss: 0.2 + 0.5 * (-t / 6.0).exp(),
                val_loss: (made.name != "norm_softmax")
                    .then(|| 0.3 + 0.4 * (-t / 5.0).exp() + 0.01 * (t * 1.7).sin()),
                f1: Some(0.82 - 0.3 * (-t / 4.0).exp() + 0.008 * (t * 2.3).sin()),
                threshold: Some(0.6 + 0.2 * (-t / 8.0).exp()),
                map_at_r: (made.name != "norm_softmax").then(|| 0.5 - 0.3 * (-t / 4.0).exp()),
                lr: rates,
                freeze: 0,
                skipped_images: 4,
                images_per_sec: 250.0,
            };
            format!(
                "{}\n{}\n",
                serde_json::to_string(&step).unwrap(),
                serde_json::to_string(&line).unwrap()
            )
        })
        .collect();
    fs::write(dir.join("metrics.jsonl"), lines).unwrap();
}
