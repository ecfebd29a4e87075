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
    /// What an epoch is judged by: the first with the highest value is `best`, and the patience waits for it to rise.
    ///
    /// Source: Musgrave et al., arXiv:2003.08505 (`map_at_r`); the paper (`f1`).
    pub best_by: BestBy,
    /// Stop when what `best_by` names has not risen by more than `min_delta` for so many epochs; 0 never does.
    ///
    /// Unit: epochs.
    /// Source: Prechelt, Neural Networks 1998; the paper runs all its epochs (0).
    pub patience_epochs: u32,
    /// What a rise must exceed, 0 to 1.
    ///
    /// Unit: that of what `best_by` names.
    /// Source: ours.
    pub min_delta: f64,
}

/// What an epoch is judged by, on validation brands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BestBy {
    /// MAP@R of retrieval: every picture that training may use of a validation brand asks all the others, as the evaluator
    /// asks test brands.
    #[default]
    MapAtR,
    /// The highest F1 over 100 thresholds on one pair or triplet a picture, drawn at random: it takes a fraction of the
    /// pictures' comparisons, and most pairs are easy.
    F1,
}

impl BestBy {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MapAtR => "MAP@R",
            Self::F1 => "F1",
        }
    }
}
