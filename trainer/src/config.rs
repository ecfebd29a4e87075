//! The experiment's TOML: parsed, then judged as a whole, before any data is read. Nothing later checks it again.

mod learning;
mod pairing;

use std::path::Path;

use logodex_schemas::train::{
    AugmentConfig, CheckpointConfig, DataConfig, EmaConfig, SamplerKind, TrainConfig,
};

use crate::slips::slips;

use logodex_program::Failure;

/// Reads and judges a configuration; returns it with its exact bytes, whose hash identifies it.
///
/// # Errors
/// [`Failure::Usage`] when the file is missing, is no TOML, has an unknown key, or asks for what cannot be.
pub fn read(path: &Path) -> Result<(TrainConfig, Vec<u8>), Failure> {
    let name = path.display();
    let bytes = std::fs::read(path)
        .map_err(|e| Failure::Usage(format!("{name}: cannot read the configuration: {e}")))?;
    let config = parse(&bytes).map_err(|e| Failure::Usage(format!("{name}: {e}")))?;
    Ok((config, bytes))
}

/// Parses and judges a configuration's bytes.
///
/// # Errors
/// [`Failure::Usage`]; the message names the key, and the line where the TOML itself is at fault.
pub fn parse(bytes: &[u8]) -> Result<TrainConfig, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|e| Failure::Usage(format!("not UTF-8: {e}")))?;
    // Names first: told all at once, each with its line, before serde would stop at one of them.
    let slips = slips(text);
    if !slips.is_empty() {
        return Err(Failure::Usage(slips.join("\n")));
    }
    let config: TrainConfig =
        toml::from_str(text).map_err(|e| Failure::Usage(e.to_string().trim_end().to_owned()))?;
    check(&config).map_err(Failure::Usage)?;
    Ok(config)
}

/// What the combination of keys must fulfil. The message begins with the key.
fn check(config: &TrainConfig) -> Result<(), String> {
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

/// `ok` is judged by the caller; a value that is no finite number never is.
fn require(key: &str, value: f64, ok: bool, rule: &str) -> Result<(), String> {
    match ok && value.is_finite() {
        true => Ok(()),
        false => Err(format!("{key} = {value} must be {rule}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
seed = 1
[model]
arch = "resnet18"
head = "triplet"
[loss]
kind = "triplet"
margin = 1.0
[schedule]
epochs = 3
freeze = 4
unfreeze = [{ epoch = 1, freeze = 3 }]
[data]
batch = 8
[augment]
"#;

    /// What is said of a configuration that is refused.
    pub(super) fn error(text: &str) -> String {
        parse(text.as_bytes()).expect_err(text).to_string()
    }

    #[test]
    fn every_rule_names_its_key() {
        parse(GOOD.as_bytes()).expect("the good configuration is accepted");
        for (from, to, key) in [
            ("margin = 1.0", "margin = 0.0", "loss.margin"),
            ("margin = 1.0", "margin = nan", "loss.margin"),
            (
                "kind = \"triplet\"\nmargin = 1.0",
                "kind = \"contrastive_cosine\"\nmargin = 1.0",
                "loss.margin",
            ),
            (
                "kind = \"triplet\"\nmargin = 1.0",
                "kind = \"contrastive_cosine\"\nmargin = -1.01",
                "loss.margin",
            ),
            (
                "kind = \"triplet\"\nmargin = 1.0",
                "kind = \"contrastive_euclidean\"\nmargin = -1.0",
                "loss.margin",
            ),
            (
                "kind = \"triplet\"\nmargin = 1.0",
                "kind = \"norm_softmax\"\ntemperature = 0.0",
                "loss.temperature",
            ),
            ("batch = 8", "batch = 1", "data.batch"),
            ("batch = 8", "total_images = 0", "data.total_images"),
            (
                "batch = 8",
                "min_images_per_brand = 1",
                "data.min_images_per_brand",
            ),
            (
                "batch = 8",
                "batch = 8\nsampler = \"pk\"\nimages_per_brand = 1",
                "data.images_per_brand",
            ),
            (
                "batch = 8",
                "batch = 8\nsampler = \"pk\"\nimages_per_brand = 3",
                "data.batch",
            ),
            (
                "batch = 8",
                "batch = 4\nsampler = \"pk\"\nimages_per_brand = 4",
                "data.batch",
            ),
            (
                "[augment]",
                "[augment]\ncrop_scale = 0.0",
                "augment.crop_scale",
            ),
            (
                "[augment]",
                "[augment]\ncrop_scale = 1.5",
                "augment.crop_scale",
            ),
            ("[augment]", "[augment]\nflip_p = 1.5", "augment.flip_p"),
            ("[augment]", "[augment]\nhue = 0.6", "augment.hue"),
            (
                "[augment]",
                "[augment]\ncontrast = -0.1",
                "augment.contrast",
            ),
            ("[augment]", "[runtime]\nthreads = 5000", "runtime.threads"),
            ("[augment]", "[ema]\ndecay = 1.0", "ema.decay"),
            ("[augment]", "[ema]\ndecay = 0.0", "ema.decay"),
            (
                "[augment]",
                "[checkpoint]\npatience_epochs = 2\nmin_delta = -0.1",
                "checkpoint.min_delta",
            ),
            (
                "[augment]",
                "[checkpoint]\nmin_delta = 0.1",
                "checkpoint.min_delta",
            ),
        ] {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD, "{from}");
            let message = error(&text);
            assert!(message.starts_with(key), "{to}: {message}");
        }
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let message = error(&GOOD.replace("batch = 8", "bacth = 8"));
        assert!(
            message.contains("line 14") && message.contains("bacth"),
            "{message}"
        );
        let message = error(&GOOD.replace("margin = 1.0", "margin = 1.0\nmargn = 2.0"));
        assert!(
            message.contains("line 9") && message.contains("loss.margn"),
            "{message}"
        );
        let message = error(&GOOD.replace("[augment]", "[augmentation]"));
        assert!(
            message.contains("line 15") && message.contains("augmentation"),
            "{message}"
        );
    }

    #[test]
    fn a_missing_table_and_a_foreign_value_are_told() {
        assert!(error("seed = 1").contains("model"));
        assert!(error(&GOOD.replace("resnet18", "vgg16")).contains("vgg16"));
    }
}
