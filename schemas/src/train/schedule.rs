//! `[schedule]`: epochs and what changes over them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Epochs and what changes over them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Number of epochs; an epoch visits every training image once. 0 writes the initial network as a run: a
    /// baseline.
    ///
    /// Unit: epochs.
    /// Source: the paper's authors (30 for the triplets of Table 3, 50 for the final cosine run).
    pub epochs: u32,
    /// The rate over the run.
    ///
    /// Source: the paper, Table 4 (`constant`).
    #[serde(default)]
    pub lr: LrSchedule,
    /// With `lr = "step"` only: epochs from one reduction to the next, ≥ 1; not set, 10.
    ///
    /// Unit: epochs.
    /// Source: `torch.optim.lr_scheduler.StepLR`, which has no default; ours.
    #[serde(default)]
    pub step_epochs: Option<u32>,
    /// With `lr = "step"` only: the factor, > 0; not set, 0.1.
    ///
    /// Unit: none.
    /// Source: `torch.optim.lr_scheduler.StepLR` (0.1).
    #[serde(default)]
    pub step_factor: Option<f64>,
    /// Steps over which the rate first rises linearly from 0.
    ///
    /// Unit: steps.
    /// Source: Goyal et al., arXiv:1706.02677; the paper has none (0).
    #[serde(default)]
    pub warmup_steps: u32,
    /// Freeze the first k of the backbone's five stages, 0 to 5: of a ResNet conv1 + bn1, layer1, layer2, layer3, layer4;
    /// of an EfficientNet-Lite what lies between two halvings of the map: of lite0 the stem and block 0, blocks 1 to 2, 3 to
    /// 4, 5 to 10, 11 to 15 with the head convolution. Frozen BatchNorm runs in evaluation mode.
    ///
    /// Unit: stages.
    /// Source: the paper, Table 2 (0), Tables 3 and 4 (4).
    #[serde(default)]
    pub freeze: u8,
    /// From later epochs on, freeze less: a list of tables in the order of their epochs.
    #[serde(default)]
    pub unfreeze: Vec<Unfreeze>,
}

/// The learning rate over a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LrSchedule {
    /// The same throughout.
    #[default]
    Constant,
    /// Half a cosine from the full rate to 0 at the last step (Loshchilov & Hutter, ICLR 2017).
    Cosine,
    /// Times `step_factor` after every `step_epochs` epochs (`torch.optim.lr_scheduler.StepLR`).
    Step,
}

/// A change of the freeze level; the optimiser's momentum is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unfreeze {
    /// 0-based epoch at whose start it happens.
    ///
    /// Unit: epochs.
    /// Source: the paper, Table 3 (15), Table 4 (5).
    pub epoch: u32,
    /// The freeze level from then on, below the one before.
    ///
    /// Unit: stages.
    /// Source: the paper, Tables 3 and 4 (3).
    pub freeze: u8,
    /// Every rate is multiplied by this from then on, > 0.
    ///
    /// Unit: none.
    /// Source: the paper, Table 3 (0.2), Table 4 (1).
    #[serde(default = "one")]
    pub lr_factor: f64,
}

fn one() -> f64 {
    1.0
}
