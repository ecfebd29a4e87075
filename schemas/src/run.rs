//! A run directory: `config.toml`, `metrics.jsonl`, `checkpoints/<name>/{model.safetensors, optimizer.safetensors, state.json}`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::header::Header;

/// The header of a checkpoint's `state.json`.
pub fn run_header() -> Header {
    Header::new("logodex-run", 1)
}

/// `state.json`: written last into a checkpoint, which is complete if and only if it has one.
///
/// There is no generator state: every random draw is derived from (seed, name, epoch or step), so that a run resumed
/// from here continues bit for bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunState {
    /// Kind and version.
    #[serde(flatten)]
    pub header: Header,
    /// Epochs completed.
    pub epochs_done: u32,
    /// Optimiser steps taken.
    pub steps_done: u64,
    /// 0-based epoch with the highest validation F1 so far.
    pub best_epoch: Option<u32>,
    /// That F1.
    pub best_f1: Option<f64>,
    /// BLAKE3 of `config.toml`, hexadecimal: a run continues only under the configuration it began with.
    pub config_blake3: String,
    /// BLAKE3 of the dataset's manifest, hexadecimal.
    pub manifest_blake3: String,
    /// BLAKE3 of the split's CSV, hexadecimal.
    pub split_blake3: String,
    /// BLAKE3 of `model.safetensors` beside it, hexadecimal.
    pub model_blake3: String,
    /// BLAKE3 of `optimizer.safetensors` beside it, hexadecimal.
    pub optimizer_blake3: String,
}

/// A line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MetricsLine {
    /// After an optimiser step.
    Step {
        /// 0-based epoch.
        epoch: u32,
        /// Steps taken, this one included.
        step: u64,
        /// Training loss of the step's batch.
        loss: f64,
    },
    /// After an epoch.
    Epoch {
        /// 0-based epoch.
        epoch: u32,
        /// Steps taken so far.
        step: u64,
        /// Mean training loss over the epoch.
        train_loss: f64,
        /// Mean validation loss; none where the loss is not defined on unseen brands (`norm_softmax`).
        val_loss: Option<f64>,
        /// Highest F1 over 100 thresholds on the validation pairs.
        f1: Option<f64>,
        /// The first threshold that gives it.
        threshold: Option<f64>,
        /// Head's learning rate at the epoch's last step.
        lr: f64,
        /// Freeze level during the epoch.
        freeze: u8,
        /// Training images that could be no anchor because their brand has only one image.
        skipped_images: u64,
        /// Training images through the network per second.
        images_per_sec: f64,
    },
}
