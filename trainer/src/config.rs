//! The experiment's TOML: parsed, then judged as a whole, before any data is read. Nothing later checks it again.

use std::path::Path;

use logodex_schemas::train::{
    AugmentConfig, DataConfig, Head, LossConfig, SamplerKind, TrainConfig,
};

/// A slip in what was typed or configured (exit code 2): the message says what, and what would be right.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Reads and judges a configuration; returns it with its exact bytes, whose hash identifies it.
///
/// # Errors
/// [`UsageError`] when the file is missing, is no TOML, has an unknown key, or asks for what cannot be.
pub fn read(path: &Path) -> Result<(TrainConfig, Vec<u8>), UsageError> {
    let name = path.display();
    let bytes = std::fs::read(path)
        .map_err(|e| UsageError(format!("{name}: cannot read the configuration: {e}")))?;
    let config = parse(&bytes).map_err(|e| UsageError(format!("{name}: {e}")))?;
    Ok((config, bytes))
}

/// Parses and judges a configuration's bytes.
///
/// # Errors
/// [`UsageError`]; the message names the key, and the line where the TOML itself is at fault.
pub fn parse(bytes: &[u8]) -> Result<TrainConfig, UsageError> {
    let text = std::str::from_utf8(bytes).map_err(|e| UsageError(format!("not UTF-8: {e}")))?;
    let config: TrainConfig =
        toml::from_str(text).map_err(|e| UsageError(e.to_string().trim_end().to_owned()))?;
    check(&config).map_err(UsageError)?;
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
        miner: _,
        memory: _,
        augment,
        ema: _,
        checkpoint: _,
        runtime,
    } = config;

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
    match *loss {
        LossConfig::Triplet { margin } | LossConfig::ContrastiveEuclidean { margin } => {
            require("loss.margin", margin, margin > 0.0, "greater than 0")?;
        }
        LossConfig::ContrastiveCosine { margin } => {
            let ok = (-1.0..1.0).contains(&margin);
            require(
                "loss.margin",
                margin,
                ok,
                "at least -1 and below 1: it bounds a cosine",
            )?;
        }
        LossConfig::NormSoftmax { temperature } => {
            require(
                "loss.temperature",
                temperature,
                temperature > 0.0,
                "greater than 0",
            )?;
        }
        _ => return Err("loss.kind: not there yet".to_owned()),
    }

    let o = optimizer;
    require("optimizer.lr", o.lr, o.lr > 0.0, "greater than 0")?;
    require(
        "optimizer.backbone_factor",
        o.backbone_factor,
        o.backbone_factor >= 0.0,
        "at least 0",
    )?;
    require(
        "optimizer.momentum",
        o.momentum,
        (0.0..1.0).contains(&o.momentum),
        "at least 0 and below 1",
    )?;
    require(
        "optimizer.weight_decay",
        o.weight_decay,
        o.weight_decay >= 0.0,
        "at least 0",
    )?;

    if schedule.freeze > 5 {
        return Err(format!(
            "schedule.freeze = {} must be 0 to 5: the first k of conv1 + bn1, layer1, layer2, layer3, layer4",
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
    if schedule.epochs > 0
        && schedule.freeze == 5
        && model.head == Head::None
        && !loss.has_weights()
    {
        return Err(
            "schedule.freeze = 5 with model.head = \"none\" leaves nothing to train; freeze less, choose a head, or set schedule.epochs = 0"
                .to_owned(),
        );
    }

    check_data(data, config.sampler())?;
    if let Some(augment) = augment {
        check_augment(augment)?;
    }
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

    fn error(text: &str) -> String {
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
            (
                "head = \"triplet\"",
                "head = \"none\"\nembedding_dim = 128",
                "model.embedding_dim",
            ),
            (
                "head = \"triplet\"",
                "head = \"linear\"\nembedding_dim = 0",
                "model.embedding_dim",
            ),
            ("freeze = 4", "freeze = 6", "schedule.freeze"),
            (
                "epoch = 1, freeze = 3",
                "epoch = 1, freeze = 4",
                "schedule.unfreeze.freeze",
            ),
            (
                "epoch = 1, freeze = 3",
                "epoch = 3, freeze = 3",
                "schedule.unfreeze.epoch",
            ),
            (
                "freeze = 3 }",
                "freeze = 3, lr_factor = 0.0 }",
                "schedule.unfreeze.lr_factor",
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
            ("[augment]", "[optimizer]\nlr = 0.0", "optimizer.lr"),
            ("[augment]", "[optimizer]\nlr = inf", "optimizer.lr"),
            (
                "[augment]",
                "[optimizer]\nbackbone_factor = -1.0",
                "optimizer.backbone_factor",
            ),
            (
                "[augment]",
                "[optimizer]\nmomentum = 1.0",
                "optimizer.momentum",
            ),
            (
                "[augment]",
                "[optimizer]\nweight_decay = -1.0",
                "optimizer.weight_decay",
            ),
            ("[augment]", "[runtime]\nthreads = 5000", "runtime.threads"),
        ] {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD, "{from}");
            let message = error(&text);
            assert!(message.starts_with(key), "{to}: {message}");
        }
    }

    #[test]
    fn a_head_that_is_frozen_away_is_refused_unless_the_loss_has_weights() {
        let text = GOOD
            .replace("head = \"triplet\"", "head = \"none\"")
            .replace(
                "freeze = 4\nunfreeze = [{ epoch = 1, freeze = 3 }]",
                "freeze = 5",
            );
        assert!(error(&text).contains("nothing to train"));
        let own = text.replace(
            "kind = \"triplet\"\nmargin = 1.0",
            "kind = \"norm_softmax\"\ntemperature = 0.05",
        );
        parse(own.as_bytes()).expect("class weights can be trained");
        parse(text.replace("epochs = 3", "epochs = 0").as_bytes())
            .expect("a baseline trains nothing");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let message = error(&GOOD.replace("batch = 8", "bacth = 8"));
        assert!(
            message.contains("line 14") && message.contains("bacth"),
            "{message}"
        );
        let message = error(&GOOD.replace("margin = 1.0", "margin = 1.0\nmargn = 2.0"));
        // serde reads a table that is chosen by `kind` as a whole: the line is the table's.
        assert!(
            message.contains("line 6") && message.contains("margn"),
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

    #[test]
    fn every_configuration_that_is_shipped_is_accepted_and_names_itself_in_its_command() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut seen = 0;
        for dir in ["configs", "configs/demo"] {
            for entry in std::fs::read_dir(root.join(dir)).expect(dir) {
                let path = entry.expect(dir).path();
                if path.extension().is_some_and(|e| e == "toml") {
                    let (_, bytes) = read(&path).expect("accepted");
                    let name = path.file_name().expect("a name").to_string_lossy();
                    let command = format!("--config trainer/{dir}/{name} ");
                    assert!(
                        String::from_utf8_lossy(&bytes).contains(&command),
                        "{command}"
                    );
                    seen += 1;
                }
            }
        }
        assert!(seen >= 13, "{seen}");
    }
}
