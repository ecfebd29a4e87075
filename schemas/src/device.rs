//! What a device was found to do right, and how fast: `check.json` of `logodex-train selfcheck`, `bench.json` of
//! `logodex-train bench`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::header::Header;
use crate::train::{Arch, Precision};

/// The header of `check.json`.
pub fn device_check_header() -> Header {
    Header::new("logodex-device-check", 1)
}

/// The header of `bench.json`.
pub fn bench_header() -> Header {
    Header::new("logodex-bench", 1)
}

/// Where it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// `cpu` or `cuda:0`.
    pub device: String,
    /// Name, driver and memory as `nvidia-smi` tells them; none on a CPU.
    pub gpu: Option<String>,
    /// CPU threads of libtorch.
    pub threads: u32,
}

/// What ran where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Setup {
    /// Where it ran.
    pub machine: Machine,
    /// Backbone.
    pub arch: Arch,
    /// Side of the pictures, pixels.
    pub side_px: u32,
    /// Pictures per step.
    pub batch: u32,
}

/// `check.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceCheck {
    /// Kind and version.
    #[serde(flatten)]
    pub header: Header,
    /// Of the arithmetic checks; the training checks have the dataset's pictures.
    #[serde(flatten)]
    pub setup: Setup,
    /// One entry per check, in the order in which they ran.
    pub checks: Vec<Check>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// One thing measured against its bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// What was compared.
    pub name: String,
    /// The number; none where it was no finite number, which never passes.
    pub measured: Option<f64>,
    /// The least it may be.
    pub least: Option<f64>,
    /// The most it may be.
    pub most: Option<f64>,
    /// Whether it keeps to both.
    pub ok: bool,
    /// What the number is.
    pub detail: String,
}

/// `bench.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Benchmark {
    /// Kind and version.
    #[serde(flatten)]
    pub header: Header,
    /// What ran where.
    #[serde(flatten)]
    pub setup: Setup,
    /// Seconds of one timed window.
    pub window_secs: f64,
    /// Seconds that all of it took.
    pub total_secs: f64,
    /// One entry per row of the table.
    pub rows: Vec<BenchRow>,
    /// Largest relative difference between our loss and the peer's over the first steps from the same weights, pictures
    /// and rates: that both compute the same. None without a peer.
    pub peer_loss_difference: Option<f64>,
    /// The goals beside what was measured.
    pub goals: Vec<Goal>,
}

/// A way of training, and its speed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BenchRow {
    /// Whose step.
    pub who: Who,
    /// Its arithmetic.
    pub precision: Precision,
    /// Channels-last memory layout, else NCHW.
    pub channels_last: bool,
    /// Where its pictures come from.
    pub source: Source,
    /// Whether the paper's augmentation is part of the step.
    pub augmented: bool,
    /// Freeze level; 0 trains all layers.
    pub freeze: u8,
    /// Images per second in each timed window.
    pub images_per_sec: Vec<f64>,
    /// Their median; none without a window.
    pub median: Option<f64>,
    /// Most bytes that tensors held on the device at a time; none on a CPU.
    pub peak_memory_bytes: Option<u64>,
    /// Why there are fewer windows than rounds.
    pub skipped: Option<String>,
}

/// Whose training step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// `logodex-train`.
    Logodex,
    /// PyTorch from Python, as it is.
    Eager,
    /// PyTorch from Python under `torch.compile`.
    Compiled,
}

/// Where the pictures of a step come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// One fixed batch of floats that lies on the device: no loading, no preparation.
    Synthetic,
    /// Rows of a dataset that lies on the device (`runtime.residency = "device"`).
    Resident,
    /// Rows gathered from shards and copied (`runtime.residency = "host"`).
    Streamed,
}

/// A goal and how it came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Goal {
    /// What is wanted.
    pub what: String,
    /// At least this.
    pub least: f64,
    /// What was measured on a GPU; none elsewhere, and where a row it needs was not.
    pub measured: Option<f64>,
    /// `met` or `missed` on a GPU; else `not run on a GPU` or `not measured`.
    pub outcome: String,
}
