//! `[checkpoint]`: what a run keeps, and when it ends early.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which checkpoints are kept, and when a run may end early. `last`, the one before it and `best` are always kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Keep also the checkpoint after every so many epochs; 0 keeps none of them.
    ///
    /// Unit: epochs.
    /// Source: ours.
    pub every_epochs: u32,
    /// Write a checkpoint also after every so many steps of the run within an epoch, so that a kill costs less; 0 writes at
    /// the end of epochs only.
    ///
    /// Unit: steps.
    /// Source: ours.
    pub every_steps: u64,
    /// Stop when the validation F1 has not risen by more than `min_delta` for so many epochs; 0 never does.
    ///
    /// Unit: epochs.
    /// Source: Prechelt, Neural Networks 1998; the paper runs all its epochs (0).
    pub patience_epochs: u32,
    /// What a rise must exceed, 0 to 1.
    ///
    /// Unit: F1.
    /// Source: ours.
    pub min_delta: f64,
}
