//! Judges a configuration as a whole: what each key, and what goes with what, must fulfil.

mod learning;
mod pairing;
mod require;

use logodex_schemas::train::{
    AugmentConfig, CheckpointConfig, DataConfig, EmaConfig, SamplerKind, TrainConfig,
};

use require::require;

/// What the combination of keys must fulfil. The message begins with the key.
pub(super) fn check(config: &TrainConfig) -> Result<(), String> {
    let TrainConfig {
        seed: _,
        model,
        loss,
        optimizer,
        schedule,
        data,
        miner,
        memory: _,
        augment,
        ema,
        checkpoint,
        runtime,
    } = config;

    learning::check_model(model)?;
    pairing::check_loss(loss)?;
    pairing::check_miner(miner)?;
    pairing::check_combination(config)?;

    learning::check_optimizer(optimizer)?;
    learning::check_schedule(schedule)?;
    learning::check_something_learns(config)?;

    check_data(data, config.sampler())?;
    if let Some(augment) = augment {
        check_augment(augment)?;
    }
    if let Some(EmaConfig { decay }) = *ema {
        let ok = 0.0 < decay && decay < 1.0;
        require("ema.decay", decay, ok, "above 0 and below 1")?;
    }
    check_checkpoint(checkpoint)?;
    if runtime.threads > 1024 {
        return Err(format!(
            "runtime.threads = {} must be 0 to 1024",
            runtime.threads
        ));
    }
    check_feature_cache(config)
}

fn check_feature_cache(config: &TrainConfig) -> Result<(), String> {
    let Some(gib) = config.runtime.feature_cache_gib else {
        return match &config.runtime.feature_cache_dir {
            Some(dir) => Err(format!(
                "runtime.feature_cache_dir = {dir:?} needs runtime.feature_cache_gib, which says how large a file may be"
            )),
            None => Ok(()),
        };
    };
    let rule = "greater than 0; leave it out to keep nothing";
    require("runtime.feature_cache_gib", gib, gib > 0.0, rule)?;
    if config.schedule.freeze == 0 {
        return Err(format!(
            "runtime.feature_cache_gib = {gib} has no meaning with schedule.freeze = 0: only what frozen stages give can be kept"
        ));
    }
    let drawn_anew = |augment: &AugmentConfig| augment.views.is_none();
    if config.augment.as_ref().is_some_and(drawn_anew) {
        return Err(format!(
            "runtime.feature_cache_gib = {gib} needs augment.views: without it every epoch draws its pictures anew, so nothing can be kept; set augment.views, 8 for example, or leave [augment] out"
        ));
    }
    Ok(())
}

fn check_data(data: &DataConfig, sampler: SamplerKind) -> Result<(), String> {
    let (batch, per_brand) = (data.batch, data.images_per_brand);
    if batch < 2 {
        return Err(format!("data.batch = {batch} must be at least 2"));
    }
    if sampler == SamplerKind::Pk {
        if per_brand < 2 {
            return Err(format!(
                "data.images_per_brand = {per_brand} must be at least 2: a brand with one image in a batch has no positive there"
            ));
        }
        if !batch.is_multiple_of(per_brand) || batch / per_brand < 2 {
            return Err(format!(
                "data.batch = {batch} must be data.images_per_brand = {per_brand} times the number of brands in a batch, at least 2; the nearest is {}",
                per_brand * ((batch + per_brand / 2) / per_brand).max(2)
            ));
        }
    }
    if data.total_images == Some(0) {
        return Err("data.total_images = 0 leaves nothing to train on".to_owned());
    }
    if data.min_images_per_brand < 2 {
        return Err(format!(
            "data.min_images_per_brand = {} must be at least 2: a brand with one image has no positive",
            data.min_images_per_brand
        ));
    }
    Ok(())
}

fn check_checkpoint(checkpoint: &CheckpointConfig) -> Result<(), String> {
    let CheckpointConfig {
        every_epochs: _,
        every_steps: _,
        best_by: _,
        patience_epochs,
        min_delta,
    } = *checkpoint;
    let ok = (0.0..=1.0).contains(&min_delta);
    require("checkpoint.min_delta", min_delta, ok, "0 to 1")?;
    if min_delta > 0.0 && patience_epochs == 0 {
        return Err(format!(
            "checkpoint.min_delta = {min_delta} has no meaning without checkpoint.patience_epochs: add that one or remove this one"
        ));
    }
    Ok(())
}

fn check_augment(augment: &AugmentConfig) -> Result<(), String> {
    let AugmentConfig {
        crop_scale,
        views,
        perspective,
        perspective_p,
        flip_p,
        rotation_deg,
        grayscale_p,
        brightness,
        contrast,
        saturation,
        hue,
    } = *augment;
    let within = |key: &str, value: f64, low: f64, high: f64| {
        let ok = (low..=high).contains(&value);
        require(key, value, ok, &format!("{low} to {high}"))
    };
    if let Some(least) = crop_scale {
        let ok = least > 0.0 && least <= 1.0;
        require(
            "augment.crop_scale",
            least,
            ok,
            "greater than 0 and at most 1",
        )?;
    }
    if views == Some(0) {
        return Err(
            "augment.views = 0 must be at least 1; leave it out to draw every epoch anew"
                .to_owned(),
        );
    }
    within("augment.perspective", perspective, 0.0, 1.0)?;
    within("augment.perspective_p", perspective_p, 0.0, 1.0)?;
    within("augment.flip_p", flip_p, 0.0, 1.0)?;
    within("augment.rotation_deg", rotation_deg, 0.0, 180.0)?;
    within("augment.grayscale_p", grayscale_p, 0.0, 1.0)?;
    within("augment.hue", hue, 0.0, 0.5)?;
    for (key, value) in [
        ("augment.brightness", brightness),
        ("augment.contrast", contrast),
        ("augment.saturation", saturation),
    ] {
        require(key, value, value >= 0.0, "at least 0")?;
    }
    Ok(())
}
