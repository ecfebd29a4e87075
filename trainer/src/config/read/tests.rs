//! Every rule names its key, a slip its line.

mod learning;
mod pairing;

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
