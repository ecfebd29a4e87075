//! A run directory: `config.toml`, `dataset.json`, `metrics.jsonl`, `checkpoints/<name>/{model.safetensors, optimizer.safetensors,
//! state.json}` and, after a loss or gradient that is no finite number, `stopped.json`.

pub mod history;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::header::Header;
use crate::train::BestBy;

/// The header of a checkpoint's `state.json`.
pub fn run_header() -> Header {
    Header::new("logodex-run", 2)
}

/// The header of `stopped.json`.
pub fn stopped_header() -> Header {
    Header::new("logodex-stopped", 1)
}

/// The header of `dataset.json`.
pub fn run_dataset_header() -> Header {
    Header::new("logodex-run-dataset", 1)
}

/// `dataset.json`: where the data of a run lay when it was last trained. It is a hint, by which later commands find them without
/// being told; that they are the same data, a checkpoint's hashes say. The one file of a run that depends on its machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunDataset {
    /// Kind and version.
    #[serde(flatten)]
    pub header: Header,
    /// The dataset's directory, absolute.
    pub dataset: String,
    /// The split's name.
    pub split: String,
}

/// `state.json`: written last into a checkpoint, which is complete if and only if it has one.
///
/// There is no generator state: every random draw is derived from (seed, name, epoch or step), so that a run resumed
/// from here continues bit for bit. The sampler's whole state is the configuration's seed, `epochs_done` and
/// `epoch_batches`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunState {
    /// Kind and version.
    #[serde(flatten)]
    pub header: Header,
    /// Epochs completed, validation included.
    pub epochs_done: u32,
    /// Batches of the epoch after those that are done; 0 between epochs.
    pub epoch_batches: u64,
    /// Sum over those batches of the mean loss times the number of samples.
    pub epoch_loss_sum: f64,
    /// Samples (triplets, pairs or images) of those batches.
    pub epoch_samples: u64,
    /// Optimiser steps taken in the run.
    pub steps_done: u64,
    /// What epochs are judged by: `checkpoint.best_by` when the run began. F1 in checkpoints of before this was written down,
    /// and a run goes on with it.
    #[serde(default = "f1")]
    pub best_by: BestBy,
    /// 0-based epoch with the highest value of that so far.
    pub best_epoch: Option<u32>,
    /// That value.
    #[serde(alias = "best_f1")]
    pub best_value: Option<f64>,
    /// 0-based epoch whose value last rose by more than `checkpoint.min_delta` above `risen_value` before it: the patience
    /// counts from here.
    pub risen_epoch: Option<u32>,
    /// The value of that epoch.
    #[serde(alias = "risen_f1")]
    pub risen_value: Option<f64>,
    /// BLAKE3 of `config.toml` with 0 for the value of `schedule.epochs`, hexadecimal: a run continues only under the
    /// configuration it began with, or for more epochs.
    pub config_blake3: String,
    /// BLAKE3 of the dataset's manifest, hexadecimal.
    pub manifest_blake3: String,
    /// BLAKE3 of the split's CSV, hexadecimal.
    pub split_blake3: String,
    /// CPU threads that computed so far: a run with `runtime.threads = 0` goes on with as many, wherever it does. None in
    /// checkpoints of before this was written down.
    #[serde(default)]
    pub threads: Option<u32>,
    /// BLAKE3 of `model.safetensors` beside it, hexadecimal.
    pub model_blake3: String,
    /// BLAKE3 of `optimizer.safetensors` beside it, hexadecimal.
    pub optimizer_blake3: String,
    /// BLAKE3 of this file with 64 zeros here, hexadecimal.
    pub seal: String,
}

fn f1() -> BestBy {
    BestBy::F1
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
        /// Mean training loss over the samples of the step's batches.
        loss: f64,
        /// The learning rates of the step.
        lr: LearningRates,
        /// Euclidean norm of the gradient over all parameters, before it is clipped.
        grad_norm: f64,
        /// What the collapse monitor saw, on the first and every tenth step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        monitor: Option<MonitorReading>,
        /// Training images through the network per second, over the last half minute.
        images_per_sec: f64,
    },
    /// The collapse monitor warns; once for each cause.
    Warning {
        /// 0-based epoch.
        epoch: u32,
        /// Steps taken when it was seen.
        step: u64,
        /// What collapsed.
        cause: Collapse,
        /// What was seen and what to do, for people.
        message: String,
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
        /// MAP@R of retrieval over the validation brands; none where epochs are judged by F1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        map_at_r: Option<f64>,
        /// Learning rates of the epoch's last step.
        lr: LearningRates,
        /// Freeze level during the epoch.
        freeze: u8,
        /// Training images that could be no anchor because their brand has only one image.
        skipped_images: u64,
        /// Training images through the network per second.
        images_per_sec: f64,
    },
}

/// Learning rate of each group of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LearningRates {
    /// Of the backbone's stages that are not frozen.
    pub backbone: f64,
    /// Of the head.
    pub head: f64,
    /// Of a loss's own weights.
    pub loss: f64,
}

/// The embeddings of a batch, as far as a collapse would show in them. At most 256 of them, evenly taken, are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MonitorReading {
    /// Mean Euclidean distance of all pairs.
    pub distance: f64,
    /// Root mean square of the norms.
    pub norm: f64,
    /// exp of the entropy of the normalised singular values (Roy & Vetterli 2007) of the embeddings less their mean:
    /// from 1, all on a line, to min(D, B − 1). 0 when they are all equal.
    pub effective_rank: f64,
    /// Share of the triplets, or of the pairs of different brands, that the loss still pushes apart; none for a loss
    /// without margin.
    pub active: Option<f64>,
}

/// A way in which training goes wrong while the loss stays finite.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Collapse {
    /// The embeddings shrink to a point.
    Point,
    /// The embeddings lie on a line.
    Line,
    /// The gradient vanishes though the loss does not.
    Gradient,
    /// No triplet is left that the loss pushes apart, and so no loss either.
    Inactive,
}

/// `stopped.json`: where a run stopped whose loss or gradient was no finite number. The next `fit --resume` deletes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stopped {
    /// Kind and version.
    #[serde(flatten)]
    pub header: Header,
    /// 0-based epoch.
    pub epoch: u32,
    /// Steps taken, the failing one included.
    pub step: u64,
    /// The mean loss over the samples of the step's batches, as text (`NaN`, `inf`).
    pub loss: String,
    /// The gradient's norm, as text.
    pub grad_norm: String,
    /// The pictures of the step's batches, in order.
    pub rows: Vec<StoppedRow>,
}

/// A picture of the step at which a run stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoppedRow {
    /// Row of the dataset; `catalog.parquet` tells its raw path.
    pub row: u64,
    /// Category of its brand.
    pub category: String,
    /// Its brand.
    pub brand: String,
    /// Number of the source image within the dataset.
    pub image: i64,
}
