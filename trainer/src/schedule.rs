//! What changes over a run, as pure functions of the epoch and the step: nothing here is carried, so a resumed run
//! computes the same rates as the run left alone.

use logodex_schemas::train::{LrSchedule, ScheduleConfig, Unfreeze};

/// The freeze level of 0-based `epoch`: the first so many of {conv1 + bn1, layer1, layer2, layer3, layer4} are frozen.
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
                let reductions = epoch / config.step_epochs.max(1);
                config.step_factor.powi(reductions as i32)
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

/// The unfreezings at or before 0-based `epoch`; the configuration lists them in order.
fn reached(config: &ScheduleConfig, epoch: u32) -> impl Iterator<Item = &Unfreeze> {
    config.unfreeze.iter().take_while(move |u| epoch >= u.epoch)
}
