//! The rules of `[model]`, `[optimizer]` and `[schedule]`. Each message begins with the key.

use logodex_schemas::train::{
    Head, LrSchedule, ModelConfig, OptimizerConfig, OptimizerKind, Pooling, ScheduleConfig,
    TrainConfig,
};

use super::require::require;

pub(super) fn check_model(model: &ModelConfig) -> Result<(), String> {
    if let Some(dim) = model.embedding_dim {
        if model.head == Head::None {
            return Err(format!(
                "model.embedding_dim = {dim} has no meaning with model.head = \"none\", whose embedding is the pooled feature; remove one of the two"
            ));
        }
        if dim == 0 || dim > 65_536 {
            return Err(format!("model.embedding_dim = {dim} must be 1 to 65536"));
        }
    }
    if model.freeze_batch_norm && model.weights.is_none() {
        return Err(
            "model.freeze_batch_norm = true needs model.weights: the statistics of random weights say nothing"
                .to_owned(),
        );
    }
    match model.last_stride {
        1 | 2 => Ok(()),
        other => Err(format!("model.last_stride = {other} must be 1 or 2")),
    }
}

pub(super) fn check_optimizer(o: &OptimizerConfig) -> Result<(), String> {
    require("optimizer.lr", o.lr, o.lr > 0.0, "greater than 0")?;
    require(
        "optimizer.backbone_factor",
        o.backbone_factor,
        o.backbone_factor >= 0.0,
        "at least 0",
    )?;
    require(
        "optimizer.loss_factor",
        o.loss_factor,
        o.loss_factor > 0.0,
        "greater than 0: a loss's own weights are always trained",
    )?;
    require(
        "optimizer.momentum",
        o.momentum,
        (0.0..1.0).contains(&o.momentum),
        "at least 0 and below 1",
    )?;
    if o.nesterov && (o.kind != OptimizerKind::Sgd || o.momentum == 0.0) {
        return Err(
            "optimizer.nesterov = true needs optimizer.kind = \"sgd\" and a momentum above 0"
                .to_owned(),
        );
    }
    require(
        "optimizer.weight_decay",
        o.weight_decay,
        o.weight_decay >= 0.0,
        "at least 0",
    )?;
    if !o.decay_norms_and_biases && o.weight_decay == 0.0 {
        return Err(
            "optimizer.decay_norms_and_biases = false has no meaning with optimizer.weight_decay = 0: nothing decays"
                .to_owned(),
        );
    }
    if let Some(norm) = o.clip_norm {
        let rule = "greater than 0; leave it out to clip nothing";
        require("optimizer.clip_norm", norm, norm > 0.0, rule)?;
    }
    match o.accumulate {
        0 => Err("optimizer.accumulate = 0 must be at least 1".to_owned()),
        _ => Ok(()),
    }
}

pub(super) fn check_schedule(schedule: &ScheduleConfig) -> Result<(), String> {
    let step_keys = [
        ("schedule.step_epochs", schedule.step_epochs.is_some()),
        ("schedule.step_factor", schedule.step_factor.is_some()),
    ];
    if let Some((key, _)) = step_keys.iter().find(|(_, given)| *given)
        && schedule.lr != LrSchedule::Step
    {
        return Err(format!(
            "{key} has a meaning with schedule.lr = \"step\" only"
        ));
    }
    if schedule.step_epochs == Some(0) {
        return Err("schedule.step_epochs = 0 must be at least 1".to_owned());
    }
    if let Some(factor) = schedule.step_factor {
        let rule = "greater than 0";
        require("schedule.step_factor", factor, factor > 0.0, rule)?;
    }
    if schedule.freeze > 5 {
        return Err(format!(
            "schedule.freeze = {} must be 0 to 5: the first k of the backbone's five stages (of a ResNet conv1 + bn1, layer1, layer2, layer3, layer4)",
            schedule.freeze
        ));
    }
    let (mut freeze, mut after) = (schedule.freeze, None);
    for unfreeze in &schedule.unfreeze {
        if unfreeze.freeze >= freeze {
            return Err(format!(
                "schedule.unfreeze.freeze = {} must be below the level before it, {freeze}",
                unfreeze.freeze
            ));
        }
        if after.is_some_and(|epoch| unfreeze.epoch <= epoch) {
            return Err(format!(
                "schedule.unfreeze.epoch = {} must come after the one before it: list them in order",
                unfreeze.epoch
            ));
        }
        (freeze, after) = (unfreeze.freeze, Some(unfreeze.epoch));
        if unfreeze.epoch >= schedule.epochs {
            return Err(format!(
                "schedule.unfreeze.epoch = {} is never reached: schedule.epochs = {} and epochs count from 0",
                unfreeze.epoch, schedule.epochs
            ));
        }
        require(
            "schedule.unfreeze.lr_factor",
            unfreeze.lr_factor,
            unfreeze.lr_factor > 0.0,
            "greater than 0",
        )?;
    }
    Ok(())
}

/// Is there something to train from the first epoch on? GeM's exponent, a BN-neck and a loss's weights count as well as
/// a head.
pub(super) fn check_something_learns(config: &TrainConfig) -> Result<(), String> {
    let (model, schedule) = (&config.model, &config.schedule);
    let outside_backbone = model.head != Head::None
        || model.pooling == Pooling::Gem
        || model.bn_neck
        || config.loss.has_weights();
    if schedule.epochs == 0 || outside_backbone {
        return Ok(());
    }
    let way_out = "choose a head, or set schedule.epochs = 0";
    if schedule.freeze == 5 {
        return Err(format!(
            "schedule.freeze = 5 with model.head = \"none\" leaves nothing to train; freeze less, {way_out}"
        ));
    }
    if config.optimizer.backbone_factor == 0.0 {
        return Err(format!(
            "optimizer.backbone_factor = 0 with model.head = \"none\" leaves nothing to train; {way_out}"
        ));
    }
    Ok(())
}
