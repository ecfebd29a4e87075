//! Computes what changes over a run (learning rates, freezing, accumulation) as pure functions of the epoch and the
//! step: nothing here is carried, so a resumed run computes the same rates as the run left alone.

use logodex_schemas::run::LearningRates;
use logodex_schemas::train::{LrSchedule, OptimizerConfig, ScheduleConfig, TrainConfig, Unfreeze};

use crate::model::Group;

/// `step_epochs` and `step_factor` where the configuration leaves them out.
const STEP: (u32, f64) = (10, 0.1);

/// The freeze level of 0-based `epoch`: the first so many of the backbone's stages are frozen.
pub fn frozen_stages(config: &ScheduleConfig, epoch: u32) -> u8 {
    reached(config, epoch)
        .last()
        .map_or(config.freeze, |unfreeze| unfreeze.freeze)
}

/// Factor on every learning rate for the step taken after `step` others, of `total_steps` in the run.
///
/// * Warm-up over `w = warmup_steps`: (step + 1) / w for step < w, so the first step moves the weights by 1/w of the
///   full rate and step w − 1 by all of it.
/// * `constant`: 1 afterwards.
/// * `cosine`: ½·(1 + cos(π·t)) with t = (step − w) / (total_steps − w): `torch.optim.lr_scheduler.CosineAnnealingLR`
///   with `T_max = total_steps − w`, 1 at step w and 0 when the last step is done (no step is taken at rate 0).
/// * `step`: step_factor^⌊epoch / step_epochs⌋ afterwards: `torch.optim.lr_scheduler.StepLR`, stepped once an epoch.
/// * From each unfreeze epoch on, all of this times its `lr_factor`.
pub fn lr_factor(config: &ScheduleConfig, step: u64, total_steps: u64, epoch: u32) -> f64 {
    let warmup = u64::from(config.warmup_steps);
    let base = if step < warmup {
        (step + 1) as f64 / warmup as f64
    } else {
        match config.lr {
            LrSchedule::Constant => 1.0,
            LrSchedule::Step => {
                let epochs = config.step_epochs.unwrap_or(STEP.0);
                let reductions = epoch / epochs.max(1);
                config.step_factor.unwrap_or(STEP.1).powi(reductions as i32)
            }
            LrSchedule::Cosine => {
                let span = total_steps.saturating_sub(warmup).max(1) as f64;
                let t = ((step - warmup) as f64 / span).min(1.0);
                0.5 * (1.0 + (std::f64::consts::PI * t).cos())
            }
        }
    };
    base * reached(config, epoch)
        .map(|unfreeze| unfreeze.lr_factor)
        .product::<f64>()
}

/// The learning rate of a group where [`lr_factor`] is `factor`.
pub fn rate(optimizer: &OptimizerConfig, factor: f64, group: Group) -> f64 {
    let head = optimizer.lr * factor;
    match group {
        Group::Head => head,
        Group::Backbone { .. } => head * optimizer.backbone_factor,
        Group::Loss => head * optimizer.loss_factor,
    }
}

/// The rates of the step that is taken after `step` others.
pub fn learning_rates(
    config: &TrainConfig,
    step: u64,
    total_steps: u64,
    epoch: u32,
) -> LearningRates {
    let factor = lr_factor(&config.schedule, step, total_steps, epoch);
    let rate = |group| rate(&config.optimizer, factor, group);
    LearningRates {
        backbone: rate(Group::Backbone { stage: 0 }),
        head: rate(Group::Head),
        loss: rate(Group::Loss),
    }
}

/// How many batches the next step takes the mean gradient of, after `done` of an epoch's `batches`: `accumulate`; the
/// last step of an epoch takes those that remain, so no gradient outlives its epoch.
///
/// For a loss that is a mean over independent samples and batches of one size, the step is that of one batch
/// `accumulate` times as large, but for BatchNorm, whose statistics are a batch's own.
pub fn batches_of_step(done: u64, batches: u64, accumulate: u32) -> u64 {
    u64::from(accumulate.max(1)).min(batches - done)
}

/// Steps of the optimiser in an epoch of `batches`.
pub fn steps_per_epoch(batches: u64, accumulate: u32) -> u64 {
    batches.div_ceil(u64::from(accumulate.max(1)))
}

/// The unfreezings at or before 0-based `epoch`; the configuration lists them in order.
fn reached(config: &ScheduleConfig, epoch: u32) -> impl Iterator<Item = &Unfreeze> {
    config.unfreeze.iter().take_while(move |u| epoch >= u.epoch)
}
